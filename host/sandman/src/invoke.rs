//! One component, run once, alone: no Kafka, no store, nothing outside is touched. What `sandman invoke` does.
//!
//! The trigger takes the way that it takes in the host, and meets the same checks, so that a dead letter can be
//! reproduced: decode, contract, guest, contract again.

mod report;
mod request;

use uuid::Uuid;

use crate::telemetry;
use sandman_config::HandlerConfig;
use sandman_core::contract::{Grant, Incoming};
use sandman_core::event::decode;
use sandman_core::json;
use sandman_core::outcome::{Context, Fault, Outcome, Trigger};
use sandman_core::unit::{Mint, records};
use sandman_core::work::event_view;
use sandman_engine::registry::Version;

pub use report::{Emitted, Report, State, Verdict};
pub use request::{RequestError, RequestFile};

/// A component, ready to be called once.
pub struct Bench<'a> {
    /// The handler that it serves.
    pub handler: &'a HandlerConfig,
    /// The component.
    pub version: Version,
    /// What it is granted.
    pub granted: Grant,
    /// `host.source`.
    pub source: &'a str,
}

/// What surrounds the call.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The state of the key, JSON text.
    pub state: Option<&'a str>,
    /// The handler's settings, a JSON object as text.
    pub settings: &'a str,
    /// Milliseconds since 1970.
    pub now_millis: i64,
    /// Which try this is, from 1.
    pub attempt: u32,
}

/// Who the trigger is, for what it sets off.
#[derive(Clone, Copy)]
struct Origin<'a> {
    key: &'a str,
    correlation_id: Option<&'a str>,
    causation_id: Option<&'a str>,
}

/// What came of it, and why that is no outcome.
type Came = (Verdict, Option<String>, Outcome);

impl Bench<'_> {
    /// Runs the handler for an event, given as the bytes of a record's value. The key is `key`, else the one that the handler
    /// takes from the event; the record's key is what the field `key` beside the envelope's own says.
    pub fn event(&self, value: &[u8], key: Option<&str>, around: Around<'_>) -> Report {
        let envelope = match decode(Some(value)) {
            Ok(envelope) => envelope,
            Err(error) => return self.unheard(Verdict::Rejected, error.to_string()),
        };
        let beside = key_beside(value);
        let of_record = || self.handler.key.of(beside.as_deref().map(str::as_bytes), &envelope);
        let key = match key.map_or_else(of_record, |key| Ok(key.into())) {
            Ok(key) => key,
            Err(error) => return self.unheard(Verdict::Rejected, error.to_string()),
        };
        let key = &*key;
        let terms = &self.version.terms;
        match terms.incoming(&envelope.event_type, &envelope.version, envelope.payload.get()) {
            Ok(Incoming::Consumed) => {}
            Ok(Incoming::Ignored) => {
                let known = format!("the handler does not consume `{}`", envelope.event_type);
                return self.unheard(Verdict::Ignored, known);
            }
            Err(error) => return self.unheard(Verdict::Rejected, error.to_string()),
        }
        let event = event_view(key, &envelope);
        let origin = Origin {
            key,
            correlation_id: event.correlation_id,
            causation_id: Some(event.event_id),
        };
        self.call(Trigger::Event(event), origin, around)
    }

    /// Runs the handler for a request on one of its routes.
    ///
    /// # Errors
    /// [`RequestError::NotServed`] if it has no such route.
    pub fn request(&self, request: &RequestFile, around: Around<'_>) -> Result<Report, RequestError> {
        let work = request.work();
        if !self.granted.routes.contains(&(work.method.clone(), work.route.clone())) {
            return Err(RequestError::not_served(&work, &self.granted));
        }
        let origin = Origin {
            key: &work.key,
            correlation_id: Some(&work.correlation_id),
            causation_id: None,
        };
        let mut report = self.call(work.trigger(), origin, around);
        if report.outcome == Verdict::Done && report.reply.is_none() {
            report.gives_up(Verdict::Invalid, "the handler gave no reply".to_owned());
        }
        Ok(report)
    }

    fn call(&self, trigger: Trigger<'_>, origin: Origin<'_>, around: Around<'_>) -> Report {
        let context = Context {
            now_millis: around.now_millis,
            attempt: around.attempt,
            settings: around.settings,
        };
        let ((result, cpu), logs) = telemetry::overheard(|| {
            let before = sandman_sandbox::thread_cpu();
            let result = self.version.guest.invoke(trigger, around.state, context);
            (result, sandman_sandbox::thread_cpu().saturating_sub(before))
        });
        let (outcome, reason, out) = match result {
            Ok(out) => self.checked(out, origin, around.now_millis),
            Err(fault) => failed(fault),
        };
        Report::new(self, (outcome, reason), out)
            .cost(cpu, self.version.guest.peak_memory())
            .said(logs)
    }

    /// The outcome, if the host would take it.
    fn checked(&self, out: Outcome, origin: Origin<'_>, now_millis: i64) -> Came {
        let mint = Mint {
            source: self.source,
            now_millis,
            correlation_id: origin.correlation_id,
            causation_id: origin.causation_id,
            trace: None,
            id: Uuid::new_v4,
        };
        match records(out.events.clone(), origin.key, &self.version.terms, &mint) {
            Ok(_) => (Verdict::Done, None, out),
            Err(error) => (Verdict::Invalid, Some(error.to_string()), Outcome::default()),
        }
    }

    /// A trigger that never reaches the guest.
    fn unheard(&self, outcome: Verdict, reason: String) -> Report {
        Report::new(self, (outcome, Some(reason)), Outcome::default())
    }
}

fn failed(fault: Fault) -> Came {
    let (verdict, reason) = match fault {
        Fault::Rejected(reason) => (Verdict::Rejected, reason),
        Fault::Retry(reason) => (Verdict::Retry, reason),
        Fault::Trap(reason) => (Verdict::Trap, reason),
        Fault::Exceeded(reason) => (Verdict::Exceeded, reason),
        Fault::Invalid(reason) => (Verdict::Invalid, reason),
    };
    (verdict, Some(reason), Outcome::default())
}

/// The key in a file with an event to try: a field that no envelope has, and that the host ignores.
pub fn key_beside(value: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Beside {
        key: Option<String>,
    }
    json::object::<Beside>(value).ok()?.key
}
