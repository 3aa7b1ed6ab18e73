//! How a handler stands: what an operator asks for, off the hot path.

use crate::event::TopicPartition;
use crate::lanes::HandlerIx;
use crate::progress::Progress;

use super::Pipeline;

/// What a handler has to do, at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Messages on Kafka that are not completed, over all partitions this host has; `None` as long as Kafka has not told.
    pub lag: Option<u64>,
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
        let mut desk = self.desk.lock();
        let room = usize::from(ix) + 1;
        if desk.load.len() < room {
            desk.load.resize(room, (0, 0));
        }
        for (name, progress) in progress {
            // What this process knows already is newer.
            desk.partitions.enter(ix, &name, Some(progress));
        }
    }

    /// How the handler at `ix` stands.
    pub fn standing(&self, ix: HandlerIx) -> Standing {
        let desk = self.desk.lock();
        let (in_flight, bytes) = Self::load(&desk, ix);
        let mut standing = Standing {
            in_flight,
            bytes,
            ..Standing::default()
        };
        for (partition_ix, partition) in desk.partitions.of(ix) {
            standing.parked += desk.lanes.parked(partition_ix).records;
            if let Some(behind) = partition.behind().filter(|_| partition.assigned) {
                let behind = u64::try_from(behind).unwrap_or_default();
                standing.lag = Some(standing.lag.unwrap_or_default() + behind);
            }
        }
        standing
    }
}
