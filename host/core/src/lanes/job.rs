//! A trigger that a worker runs, and its result.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Known, LaneKey};
use crate::outcome::StateChange;

/// A lane's part in a job.
#[derive(Clone, Debug)]
pub struct LaneSlot {
    /// The lane.
    pub lane: LaneKey,
    /// Its state; `None` if the store has to be asked.
    pub state: Option<Known>,
}

/// A trigger that is to be run now, and the lanes it holds until it is handed back.
#[derive(Debug)]
pub struct Job<W> {
    /// The trigger.
    pub work: Arc<W>,
    /// Failures before this attempt.
    pub failed: u32,
    /// Its lanes, in the order in which they were named; an event has one.
    pub slots: SmallVec<[LaneSlot; 1]>,
    pub(super) generation: u64,
}

/// The result of one lane's part of a job.
#[derive(Clone, Debug)]
pub struct Change {
    /// The state that the trigger saw, including that of the store if it was asked; `None` if it is not known.
    pub seen: Option<Known>,
    /// The change of it.
    pub change: StateChange,
}
