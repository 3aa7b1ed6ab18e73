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
        let mut shared = self.shared.lock();
        let room = usize::from(ix) + 1;
        if shared.load.len() < room {
            shared.load.resize(room, (0, 0));
        }
        for (name, progress) in progress {
            // What this process knows already is newer.
            shared.partitions.enter(ix, &name, Some(progress));
        }
    }

    /// How the handler at `ix` stands.
    pub fn status(&self, ix: HandlerIx) -> HandlerStatus {
        let shared = self.shared.lock();
        let (in_flight, bytes) = Self::load(&shared, ix);
        let mut status = HandlerStatus {
            in_flight,
            bytes,
            ..HandlerStatus::default()
        };
        for (partition_ix, _) in shared.partitions.of(ix) {
            status.parked += shared.lanes.parked(partition_ix).records;
        }
        status
    }

    /// How many records of these partitions, of what the brokers have, the handler at `ix` has still to handle, whoever
    /// they are assigned to.
    pub fn waiting(&self, ix: HandlerIx, partitions: &[(TopicPartition, Extent)]) -> u64 {
        let shared = self.shared.lock();
        let waiting = partitions.iter().map(|(name, extent)| {
            let known = shared
                .partitions
                .find(ix, name)
                .and_then(|at| shared.partitions.get(at));
            known.map_or_else(
                || u64::try_from(extent.end - extent.first).unwrap_or_default(),
                |partition| partition.waiting(*extent),
            )
        });
        waiting.sum()
    }

    /// The partitions that the handler at `ix` is assigned.
    pub fn assigned_to(&self, ix: HandlerIx) -> BTreeSet<TopicPartition> {
        let shared = self.shared.lock();
        let of = shared.partitions.of(ix).filter(|(_, partition)| partition.assigned);
        of.map(|(_, partition)| partition.name.clone()).collect()
    }
}
