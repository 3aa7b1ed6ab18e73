//! Lanes that wait for a back-off to end, and how much work of each partition waits in them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::{LaneKey, Millis, PartitionIx};

#[derive(Debug, Default)]
pub(super) struct Parked {
    due: BinaryHeap<Reverse<Due>>,
    waiting: HashMap<PartitionIx, usize>,
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
    pub(super) fn park(&mut self, lane: &LaneKey, at: Millis, work: impl Iterator<Item = Option<PartitionIx>>) {
        self.due.push(Reverse(Due { at, lane: lane.clone() }));
        for partition in work {
            self.add(partition);
        }
    }

    /// A lane whose time has come; asked again until it answers none.
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

    pub(super) fn add(&mut self, partition: Option<PartitionIx>) {
        if let Some(partition) = partition {
            *self.waiting.entry(partition).or_insert(0) += 1;
        }
    }

    pub(super) fn sub(&mut self, partition: Option<PartitionIx>) {
        if let Some(partition) = partition {
            self.remove(partition, 1);
        }
    }

    pub(super) fn remove(&mut self, partition: PartitionIx, count: usize) {
        if let Some(waiting) = self.waiting.get_mut(&partition) {
            *waiting = waiting.saturating_sub(count);
            if *waiting == 0 {
                self.waiting.remove(&partition);
            }
        }
    }

    pub(super) fn of(&self, partition: PartitionIx) -> usize {
        self.waiting.get(&partition).copied().unwrap_or(0)
    }
}
