//! An invocation from which a recording is made.

use std::time::Duration;

use super::{RECORDING_FORMAT, RecordedContext, RecordedOutcome, RecordedTrigger, Recording};
use crate::attempt::{AttemptFailure, Attempted, Surroundings};
use crate::version::Version;

/// What an invocation cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// CPU time, if it was measured.
    pub cpu: Option<Duration>,
    /// Linear memory that the instance held after it, in bytes.
    pub memory: u64,
}

/// What went into an invocation.
#[derive(Clone, Copy)]
pub struct Capture<'a> {
    /// The version that ran.
    pub version: &'a Version,
    /// The key that ordered the trigger.
    pub key: &'a str,
    /// The key's state before.
    pub state: Option<&'a str>,
    /// The other inputs of the attempt.
    pub surroundings: &'a Surroundings<'a>,
}

impl Capture<'_> {
    /// The recording of the invocation, with its outcome.
    pub fn recording(
        self,
        trigger: RecordedTrigger,
        result: &Result<Attempted, AttemptFailure>,
        cost: Cost,
    ) -> Recording {
        self.with(trigger, RecordedOutcome::of(result), cost)
    }

    /// The recording of a redriven letter whose event had been handled before.
    pub fn duplicate(self, trigger: RecordedTrigger) -> Recording {
        self.with(trigger, RecordedOutcome::Duplicate, Cost::default())
    }

    fn with(self, trigger: RecordedTrigger, outcome: RecordedOutcome, cost: Cost) -> Recording {
        let Self {
            version,
            key,
            state,
            surroundings,
        } = self;
        Recording {
            format: RECORDING_FORMAT,
            id: None,
            handler: surroundings.origin.handler.to_owned(),
            version: version.number,
            digest: version.digest.to_string(),
            key: key.to_owned(),
            trigger,
            state: state.map(str::to_owned),
            context: RecordedContext {
                now_millis: surroundings.now_millis,
                attempt: surroundings.attempt,
                settings: version.settings.to_string(),
                source: surroundings.source.to_owned(),
                limits: version.limits,
                reused: version.guest.reuses_instances(),
            },
            outcome,
            dead_letter: false,
            letter: None,
            cpu_micros: cost.cpu.map(|cpu| u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX)),
            memory_bytes: cost.memory,
        }
    }
}
