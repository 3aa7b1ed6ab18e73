//! `sandman invoke`: runs one component once, without Kafka or a store, and without any effect.
//!
//! The trigger passes the same steps and checks as in the host, so that a dead letter can be reproduced: decode,
//! contract, guest, contract again.

mod report;
mod request;

use uuid::Uuid;

use crate::telemetry;
use sandman_config::HandlerConfig;
use sandman_core::attempt::{AttemptFailure, Attempted, Decision, FailureCause, Origin, Surroundings, attempt};
use sandman_core::contract::Grant;
use sandman_core::event::decode;
use sandman_core::json;
use sandman_core::outcome::Trigger;
use sandman_core::version::Version;
use sandman_core::work::event_view;

pub use report::{Emitted, InvokeReport, InvokeVerdict, State};
pub use request::{RequestError, RequestFile};

/// A component, ready to be called once.
pub struct Bench<'a> {
    /// The handler.
    pub handler: &'a HandlerConfig,
    /// The component.
    pub version: Version,
    /// Its grant.
    pub granted: Grant,
    /// `host.source`.
    pub source: &'a str,
}

/// The other inputs of the call.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The state of the key, JSON text.
    pub state: Option<&'a str>,
    /// The handler's settings, a JSON object as text.
    pub settings: &'a str,
    /// Milliseconds since 1970.
    pub now_millis: i64,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// How it ended, why there is no decision, and the decision.
type InvokeEnd = (InvokeVerdict, Option<String>, Decision);

impl Bench<'_> {
    /// Runs the handler for an event, given as the bytes of a record's value. The key is `key`, or else the one that
    /// the handler takes from the event; the record's key is the additional field `key` of the file.
    pub fn event(&self, value: &[u8], key: Option<&str>, around: Around<'_>) -> InvokeReport {
        let envelope = match decode(Some(value)) {
            Ok(envelope) => envelope,
            Err(error) => return self.unheard(InvokeVerdict::Rejected, error.to_string()),
        };
        let beside = key_beside(value);
        let of_record = || self.handler.key.of(beside.as_deref().map(str::as_bytes), &envelope);
        let key = match key.map_or_else(of_record, |key| Ok(key.into())) {
            Ok(key) => key,
            Err(error) => return self.unheard(InvokeVerdict::Rejected, error.to_string()),
        };
        self.call(Trigger::Event(event_view(&key, &envelope)), &key, around)
    }

    /// Runs the handler for a request on one of its routes.
    ///
    /// # Errors
    /// [`RequestError::NotServed`] if it has no such route.
    pub fn request(&self, request: &RequestFile, around: Around<'_>) -> Result<InvokeReport, RequestError> {
        let work = request.work();
        if !self.granted.routes.contains(&(work.method.clone(), work.route.clone())) {
            return Err(RequestError::not_served(&work, &self.granted));
        }
        Ok(self.call(work.trigger(), &work.key, around))
    }

    fn call(&self, trigger: Trigger<'_>, key: &str, around: Around<'_>) -> InvokeReport {
        let surroundings = Surroundings {
            source: self.source,
            now_millis: around.now_millis,
            attempt: around.attempt,
            trace: None,
            origin: Origin {
                handler: &self.handler.name,
                record: None,
            },
            settings: None,
            id: Uuid::new_v4,
        };
        let ((result, cpu), logs) = telemetry::overheard(|| {
            let before = sandman_sandbox::thread_cpu();
            let result = attempt(&self.version, trigger, around.state, &surroundings);
            (result, sandman_sandbox::thread_cpu().saturating_sub(before))
        });
        let (verdict, reason, decision) = match (result, trigger) {
            (Ok(Attempted::Decided(decision)), _) => (InvokeVerdict::Done, None, decision),
            (Ok(Attempted::Ignored), Trigger::Event(event)) => {
                return self.unheard(InvokeVerdict::Ignored, self.not_consumed(event.event_type));
            }
            (Ok(Attempted::Ignored), Trigger::Request(_)) => (InvokeVerdict::Ignored, None, Decision::default()),
            (Err(failure), _) => failed(failure),
        };
        InvokeReport::new(self, (verdict, reason), (decision, key))
            .cost(cpu, self.version.guest.peak_memory())
            .said(logs)
    }

    /// A type that is misspelt in the handler or in the event shows beside the types that are consumed.
    fn not_consumed(&self, event_type: &str) -> String {
        let consumed = self.version.terms.consumed();
        if consumed.is_empty() {
            return format!("the handler does not consume `{event_type}`, nor any other event");
        }
        format!(
            "the handler does not consume `{event_type}`; it consumes `{}`",
            consumed.join("`, `")
        )
    }

    /// The report for a trigger that does not reach the guest.
    fn unheard(&self, outcome: InvokeVerdict, reason: String) -> InvokeReport {
        InvokeReport::new(self, (outcome, Some(reason)), (Decision::default(), ""))
    }
}

fn failed(failure: AttemptFailure) -> InvokeEnd {
    let verdict = match failure.cause {
        FailureCause::Trigger | FailureCause::Rejected => InvokeVerdict::Rejected,
        FailureCause::Retry => InvokeVerdict::Retry,
        FailureCause::Trap => InvokeVerdict::Trap,
        FailureCause::Exceeded => InvokeVerdict::Exceeded,
        FailureCause::Outcome | FailureCause::Emitted => InvokeVerdict::Invalid,
    };
    (verdict, Some(failure.reason), Decision::default())
}

/// The key in a sample event's file: an additional field, which the host ignores.
pub fn key_beside(value: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Beside {
        key: Option<String>,
    }
    json::object::<Beside>(value).ok()?.key
}
