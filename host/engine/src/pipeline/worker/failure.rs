//! An event whose attempt failed: it is run again, given up, or pauses its handler.

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use sandman_core::attempt::AttemptFailure;
use sandman_core::event::key_hash;
use sandman_core::lanes::{Job, Known, Millis};
use sandman_core::limits::Exhausted;
use sandman_core::outcome::StateChange;
use sandman_core::printable;
use sandman_core::reason::GivenUp;
use sandman_core::recording::Recording;
use sandman_core::store::{Attempts, Hold, LetterWrite};
use sandman_core::unit::{Finish, Unit};
use sandman_core::version::Version;
use sandman_core::work::{EventWork, Input};

use super::super::lane_result::LaneResult;
use super::super::{letter, pause};
use super::{Try, done_with};

impl Try<'_> {
    /// The attempt failed.
    pub(super) fn refused(
        &self,
        job: &Job<Input>,
        (version, seen): (&Version, Known),
        failure: &AttemptFailure,
        recording: Option<Recording>,
    ) -> LaneResult {
        let failed = job.failed + 1;
        let wait = version.retry.wait_after(failed).filter(|_| failure.cause.may_pass());
        if wait.is_none()
            && self.letter.is_none()
            && let Some(reason) = self.reason_to_pause(version, failure)
        {
            let mut unit = pause::unit(self.handler, self.work, reason);
            self.keep(&mut unit, version, recording);
            let (failed, due, unit) = (0, pause::until(), Some(unit));
            return LaneResult::Again { failed, due, unit };
        }
        self.tell(job, version, failure, wait);
        let Some(wait) = wait else {
            return self.give_up(job, (version, seen), failure, recording);
        };
        let (due, mut unit) = match self.letter {
            // The failures of a letter count from the start of this redrive.
            Some(_) => (due(wait), letter::nothing(Finish::Ordered(0))),
            None => again(self.work, failed, wait),
        };
        self.keep(&mut unit, version, recording);
        let unit = Some(unit);
        LaneResult::Again { failed, due, unit }
    }

    fn give_up(
        &self,
        job: &Job<Input>,
        (version, seen): (&Version, Known),
        failure: &AttemptFailure,
        mut recording: Option<Recording>,
    ) -> LaneResult {
        let given_up = GivenUp {
            code: failure.code,
            reason: printable::line(&failure.reason, printable::LONGEST).into_owned(),
            version: version.number,
            digest: Arc::clone(&version.digest),
            attempts: job.failed + u32::from(failure.cause.called()),
            state: seen.document.clone(),
            at_millis: clock::wall_millis(),
        };
        let (records, letters) = match self.letter {
            Some(letter) => {
                self.handler.meters.redriven(false);
                let stays = LetterWrite::Failed(letter.id, Box::new(given_up));
                (Vec::new(), vec![stays])
            }
            None => {
                let hold = match version.retry.exhausted {
                    Exhausted::HoldKey => Hold::Head,
                    Exhausted::DeadLetter | Exhausted::PauseHandler => Hold::No,
                };
                let trigger = (&self.work.record, Some(&self.work.key));
                letter::given_up(self.options, self.handler, trigger, (given_up, hold))
            }
        };
        let change = StateChange::Keep;
        let mut unit = Unit {
            letters,
            ..self.unit(job, change.clone(), records)
        };
        if let Some(recording) = &mut recording {
            recording.dead_letter = true;
        }
        self.keep(&mut unit, version, recording);
        done_with(seen, change, unit)
    }

    /// Why the handler pauses instead of giving up the trigger; `None`: it gives it up.
    fn reason_to_pause(&self, version: &Version, failure: &AttemptFailure) -> Option<String> {
        let (number, reason) = (version.number, failure.without_guest_text());
        if version.retry.exhausted == Exhausted::PauseHandler {
            return Some(format!("a trigger failed for good on version {number}: {reason}"));
        }
        let policy = version.retry.failing.as_ref()?;
        let failed = self.handler.failing.lock().note(number, true, policy)?;
        let of = policy.of;
        Some(format!(
            "{failed} of the last {of} triggers failed on version {number}; the last one: {reason}"
        ))
    }

    /// A guest's text may contain user data, so the log has only the code and the host's own text.
    fn tell(&self, job: &Job<Input>, version: &Version, failure: &AttemptFailure, wait: Option<Duration>) {
        let (code, reason) = (failure.code.word(), &*failure.without_guest_text());
        let (record, failed) = (&self.work.record, job.failed + 1);
        let (topic, partition, offset) = (&record.source.topic, record.source.partition, record.offset);
        let (handler, version, key) = (&*self.handler.name, version.number, key_hash(&self.work.key));
        let meters = self.handler.meters.topic(topic);
        if self.letter.is_some() {
            let again = wait.is_some();
            tracing::warn!(handler, version, key, %topic, partition, offset, failed, again, code, reason, "a redriven dead letter failed");
        } else if let Some(wait) = wait {
            tracing::warn!(handler, version, key, %topic, partition, offset, failed, ?wait, code, reason, "trying again later");
            meters.inspect(|meters| meters.retries.increment(1));
        } else {
            tracing::error!(handler, version, key, %topic, partition, offset, failed, code, reason, "given up, dead letter");
            meters.inspect(|meters| meters.dead_letters.increment(1));
        }
    }
}

/// Puts the record back to the head of its lane until it is due; its failure is kept across a restart.
fn again(work: &EventWork, failed: u32, wait: Duration) -> (Millis, Unit) {
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let attempts = Attempts {
        offset: work.record.offset,
        failed,
        due_millis: clock::wall_millis().saturating_add_unsigned(millis),
    };
    let unit = letter::nothing(Finish::Attempt {
        partition: work.partition,
        attempts,
    });
    (due(wait), unit)
}

/// The time after a wait, by the monotonic clock.
fn due(wait: Duration) -> Millis {
    clock::monotonic_millis() + u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}
