//! The attempt: one run of one trigger on one version.
//!
//! Pure, and the only implementation: events, requests and `sandman invoke` all come here. The contract is checked on the
//! way in, the guest is called, the contract is checked on the way out, and the envelopes are completed.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::contract::{Incoming, TermsError};
use crate::event::{Headers, OutRecord, Provenance, TopicPartition, TraceContext, TriggerSource};
use crate::outcome::{Context, Fault, Outcome, Reply, StateChange, Trigger};
use crate::printable;
use crate::reason::{ReasonCode, without_guest_text};
use crate::unit::{EmitError, EnvelopeContext, records};
use crate::version::Version;

/// What surrounds an attempt.
#[derive(Clone)]
pub struct Surroundings<'a> {
    /// `[host] source`, for the envelopes of emitted events.
    pub source: &'a str,
    /// The time that the handler is told, milliseconds since 1970; emitted events carry it.
    pub now_millis: i64,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The trace that the trigger belongs to; a new one begins without it.
    pub trace: Option<TraceContext>,
    /// What the headers of emitted events say of where they come from.
    pub origin: Origin<'a>,
    /// The handler's settings, where they are not those of the version: a recorded run.
    pub settings: Option<&'a str>,
    /// Makes a random UUID v4 for each emitted event.
    pub id: fn() -> Uuid,
}

/// Whose attempt it is, for the headers of the events that it emits.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The handler's name.
    pub handler: &'a str,
    /// Where the trigger's record lies; `None` for a request, and for an event that is in no topic.
    pub record: Option<(&'a TopicPartition, i64)>,
}

/// What an attempt came to.
#[derive(Debug)]
pub enum Attempted {
    /// The version does not consume this event; the guest was not called.
    Ignored,
    /// The guest decided.
    Decided(Decision),
}

/// What a trigger's handler decided, complete and within its contract. It becomes part of a unit.
#[derive(Debug, Default)]
pub struct Decision {
    /// What becomes of the key's state.
    pub state: StateChange,
    /// The events to publish, encoded, in order.
    pub records: Vec<OutRecord>,
    /// The answer to a request. With a status of 400 or above nothing changes and nothing is published.
    pub reply: Option<Reply>,
}

/// Why an attempt gave no decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct AttemptFailure {
    /// What failed.
    pub cause: FailureCause,
    /// The same, for programs, and in more detail: what a dead letter is found by.
    pub code: ReasonCode,
    /// In words, as the guest or the host wrote them, at most [`printable::LONGEST`] bytes. It may hold data of users; a log
    /// gets [`AttemptFailure::without_guest_text`].
    pub reason: String,
}

/// What failed in an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureCause {
    /// The trigger does not fit the handler's contract; the guest was not called.
    Trigger,
    /// The guest said that another attempt will not help.
    Rejected,
    /// The guest asked for another attempt.
    Retry,
    /// The guest trapped.
    Trap,
    /// The guest went over a bound.
    Exceeded,
    /// The guest returned no valid outcome.
    Outcome,
    /// An emitted event does not fit the contract.
    Emitted,
}

impl FailureCause {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Rejected => "rejected",
            Self::Retry => "retry",
            Self::Trap => "trap",
            Self::Exceeded => "exceeded",
            Self::Outcome => "outcome",
            Self::Emitted => "emitted",
        }
    }

    /// Whether the guest was called.
    pub fn called(self) -> bool {
        self != Self::Trigger
    }

    /// Whether another attempt may help. A handler is a pure function, so only what it says itself, or what a bound on CPU
    /// time may have decided, can end differently.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Retry | Self::Trap | Self::Exceeded)
    }
}

impl AttemptFailure {
    fn new(cause: FailureCause, code: ReasonCode, reason: impl ToString) -> Self {
        Self {
            cause,
            code,
            reason: cut(reason.to_string()),
        }
    }

    /// The reason for whoever may not read data: without text that the guest chose.
    pub fn without_guest_text(&self) -> Cow<'_, str> {
        without_guest_text(self.code, &self.reason)
    }
}

/// At most [`printable::LONGEST`] bytes, whole characters only.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(printable::LONGEST));
    text
}

impl From<TermsError> for AttemptFailure {
    fn from(error: TermsError) -> Self {
        let code = match error {
            TermsError::Payload { .. } | TermsError::TooCostly { .. } => ReasonCode::Schema,
            TermsError::UnknownVersion { .. } | TermsError::NotDeclared { .. } => ReasonCode::Contract,
        };
        Self::new(FailureCause::Trigger, code, error)
    }
}

impl From<EmitError> for AttemptFailure {
    fn from(error: EmitError) -> Self {
        Self::new(FailureCause::Emitted, ReasonCode::Emitted, error)
    }
}

impl From<Fault> for AttemptFailure {
    fn from(fault: Fault) -> Self {
        let (cause, code, reason) = match fault {
            Fault::Rejected(reason) => (FailureCause::Rejected, ReasonCode::Rejected, reason),
            Fault::Invalid(reason) => (FailureCause::Outcome, ReasonCode::Outcome, reason),
            Fault::Retry(reason) => (FailureCause::Retry, ReasonCode::Retries, reason),
            Fault::Trap(kind, reason) => (FailureCause::Trap, ReasonCode::Trap(kind), reason),
            Fault::Exceeded(kind, reason) => (FailureCause::Exceeded, ReasonCode::Limit(kind), reason),
        };
        Self::new(cause, code, reason)
    }
}

/// Runs one trigger on one version.
///
/// # Errors
/// [`AttemptFailure`]; then nothing of the attempt counts.
pub fn attempt(
    version: &Version,
    trigger: Trigger<'_>,
    state: Option<&str>,
    surroundings: &Surroundings<'_>,
) -> Result<Attempted, AttemptFailure> {
    if let Trigger::Event(event) = &trigger {
        let incoming = version.terms.incoming(event.event_type, event.version, event.payload)?;
        if incoming == Incoming::Ignored {
            return Ok(Attempted::Ignored);
        }
    }
    let context = Context {
        now_millis: surroundings.now_millis,
        attempt: surroundings.attempt,
        settings: surroundings.settings.unwrap_or(&version.settings),
    };
    let Outcome { state, events, reply } = version.guest.invoke(trigger, state, context)?;
    let (key, correlation_id, causation_id) = match &trigger {
        Trigger::Event(event) => (event.key, event.correlation_id, Some(event.event_id)),
        Trigger::Request(request) => {
            let Some(reply) = &reply else {
                let reason = "the handler gave no reply";
                return Err(AttemptFailure::new(FailureCause::Outcome, ReasonCode::Outcome, reason));
            };
            if reply.status >= 400 {
                let (state, records) = Default::default();
                let reply = Some(reply.clone());
                return Ok(Attempted::Decided(Decision { state, records, reply }));
            }
            (request.key, Some(request.correlation_id), None)
        }
    };
    let provenance = match events.is_empty() {
        true => Headers::default(),
        false => provenance(version, &trigger, surroundings),
    };
    let mint = EnvelopeContext {
        source: surroundings.source,
        now_millis: surroundings.now_millis,
        correlation_id,
        causation_id,
        trace: surroundings.trace.clone(),
        provenance,
        id: surroundings.id,
    };
    let records = records(events, key, &version.terms, &mint)?;
    Ok(Attempted::Decided(Decision { state, records, reply }))
}

/// The headers of what one invocation emits.
fn provenance(version: &Version, trigger: &Trigger<'_>, surroundings: &Surroundings<'_>) -> Headers {
    let Origin { handler, record } = surroundings.origin;
    let trigger = match (trigger, record) {
        (Trigger::Request(request), _) => TriggerSource::Request(request.correlation_id),
        (Trigger::Event(_), Some((source, offset))) => TriggerSource::Record(source, offset),
        (Trigger::Event(_), None) => TriggerSource::Nowhere,
    };
    let provenance = Provenance {
        handler,
        version: version.number,
        digest: &version.digest,
        trigger,
        attempt: surroundings.attempt,
    };
    provenance.headers()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Consumes, Contract, Emits, Grant, Terms};
    use crate::limits::{Limits, RecordingPolicy, Retry, Tombstones};
    use crate::outcome::{EmittedEvent, EventView, Guest, RequestView};
    use crate::reason::TrapKind;

    /// Emits what the payload or the body says; a request is answered with the status in its query.
    struct Speaker;

    impl Guest for Speaker {
        fn invoke(&self, trigger: Trigger<'_>, _: Option<&str>, _: Context<'_>) -> Result<Outcome, Fault> {
            let (payload, reply) = match trigger {
                Trigger::Event(event) if event.payload == "13" => {
                    return Err(Fault::Trap(TrapKind::Panic, "unlucky".into()));
                }
                Trigger::Event(event) => (event.payload, None),
                Trigger::Request(request) => {
                    let status = request.query.first().and_then(|(_, status)| status.parse().ok());
                    let reply = status.map(|status| Reply { status, body: None });
                    (request.body.unwrap_or("null"), reply)
                }
            };
            let event = EmittedEvent {
                event_type: "said".into(),
                version: "1.0".into(),
                payload: payload.into(),
                key: None,
                metadata: None,
            };
            Ok(Outcome {
                state: StateChange::Put("{}".into()),
                events: vec![event],
                reply,
            })
        }
    }

    fn version() -> Version {
        let contract = Contract {
            consumes: vec![Consumes {
                event_type: "heard".into(),
                versions: vec!["1.0".into()],
                schema: None,
            }],
            emits: vec![Emits {
                event_type: "said".into(),
                version: "1.0".into(),
                schema: Some(r#"{"type": "integer"}"#.into()),
            }],
            ..Contract::default()
        };
        let grant = Grant {
            emits: ["said".to_owned()].into(),
            has_topics: true,
            ..Grant::default()
        };
        Version {
            number: 1,
            digest: "d".into(),
            terms: Terms::new(&contract, &grant, |name| name.into()).unwrap(),
            guest: Box::new(Speaker),
            settings: "{}".into(),
            retry: Retry::default(),
            tombstones: Tombstones::default(),
            dedupe: 0,
            limits: Limits::default(),
            recordings: RecordingPolicy::default(),
            since: crate::version::ServesSince::default(),
        }
    }

    fn run(trigger: Trigger<'_>) -> Result<Attempted, AttemptFailure> {
        let surroundings = Surroundings {
            source: "s",
            now_millis: 0,
            attempt: 1,
            trace: None,
            origin: Origin {
                handler: "h",
                record: None,
            },
            settings: None,
            id: Uuid::nil,
        };
        attempt(&version(), trigger, None, &surroundings)
    }

    fn event<'a>(event_type: &'a str, version: &'a str, payload: &'a str) -> Trigger<'a> {
        Trigger::Event(EventView {
            key: "k",
            event_id: "e",
            event_type,
            version,
            timestamp: "t",
            source: "s",
            correlation_id: None,
            causation_id: None,
            metadata: None,
            payload,
        })
    }

    fn request<'a>(query: &'a [(String, String)]) -> Trigger<'a> {
        Trigger::Request(RequestView {
            key: "k",
            method: "POST",
            route: "/r",
            params: &[],
            query,
            claims: None,
            body: Some("1"),
            files: &[],
            correlation_id: "c",
        })
    }

    #[test]
    fn each_failure_says_where_it_happened_and_whether_it_may_pass() {
        let cause = |trigger| run(trigger).unwrap_err().cause;
        let unknown = cause(event("heard", "2.0", "1"));
        assert_eq!(
            (unknown, unknown.called(), unknown.may_pass()),
            (FailureCause::Trigger, false, false)
        );
        let trapped = cause(event("heard", "1.0", "13"));
        assert_eq!(
            (trapped, trapped.called(), trapped.may_pass()),
            (FailureCause::Trap, true, true)
        );
        let emitted = cause(event("heard", "1.0", "\"text\""));
        assert_eq!(
            (emitted, emitted.called(), emitted.may_pass()),
            (FailureCause::Emitted, true, false)
        );
        assert_eq!(cause(request(&[])), FailureCause::Outcome, "no reply");
    }

    #[test]
    fn an_event_that_is_not_consumed_reaches_no_guest() {
        assert!(matches!(run(event("other", "9", "13")), Ok(Attempted::Ignored)));
    }

    #[test]
    fn a_refused_request_changes_and_publishes_nothing() {
        let decided = |status: &str| {
            let query = [("status".to_owned(), status.to_owned())];
            match run(request(&query)).unwrap() {
                Attempted::Decided(decision) => decision,
                Attempted::Ignored => panic!("a request is never ignored"),
            }
        };
        let refused = decided("409");
        assert_eq!((refused.state, refused.records.len()), (StateChange::Keep, 0));
        assert_eq!(refused.reply.map(|reply| reply.status), Some(409));
        let taken = decided("201");
        assert_eq!((taken.state, taken.records.len()), (StateChange::Put("{}".into()), 1));
    }
}
