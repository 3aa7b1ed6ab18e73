//! Lanes: the queue of one key of one handler, run one trigger at a time, in order, ahead of the commit.
//!
//! Pure: no lock, no clock, no I/O. Time comes in as monotonic milliseconds. The engine puts a lock and threads around
//! it. A lane exists while it has work; the state of an idle key is in a bounded cache.
//!
//! A trigger passes through `waiting` -> `running` -> `ahead` (its unit waits for the commit) and is gone. When a
//! commit fails, everything ahead of it is put back to the front of `waiting` ([`Lanes::revert`]) and run again, which
//! is harmless because handlers are pure. If another host has changed a state in the meantime, this is done only for
//! the lanes concerned ([`Lanes::refresh`]).

mod cache;
mod job;
mod lane;
mod parked;
mod refresh;
mod revert;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ahash::RandomState;
use smallvec::{SmallVec, smallvec};

use crate::outcome::StateChange;
use crate::recent::RecentEvents;
use crate::store::Revision;

use cache::Cache;
use lane::{Lane, Queued, Taken};
use parked::Parked;

pub use job::{Change, Job, LaneSlot};
pub use parked::Weight;

/// Index of a handler in the registry, fixed for the life of the process.
pub type HandlerIx = u16;

/// Index of a (handler, partition) in the pipeline's table of partitions.
pub type PartitionIx = u32;

/// Monotonic milliseconds since some fixed instant.
pub type Millis = u64;

/// The name of a lane: one key of one handler.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LaneKey {
    /// The handler.
    pub handler: HandlerIx,
    /// The key.
    pub key: Arc<str>,
}

/// What lanes need to know of the work in them.
pub trait Work {
    /// The partition it came from; `None` for a request.
    fn partition(&self) -> Option<PartitionIx>;

    /// About how many bytes of memory it holds.
    fn bytes(&self) -> usize {
        0
    }

    /// Whether it runs before other work that waits in its lane, such as work that makes room for the others. Work of
    /// this kind stays in order among itself.
    fn goes_first(&self) -> bool {
        false
    }

    /// Whether it is run again after a failed commit. A request is not: its client gets an error and can try again.
    fn runs_again(&self) -> bool {
        self.partition().is_some()
    }
}

/// The newest state of a key that this process knows, committed or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its revision after the last commit; `None` if nothing is stored.
    pub base: Option<Revision>,
    /// The document that the next trigger sees.
    pub document: Option<Arc<str>>,
    /// The events that the key has handled last.
    pub recent: RecentEvents,
}

/// All lanes of all handlers.
#[derive(Debug)]
pub struct Lanes<W> {
    /// Keyed at random, since senders choose the keys.
    lanes: HashMap<LaneKey, Lane<W>, RandomState>,
    counts: HashMap<HandlerIx, usize>,
    cache: Cache,
    ready: VecDeque<Ready<W>>,
    parked: Parked,
    /// Joint work (a request of several handlers) that has reached the head of some of its lanes.
    arrivals: HashMap<usize, usize>,
    /// How often lanes were reverted.
    generation: u64,
}

#[derive(Debug)]
struct Ready<W> {
    taken: Taken<W>,
    lanes: SmallVec<[LaneKey; 1]>,
}

impl<W: Work> Lanes<W> {
    /// Lanes with a cache of at most `cache_bytes` for the states of idle keys.
    pub fn new(cache_bytes: usize) -> Self {
        Self {
            lanes: HashMap::default(),
            counts: HashMap::new(),
            cache: Cache::new(cache_bytes),
            ready: VecDeque::new(),
            parked: Parked::default(),
            arrivals: HashMap::new(),
            generation: 0,
        }
    }

    /// Puts work at the end of its lane, or, if it goes first, behind other work that does. It has failed `failed`
    /// times before, and is not run before `due`.
    pub fn offer(&mut self, lane: LaneKey, work: Arc<W>, failed: u32, due: Option<Millis>) {
        self.enqueue(&lane, Queued::single(work, failed, due));
        self.advance(&lane);
    }

    /// Puts work at the end of several lanes at once; it runs when it has reached the head of all of them.
    pub fn offer_joint(&mut self, lanes: &[LaneKey], work: &Arc<W>) {
        for lane in lanes {
            self.enqueue(lane, Queued::joint(Arc::clone(work), lanes));
        }
        for lane in lanes {
            self.advance(lane);
        }
    }

    fn enqueue(&mut self, key: &LaneKey, queued: Queued<W>) {
        let lane = self.lanes.entry(key.clone()).or_insert_with(|| {
            *self.counts.entry(key.handler).or_insert(0) += 1;
            Lane::new(self.cache.take(key), self.generation)
        });
        if queued.work.goes_first() {
            return self.enqueue_first(key, queued);
        }
        if lane.due.is_some() {
            self.parked.add(&*queued.work);
        }
        lane.waiting.push_back(queued);
    }

    fn enqueue_first(&mut self, key: &LaneKey, queued: Queued<W>) {
        let first = self.lanes.get(key).map_or(0, Lane::first);
        if first == 0
            && let Some(due) = self.wake(key)
            && let Some(head) = self.lanes.get_mut(key).and_then(|lane| lane.waiting.front_mut())
        {
            // Parked again when it reaches the head.
            head.due = Some(due);
        }
        let Some(lane) = self.lanes.get_mut(key) else { return };
        if lane.due.is_some() {
            self.parked.add(&*queued.work);
        }
        lane.waiting.insert(first, queued);
    }

    /// Looks at the head of a lane that may have become free, and makes it ready, parks it, or, if there is none,
    /// retires the lane.
    fn advance(&mut self, key: &LaneKey) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        if lane.busy || lane.due.is_some() {
            return;
        }
        let Some(head) = lane.waiting.front_mut() else {
            if lane.ahead.is_empty()
                && let Some(lane) = self.lanes.remove(key)
            {
                if let Some(count) = self.counts.get_mut(&key.handler) {
                    *count -= 1;
                }
                if let Some(known) = lane.known {
                    self.cache.put(key.clone(), known);
                }
            }
            return;
        };
        if let Some(due) = head.due.take() {
            lane.due = Some(due);
            for queued in &lane.waiting {
                self.parked.add(&*queued.work);
            }
            self.parked.park(key, due);
            return;
        }
        lane.busy = true;
        let taken = head.taken();
        let lanes = match &head.joint {
            None => smallvec![key.clone()],
            Some(all) => {
                let id = taken.id();
                let arrived = self.arrivals.entry(id).or_insert(0);
                *arrived += 1;
                if *arrived < all.len() {
                    return;
                }
                self.arrivals.remove(&id);
                all.iter().cloned().collect()
            }
        };
        self.ready.push_back(Ready { taken, lanes });
    }

    /// Wakes the parked lanes that are due at `now`.
    pub fn wake_due(&mut self, now: Millis) {
        while let Some((key, at)) = self.parked.due(now) {
            // The entry of a lane that was woken early, and perhaps parked again, is stale.
            if self.lanes.get(&key).is_some_and(|lane| lane.due == Some(at)) {
                self.wake(&key);
                self.advance(&key);
            }
        }
    }

    /// The next trigger to run, and its lanes' states. Wakes parked lanes that are due at `now`.
    pub fn take(&mut self, now: Millis) -> Option<Job<W>> {
        self.wake_due(now);
        let Ready { taken, lanes } = self.ready.pop_front()?;
        let mut slots = SmallVec::with_capacity(lanes.len());
        for key in lanes {
            let state = self.lanes.get_mut(&key).and_then(|lane| {
                lane.waiting.pop_front();
                lane.out = true;
                lane.running = Some(taken.clone());
                lane.known.clone()
            });
            slots.push(LaneSlot { lane: key, state });
        }
        let Taken { work, failed, .. } = taken;
        let generation = self.generation;
        Some(Job {
            work,
            failed,
            slots,
            generation,
        })
    }

    /// When the next parked lane is due.
    pub fn next_due(&self) -> Option<Millis> {
        self.parked.next_due()
    }

    /// How many triggers could run now.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Whether there is something to run now.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Hands back a job whose unit goes to the commit: `changes` holds one entry per slot. The lanes continue with the
    /// new states. Returns `false` if one of the lanes was reverted in the meantime: then the job's unit must be
    /// dropped.
    pub fn ran(&mut self, job: Job<W>, changes: impl IntoIterator<Item = Change>) -> bool {
        let current = self.is_current(&job);
        for (slot, Change { seen, change }) in job.slots.into_iter().zip(changes) {
            let Some(lane) = self.lanes.get_mut(&slot.lane) else {
                continue;
            };
            let taken = lane.release();
            if current {
                if let Some(mut seen) = seen {
                    match change {
                        StateChange::Keep => {}
                        StateChange::Put(document) => seen.document = Some(document),
                        StateChange::Delete => seen.document = None,
                    }
                    // The base may have moved on while the job ran: a commit of this lane's earlier work.
                    if let Some(known) = &lane.known {
                        seen.base = known.base;
                    }
                    lane.known = Some(seen);
                }
                let single = || Taken::single(Arc::clone(&job.work), job.failed);
                lane.ahead.push_back(taken.unwrap_or_else(single));
            }
            self.advance(&slot.lane);
        }
        current
    }

    /// Hands back a job that failed and is to be run again at `due`, before everything else in its lane except work
    /// that goes first. Returns `false` if the lane was reverted in the meantime, which has already put it back.
    pub fn park(&mut self, job: Job<W>, failed: u32, due: Millis) -> bool {
        let current = self.is_current(&job);
        for slot in job.slots {
            let Some(lane) = self.lanes.get_mut(&slot.lane) else {
                continue;
            };
            lane.release();
            if current {
                let queued = Queued::single(Arc::clone(&job.work), failed, Some(due));
                let place = if job.work.goes_first() { 0 } else { lane.first() };
                lane.waiting.insert(place, queued);
            }
            self.advance(&slot.lane);
        }
        current
    }

    /// Whether none of the job's lanes was reverted since it was taken.
    fn is_current(&self, job: &Job<W>) -> bool {
        job.slots.iter().all(|slot| {
            let lane = self.lanes.get(&slot.lane);
            lane.is_none_or(|lane| lane.reverted <= job.generation)
        })
    }

    /// The revision of a lane's state after the last commit; `None` if it is not known because nothing has read it.
    pub fn base(&self, key: &LaneKey) -> Option<Option<Revision>> {
        let known = self.lanes.get(key)?.known.as_ref()?;
        Some(known.base)
    }

    /// A commit has written the lane's state.
    pub fn rebase(&mut self, key: &LaneKey, base: Option<Revision>) {
        if let Some(known) = self.lanes.get_mut(key).and_then(|lane| lane.known.as_mut()) {
            known.base = base;
        }
    }

    /// The oldest work that ran ahead in this lane is committed.
    pub fn committed(&mut self, key: &LaneKey) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.ahead.pop_front();
            self.advance(key);
        }
    }

    /// Ends the parking of a lane, and returns the time until which it was parked.
    fn wake(&mut self, key: &LaneKey) -> Option<Millis> {
        let lane = self.lanes.get_mut(key)?;
        let due = lane.due.take()?;
        for queued in &lane.waiting {
            self.parked.sub(&*queued.work);
        }
        Some(due)
    }

    /// Wakes the lanes of a handler that are parked until `due` or later.
    pub fn wake_parked(&mut self, handler: HandlerIx, due: Millis) {
        let parked = |(key, lane): (&LaneKey, &Lane<W>)| {
            (key.handler == handler && lane.due.is_some_and(|until| until >= due)).then(|| key.clone())
        };
        let keys: Vec<LaneKey> = self.lanes.iter().filter_map(parked).collect();
        for key in keys {
            self.wake(&key);
            self.advance(&key);
        }
    }

    /// How much work of a partition waits in parked lanes.
    pub fn parked(&self, partition: PartitionIx) -> Weight {
        self.parked.of(partition)
    }

    /// Lanes of a handler that have work.
    pub fn count(&self, handler: HandlerIx) -> usize {
        self.counts.get(&handler).copied().unwrap_or(0)
    }

    /// Forgets the states of a handler's idle keys, so that the store is asked again.
    pub fn forget_idle(&mut self, handler: HandlerIx) {
        self.cache.forget(handler);
    }

    /// Bytes of the states of idle keys.
    pub fn cached_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Whether nothing runs, is ready, or waits for a commit; parked lanes do not count.
    pub fn is_settled(&self) -> bool {
        self.lanes
            .values()
            .all(|lane| lane.due.is_some() && !lane.out && lane.ahead.is_empty())
    }
}
