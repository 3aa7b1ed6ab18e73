//! How a handler stands: what an operator asks for, off the hot path.

use std::collections::BTreeSet;

use sandman_core::broker::Extent;
use sandman_core::event::TopicPartition;
use sandman_core::lanes::HandlerIx;
use sandman_core::progress::Progress;

use super::Pipeline;

/// What a handler has to do, at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandlerStatus {
    /// Triggers in memory, from intake to commit.
    pub in_flight: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Those of them that wait behind a back-off.
    pub parked: usize,
}

impl Pipeline {
    /// Makes room for a handler that came while the host runs, with its progress as the store has it.
    pub fn admit(&self, ix: HandlerIx, progress: Vec<(TopicPartition, Progress)>) {
        self.state.lock().admission.enter(ix, progress);
    }

    /// How the handler at `ix` stands.
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

    /// How many records of these partitions, of what the brokers have, the handler at `ix` has still to handle, whoever
    /// they are assigned to.
    pub fn waiting(&self, ix: HandlerIx, partitions: &[(TopicPartition, Extent)]) -> u64 {
        let state = self.state.lock();
        let waiting = partitions
            .iter()
            .map(|(name, extent)| state.admission.waiting(ix, name, *extent));
        waiting.sum()
    }

    /// Notes what the store has of the handler's partitions, for those that other hosts have: their lag counts from there.
    pub fn note_elsewhere(&self, ix: HandlerIx, all: Vec<(TopicPartition, Progress)>) {
        self.state.lock().admission.note_elsewhere(ix, all);
    }

    /// The partitions that the handler at `ix` is assigned.
    pub fn assigned_to(&self, ix: HandlerIx) -> BTreeSet<TopicPartition> {
        self.state.lock().admission.assigned(ix)
    }
}
