//! The status of a handler for operators, off the hot path.

use std::collections::BTreeSet;

use sandman_core::broker::Extent;
use sandman_core::event::TopicPartition;
use sandman_core::lanes::HandlerIx;
use sandman_core::progress::Progress;

use super::Pipeline;

/// The current work of a handler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandlerStatus {
    /// Triggers in memory, from intake to commit.
    pub in_flight: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Those of them that wait behind a backoff.
    pub parked: usize,
}

impl Pipeline {
    /// Adds a handler while the host runs, with its progress from the store.
    pub fn admit(&self, ix: HandlerIx, progress: Vec<(TopicPartition, Progress)>) {
        self.state.lock().admission.enter(ix, progress);
    }

    /// The status of the handler at `ix`.
    pub fn status(&self, ix: HandlerIx) -> HandlerStatus {
        let state = self.state.lock();
        let (in_flight, bytes) = state.admission.load(ix);
        let parked = state.admission.of(ix);
        let parked = parked.map(|(partition, _)| state.scheduler.parked(partition).records);
        HandlerStatus {
            in_flight,
            bytes,
            parked: parked.sum(),
        }
    }

    /// How many records of these partitions, of those on the brokers, the handler at `ix` still has to handle,
    /// whichever host they are assigned to.
    pub fn waiting(&self, ix: HandlerIx, partitions: &[(TopicPartition, Extent)]) -> u64 {
        let state = self.state.lock();
        let waiting = partitions
            .iter()
            .map(|(name, extent)| state.admission.waiting(ix, name, *extent));
        waiting.sum()
    }

    /// Records the store's progress in the handler's partitions, for those that other hosts have: their lag is counted from it.
    pub fn note_elsewhere(&self, ix: HandlerIx, all: Vec<(TopicPartition, Progress)>) {
        self.state.lock().admission.note_elsewhere(ix, all);
    }

    /// The partitions that the handler at `ix` is assigned.
    pub fn assigned_to(&self, ix: HandlerIx) -> BTreeSet<TopicPartition> {
        self.state.lock().admission.assigned(ix)
    }
}
