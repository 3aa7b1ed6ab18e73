//! The result of running a trigger, for the lanes and the committer.

use smallvec::SmallVec;

use sandman_core::lanes::{Change, Millis};
use sandman_core::unit::{Finish, Unit};
use sandman_core::work::EventWork;

/// The result of running a trigger.
pub(super) enum LaneResult {
    /// The trigger is done: an outcome, a dead letter, an answer, or nothing to do; a change for each of its lanes.
    Done(SmallVec<[Change; 1]>, Unit),
    /// It failed and is run again; the unit records the attempt.
    Again {
        failed: u32,
        due: Millis,
        unit: Option<Unit>,
    },
}

/// The finish of an event whose record is done.
pub(super) fn done(work: &EventWork, failed: u32) -> Finish {
    Finish::Done {
        partition: work.partition,
        span: work.span,
        failed,
        produced_millis: work.record.timestamp_millis,
        weight: work.record.weight(),
    }
}
