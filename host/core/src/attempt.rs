//! The attempt: one run of one trigger on one version.
//!
//! Pure, and the only implementation: events, requests and `sandman invoke` all come here. The contract is checked on the
//! way in, the guest is called, the contract is checked on the way out, and the envelopes are completed.

mod failure;

use uuid::Uuid;

use crate::contract::Incoming;
use crate::event::{Headers, OutRecord, Provenance, TopicPartition, TraceContext, TriggerSource};
use crate::outcome::{Context, Outcome, Reply, StateChange, Trigger};
use crate::reason::ReasonCode;
use crate::unit::{EnvelopeContext, records};
use crate::version::Version;

pub use failure::{AttemptFailure, FailureCause};

/// The inputs of an attempt other than its trigger and state.
#[derive(Clone)]
pub struct Surroundings<'a> {
    /// `[host] source`, for the envelopes of emitted events.
    pub source: &'a str,
    /// The time that the handler sees, in milliseconds since 1970; also the timestamp of the emitted events.
    pub now_millis: i64,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The trace that the trigger belongs to; a new one begins without it.
    pub trace: Option<TraceContext>,
    /// The origin of the emitted events, for their headers.
    pub origin: Origin<'a>,
    /// Settings to use instead of the version's own: those of a recording that is run again.
    pub settings: Option<&'a str>,
    /// Makes a random UUID v4 for each emitted event.
    pub id: fn() -> Uuid,
}

/// The origin of the events that an attempt emits, for their headers.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The handler's name.
    pub handler: &'a str,
    /// The position of the trigger's record; `None` for a request, and for an event that is in no topic.
    pub record: Option<(&'a TopicPartition, i64)>,
}

/// The result of an attempt.
#[derive(Debug)]
pub enum Attempted {
    /// The version does not consume this event; the guest was not called.
    Ignored,
    /// The guest returned a valid outcome.
    Decided(Decision),
}

/// What a trigger's handler decided, complete and within its contract. It becomes part of a unit.
#[derive(Debug, Default)]
pub struct Decision {
    /// The change of the key's state.
    pub state: StateChange,
    /// The events to publish, encoded, in order.
    pub records: Vec<OutRecord>,
    /// The answer to a request. With a status of 400 or above nothing changes and nothing is published.
    pub reply: Option<Reply>,
}

/// Runs one trigger on one version.
///
/// # Errors
/// [`AttemptFailure`]; then the attempt has no effect.
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

/// The headers of the events that one invocation emits.
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
    use crate::outcome::{EmittedEvent, EventView, Fault, Guest, RequestView};
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
