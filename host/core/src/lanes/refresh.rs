//! Running some lanes again, on fresh states, while all others go on.

use std::collections::HashSet;
use std::sync::Arc;

use super::lane::{Queued, Taken};
use super::{LaneKey, Lanes, Work};

impl<W: Work> Lanes<W> {
    /// Forgets the states of these lanes, which another host has changed, and queues all their uncommitted work again,
    /// in order, including requests; the results of work that is running are dropped. If work holds several lanes, all
    /// of them are included. Returns all lanes that were reverted: units of them must be dropped.
    pub fn refresh(&mut self, stale: impl IntoIterator<Item = LaneKey>) -> HashSet<LaneKey> {
        let reverted = self.together(stale);
        self.generation += 1;
        for key in &reverted {
            self.cache.take(key);
            self.unready(key);
            if let Some(due) = self.wake(key)
                && let Some(head) = self.lanes.get_mut(key).and_then(|lane| lane.waiting.front_mut())
            {
                // Parked again when it reaches the head, behind earlier work.
                head.due = Some(due);
            }
            if let Some(lane) = self.lanes.get_mut(key) {
                lane.revert(self.generation, |_| true);
                lane.known = None;
            }
        }
        for key in &reverted {
            self.advance(key);
        }
        reverted
    }

    /// These lanes, and all that hold uncommitted work together with one of them.
    fn together(&self, stale: impl IntoIterator<Item = LaneKey>) -> HashSet<LaneKey> {
        let mut found: HashSet<LaneKey> = HashSet::new();
        let mut open: Vec<LaneKey> = stale.into_iter().collect();
        while let Some(key) = open.pop() {
            if found.contains(&key) {
                continue;
            }
            if let Some(lane) = self.lanes.get(&key) {
                let uncommitted = lane.ahead.iter().chain(&lane.running);
                let joint = uncommitted.filter_map(|taken| taken.joint.as_deref());
                open.extend(joint.flatten().cloned());
            }
            found.insert(key);
        }
        found
    }

    /// The lane's head is not at the head any more unless a worker has taken it: other work comes before it.
    fn unready(&mut self, key: &LaneKey) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        if !lane.busy || lane.out {
            return;
        }
        lane.busy = false;
        let Some(head) = lane.waiting.front().map(Queued::taken) else {
            return;
        };
        let was_ready = self.take_ready(&head);
        let Some(joint) = &head.joint else { return };
        // It has still reached the head of the other lanes.
        let arrived = match (was_ready, self.arrivals.remove(&head.id())) {
            (true, _) => joint.len(),
            (false, arrived) => arrived.unwrap_or_default(),
        };
        if arrived > 1 {
            self.arrivals.insert(head.id(), arrived - 1);
        }
    }

    fn take_ready(&mut self, head: &Taken<W>) -> bool {
        let before = self.ready.len();
        self.ready.retain(|ready| !Arc::ptr_eq(&ready.taken.work, &head.work));
        self.ready.len() < before
    }
}
