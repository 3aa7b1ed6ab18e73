//! One invocation in the pipeline: counted, timed, and recorded if it failed or is part of the sample.

use std::time::Instant;

use crate::clock;
use crate::meters::Invoked;
use crate::registry::Handler;
use sandman_core::attempt::{AttemptFailure, Attempted, FailureCause, Surroundings, attempt};
use sandman_core::event::Record;
use sandman_core::outcome::Trigger;
use sandman_core::recording::{Capture, Cost, RecordedTrigger, Recording};
use sandman_core::store::RecordingWrite;
use sandman_core::version::Version;
use sandman_core::work::RequestWork;

/// The inputs of an invocation.
#[derive(Clone, Copy)]
pub(super) struct Invocation<'a> {
    pub(super) handler: &'a Handler,
    pub(super) version: &'a Version,
    pub(super) source: Source<'a>,
    pub(super) trigger: Trigger<'a>,
    pub(super) state: Option<&'a str>,
    pub(super) surroundings: &'a Surroundings<'a>,
    /// Whether it is recorded even if it is not part of the sample.
    pub(super) is_of_interest: bool,
}

/// The origin of the trigger, to be recorded.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Record(&'a Record),
    Request(&'a RequestWork),
}

impl Invocation<'_> {
    /// Runs the attempt, and returns the result and the recording, if any.
    pub(super) fn run(self) -> (Result<Attempted, AttemptFailure>, Option<Recording>) {
        let Self {
            handler,
            version,
            trigger,
            state,
            surroundings,
            ..
        } = self;
        let is_sampled = self.is_sampled();
        // A trigger that failed before may well fail again. Other failures are recorded without their CPU time, because
        // reading it costs a system call.
        let is_timed = is_sampled || surroundings.attempt > 1;
        let cpu = is_timed.then(clock::thread_cpu);
        let began = Instant::now();
        let result = attempt(version, trigger, state, surroundings);
        let elapsed = began.elapsed();
        let cpu = cpu.map(|before| clock::thread_cpu().saturating_sub(before));
        let invoked = match &result {
            Ok(Attempted::Ignored) => None,
            Ok(Attempted::Decided(_)) => Some(Invoked::Ok),
            Err(failure) => invoked(failure.cause),
        };
        if let Some(invoked) = invoked {
            handler.meters.seconds.record(elapsed);
            handler.meters.invoked(invoked).increment(1);
        }
        let is_kept = match &result {
            Ok(Attempted::Ignored) => false,
            Ok(Attempted::Decided(_)) => is_sampled,
            Err(_) => version.recordings.rate > 0,
        };
        let recording = is_kept.then(|| {
            let memory = version.guest.last_memory();
            self.capture()
                .recording(self.source.recorded(), &result, Cost { cpu, memory })
        });
        (result, recording)
    }

    fn is_sampled(&self) -> bool {
        let rate = self.version.recordings.rate;
        if rate == 0 {
            return false;
        }
        if self.is_of_interest {
            return true;
        }
        // Another thread is deciding at the moment: one recording of the two is enough.
        let Some(mut sampler) = self.handler.sampler.try_lock() else {
            return false;
        };
        let (key, kind) = match &self.trigger {
            Trigger::Event(event) => (event.key, event.event_type),
            Trigger::Request(request) => (request.key, request.route),
        };
        sampler.takes(rate, clock::monotonic_millis(), (key, kind))
    }

    fn capture(&self) -> Capture<'_> {
        let key = match &self.trigger {
            Trigger::Event(event) => event.key,
            Trigger::Request(request) => request.key,
        };
        Capture {
            version: self.version,
            key,
            state: self.state,
            surroundings: self.surroundings,
        }
    }
}

impl Source<'_> {
    fn recorded(self) -> RecordedTrigger {
        match self {
            Self::Record(record) => RecordedTrigger::Event(record.into()),
            Self::Request(work) => RecordedTrigger::Request(work.into()),
        }
    }
}

/// The recording as it is stored with its unit.
pub(super) fn write(handler: &Handler, version: &Version, recording: &Recording) -> Option<RecordingWrite> {
    let line = recording.line().ok()?;
    Some(RecordingWrite {
        handler: handler.name.clone(),
        keep: version.recordings.keep,
        line: line.into(),
    })
}

fn invoked(cause: FailureCause) -> Option<Invoked> {
    match cause {
        FailureCause::Trigger => None,
        FailureCause::Rejected => Some(Invoked::Rejected),
        FailureCause::Retry => Some(Invoked::Retry),
        FailureCause::Trap => Some(Invoked::Trap),
        FailureCause::Exceeded => Some(Invoked::Exceeded),
        FailureCause::Outcome | FailureCause::Emitted => Some(Invoked::Contract),
    }
}
