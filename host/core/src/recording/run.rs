//! Runs a recording again, with the same code that ran it first.

use uuid::Uuid;

use super::{RecordedOutcome, RecordedTrigger, Recording};
use crate::attempt::{AttemptFailure, FailureCause, Origin, Surroundings, attempt};
use crate::event::decode;
use crate::outcome::Trigger;
use crate::reason::ReasonCode;
use crate::version::Version;
use crate::work::event_view;

impl Recording {
    /// Runs the invocation again on `version`, with the recorded settings and the given state; with the recorded state,
    /// the outcome should be the same.
    pub fn run(&self, version: &Version, state: Option<&str>) -> RecordedOutcome {
        match &self.trigger {
            RecordedTrigger::Event(event) => {
                let value = event.value.as_ref().map(super::RecordedBytes::bytes);
                match decode(value.as_deref()) {
                    Ok(envelope) => self.call(version, Trigger::Event(event_view(&self.key, &envelope)), state),
                    Err(error) => RecordedOutcome::of(&Err(AttemptFailure {
                        cause: FailureCause::Trigger,
                        code: ReasonCode::Decode,
                        reason: error.to_string(),
                    })),
                }
            }
            RecordedTrigger::Request(request) => self.call(version, request.work(&self.key).trigger(), state),
        }
    }

    fn call(&self, version: &Version, trigger: Trigger<'_>, state: Option<&str>) -> RecordedOutcome {
        let surroundings = Surroundings {
            source: &self.context.source,
            now_millis: self.context.now_millis,
            attempt: self.context.attempt,
            trace: None,
            origin: Origin {
                handler: &self.handler,
                record: None,
            },
            settings: Some(&self.context.settings),
            // Outcomes are compared without the ids that the host generates.
            id: Uuid::nil,
        };
        RecordedOutcome::of(&attempt(version, trigger, state, &surroundings)).repeatable()
    }
}
