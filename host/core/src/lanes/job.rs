//! A trigger on its way through a worker, and what it came to.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Known, LaneKey};
use crate::outcome::StateChange;

/// A lane's part in a job.
#[derive(Clone, Debug)]
pub struct LaneSlot {
    /// The lane.
    pub lane: LaneKey,
    /// Its state; `None` means that the store has to be asked.
    pub state: Option<Known>,
}

/// A trigger that is to be run now, and the lanes it holds until it is handed back.
#[derive(Debug)]
pub struct Job<W> {
    /// The trigger.
    pub work: Arc<W>,
    /// Failures before this try.
    pub failed: u32,
    /// Its lanes, in the order in which they were named; an event has one.
    pub slots: SmallVec<[LaneSlot; 1]>,
    pub(super) generation: u64,
}

/// What one lane's part of a job came to.
#[derive(Clone, Debug)]
pub struct Change {
    /// The state that the trigger saw, with what the store said if it was asked; `None` if it is not known.
    pub seen: Option<Known>,
    /// What becomes of it.
    pub change: StateChange,
}
