//! Reverting work: everything that is not committed, or the waiting work of a partition.

use std::collections::VecDeque;
use std::sync::Arc;

use super::lane::Queued;
use super::{LaneKey, Lanes, PartitionIx, Work};

impl<W: Work> Lanes<W> {
    /// Queues everything that is not committed again, in order; the results of work that is running are dropped.
    /// Returns the work that is not run again (requests), each once.
    pub fn revert(&mut self) -> Vec<Arc<W>> {
        self.generation += 1;
        self.arrivals.clear();
        self.ready.clear();
        let mut dropped: Vec<Arc<W>> = Vec::new();
        let keys: Vec<LaneKey> = self.lanes.keys().cloned().collect();
        for key in &keys {
            if let Some(due) = self.wake(key)
                && let Some(head) = self.lanes.get_mut(key).and_then(|lane| lane.waiting.front_mut())
            {
                // Parked again when it reaches the head, behind the work that it depends on.
                head.due = Some(due);
            }
            let Some(lane) = self.lanes.get_mut(key) else { continue };
            for work in lane.revert(self.generation, Work::runs_again) {
                if !dropped.iter().any(|known| Arc::ptr_eq(known, &work)) {
                    dropped.push(work);
                }
            }
        }
        for key in &keys {
            self.advance(key);
        }
        dropped
    }

    /// Removes the waiting work of a partition that is no longer ours. Work that runs or is ahead of the commit stays.
    pub fn purge(&mut self, partition: PartitionIx) -> Vec<Arc<W>> {
        let mut purged = Vec::new();
        let keys: Vec<LaneKey> = self.lanes.keys().cloned().collect();
        for key in keys {
            let Some(lane) = self.lanes.get_mut(&key) else { continue };
            let theirs = |queued: &Queued<W>| queued.work.partition() == Some(partition);
            let head_goes = lane.waiting.front().is_some_and(theirs);
            let (gone, stays) = lane.waiting.drain(..).partition::<VecDeque<_>, _>(theirs);
            lane.waiting = stays;
            if lane.due.is_some() {
                for queued in &gone {
                    self.parked.sub(&*queued.work);
                }
                if head_goes {
                    self.wake(&key);
                }
            } else if head_goes && lane.busy && !lane.out {
                // The head was ready, but nobody had taken it yet.
                lane.busy = false;
                self.ready.retain(|ready| !ready.lanes.contains(&key));
            }
            purged.extend(gone.into_iter().map(|queued| queued.work));
            self.advance(&key);
        }
        purged
    }
}
