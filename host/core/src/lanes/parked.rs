//! Lanes that wait for a backoff to end, and how much work of each partition waits in them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::{LaneKey, Millis, PartitionIx, Work};

#[derive(Debug, Default)]
pub(super) struct Parked {
    due: BinaryHeap<Reverse<Due>>,
    waiting: HashMap<PartitionIx, Weight>,
}

/// Records and the bytes they hold in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Records.
    pub records: usize,
    /// Bytes.
    pub bytes: usize,
}

/// Ordered by time alone: which of two lanes due at once goes first does not matter.
#[derive(Debug)]
struct Due {
    at: Millis,
    lane: LaneKey,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl Parked {
    pub(super) fn park(&mut self, lane: &LaneKey, at: Millis) {
        self.due.push(Reverse(Due { at, lane: lane.clone() }));
    }

    /// A lane that is due; called again until it returns `None`.
    pub(super) fn due(&mut self, now: Millis) -> Option<(LaneKey, Millis)> {
        let Reverse(first) = self.due.peek()?;
        if first.at > now {
            return None;
        }
        self.due.pop().map(|Reverse(due)| (due.lane, due.at))
    }

    pub(super) fn next_due(&self) -> Option<Millis> {
        self.due.peek().map(|Reverse(due)| due.at)
    }

    pub(super) fn add<W: Work>(&mut self, work: &W) {
        if let Some(partition) = work.partition() {
            let waiting = self.waiting.entry(partition).or_default();
            waiting.records += 1;
            waiting.bytes += work.bytes();
        }
    }

    pub(super) fn sub<W: Work>(&mut self, work: &W) {
        let Some(partition) = work.partition() else { return };
        if let Some(waiting) = self.waiting.get_mut(&partition) {
            waiting.records = waiting.records.saturating_sub(1);
            waiting.bytes = waiting.bytes.saturating_sub(work.bytes());
            if waiting.records == 0 {
                self.waiting.remove(&partition);
            }
        }
    }

    pub(super) fn of(&self, partition: PartitionIx) -> Weight {
        self.waiting.get(&partition).copied().unwrap_or_default()
    }
}
