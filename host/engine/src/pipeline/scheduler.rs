//! The scheduler: the lanes, and the workers that run the triggers at their heads.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, MutexGuard};

use super::lane_result::LaneResult;
use super::workers::{HELD_UP, Watch, WorkerIx, Workers};
use crate::clock;
use sandman_core::lanes::{HandlerIx, Job, LaneKey, Lanes, Millis, PartitionIx, Weight};
use sandman_core::store::Revision;
use sandman_core::unit::Unit;
use sandman_core::work::Input;

/// With this many triggers ready a worker is woken, even if more records are about to come.
const GATHERED: usize = 16;

/// Lanes and workers; behind the pipeline's lock. Every method that makes a lane ready also ensures that a worker will run it.
#[derive(Debug)]
pub(super) struct Scheduler {
    lanes: Lanes<Input>,
    workers: Workers,
    idle: Arc<IdleWorkers>,
}

/// How an idle worker waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rest {
    /// Until it is woken.
    UntilWanted,
    /// As the watcher: for this time, or until it is woken.
    Watching(Option<Duration>),
}

/// Where workers rest.
#[derive(Debug, Default)]
pub(super) struct IdleWorkers {
    idle: Condvar,
    watch: Condvar,
}

impl Scheduler {
    /// A scheduler for a number of cores, with a cache for the states of idle keys.
    pub(super) fn new(cache_bytes: usize, cores: usize, idle: Arc<IdleWorkers>) -> Self {
        Self {
            lanes: Lanes::new(cache_bytes),
            workers: Workers::new(cores),
            idle,
        }
    }

    /// Puts a record's trigger into its lane, with its failed attempts and due time. Records come in batches: a worker
    /// is woken for several of them, or when there are no more ([`Scheduler::wake`]).
    pub(super) fn offer(&mut self, lane: LaneKey, input: Input, (failed, due): (u32, Option<Millis>)) {
        self.lanes.offer(lane, Arc::new(input), failed, due);
        if self.lanes.ready() >= GATHERED {
            self.wake();
        }
    }

    /// Puts a trigger into all of these lanes; it runs once it is at the head of each.
    pub(super) fn offer_joint(&mut self, lanes: &[LaneKey], input: Input) {
        self.lanes.offer_joint(lanes, &Arc::new(input));
        self.wake();
    }

    /// A worker starts its life, awake.
    pub(super) fn join(&mut self) -> WorkerIx {
        self.workers.join()
    }

    /// The next trigger for this worker, if there is one and too few workers run.
    pub(super) fn start(&mut self, worker: WorkerIx, now: Millis) -> Option<Job<Input>> {
        self.lanes.wake_due(now);
        if !self.workers.may_run() {
            return None;
        }
        let job = self.lanes.take(now)?;
        self.workers.began(worker, now);
        self.wake();
        Some(job)
    }

    /// The worker's trigger has run. The worker looks for its next one right afterwards, and so handles what has become ready.
    pub(super) fn ended(&mut self, worker: WorkerIx) {
        self.workers.ended(worker);
    }

    /// Takes a job back. Returns its unit, unless it was overtaken: then it is run again.
    pub(super) fn hand_back(&mut self, job: Job<Input>, ran: LaneResult) -> Option<Unit> {
        match ran {
            LaneResult::Done(changes, unit) => self.lanes.ran(job, changes).then_some(unit),
            LaneResult::Again { failed, due, unit } => match self.lanes.park(job, failed, due) {
                true => unit,
                false => None,
            },
        }
    }

    /// Whether units are expected soon.
    pub(super) fn is_busy(&self) -> bool {
        self.workers.any_runs() || self.lanes.has_ready()
    }

    /// The oldest trigger that ran ahead in the lane is committed.
    pub(super) fn committed(&mut self, lane: &LaneKey) {
        self.lanes.committed(lane);
    }

    /// A commit has written the lane's state.
    pub(super) fn rebase(&mut self, lane: &LaneKey, revision: Option<Revision>) {
        self.lanes.rebase(lane, revision);
    }

    /// Forgets the waiting work of a partition. Work of other partitions may then be at the head of its lanes.
    pub(super) fn purge(&mut self, partition: PartitionIx) -> Vec<Arc<Input>> {
        let purged = self.lanes.purge(partition);
        self.wake();
        purged
    }

    /// Queues everything again that is not committed. Returns the triggers that are not run again.
    pub(super) fn revert(&mut self) -> Vec<Arc<Input>> {
        self.lanes.revert()
    }

    /// Queues the uncommitted work of these lanes, and of those that share joint work with them, again. Returns all of them.
    pub(super) fn refresh(&mut self, stale: HashSet<LaneKey>) -> HashSet<LaneKey> {
        self.lanes.refresh(stale)
    }

    /// Wakes the lanes of a handler that are parked until then or later.
    pub(super) fn wake_parked(&mut self, handler: HandlerIx, due: Millis) {
        self.lanes.wake_parked(handler, due);
        self.wake();
    }

    /// Forgets the states of a handler's idle keys, so that the store is asked again.
    pub(super) fn forget_idle(&mut self, handler: HandlerIx) {
        self.lanes.forget_idle(handler);
    }

    /// The lanes, read-only.
    pub(super) fn lanes(&self) -> &Lanes<Input> {
        &self.lanes
    }

    /// The work of a partition that waits behind backoffs.
    pub(super) fn parked(&self, partition: PartitionIx) -> Weight {
        self.lanes.parked(partition)
    }

    /// Ensures that ready work will be run, and that a worker checks when the next backoff is over. To be called after
    /// making work ready, parking it, or taking some of it.
    pub(super) fn wake(&mut self) {
        let ready = self.lanes.has_ready();
        if ready && self.workers.wants_more() {
            self.wake_one();
            return;
        }
        let look = match ready {
            true => Some(clock::monotonic_millis() + HELD_UP),
            false => self.lanes.next_due(),
        };
        if let Some(look) = look
            && !self.workers.is_watched(look)
        {
            match self.workers.watch {
                Watch::Until(_) => self.workers.awake += usize::from(self.idle.watch.notify_one()),
                Watch::Nobody | Watch::Appointed => {
                    if self.idle.idle.notify_one() {
                        self.workers.awake += 1;
                        self.workers.watch = Watch::Appointed;
                    }
                }
            }
        }
    }

    /// Wakes the watcher last.
    fn wake_one(&mut self) {
        let woken = self.idle.idle.notify_one() || self.idle.watch.notify_one();
        self.workers.awake += usize::from(woken);
    }

    /// The calling worker has nothing to run and becomes idle. Returns how it waits.
    pub(super) fn rest(&mut self, now: Millis) -> Rest {
        self.workers.awake -= 1;
        if matches!(self.workers.watch, Watch::Until(_)) {
            return Rest::UntilWanted;
        }
        let until = match self.lanes.has_ready() {
            true => Some(now + HELD_UP),
            false => self.lanes.next_due(),
        };
        self.workers.watch = Watch::Until(until);
        Rest::Watching(until.map(|until| Duration::from_millis(until.saturating_sub(now).max(1))))
    }

    /// The worker that was the watcher is so no longer; the time at which it was to check may have come.
    pub(super) fn watched(&mut self, timed_out: bool) {
        if timed_out {
            self.workers.awake += 1;
            self.workers.look(clock::monotonic_millis());
        }
        self.workers.watch = Watch::Nobody;
    }

    /// Wakes all workers, for a stop.
    pub(super) fn wake_all(&mut self) {
        self.workers.awake += self.idle.idle.notify_all() + self.idle.watch.notify_all();
    }

    #[cfg(test)]
    pub(super) fn take(&mut self, now: Millis) -> Option<Job<Input>> {
        self.lanes.take(now)
    }
}

impl IdleWorkers {
    /// Waits. Returns whether a time to look came first.
    pub(super) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>, rest: Rest) -> bool {
        match rest {
            Rest::UntilWanted => self.idle.wait(guard),
            Rest::Watching(None) => self.watch.wait(guard),
            Rest::Watching(Some(time)) => return self.watch.wait_for(guard, time).timed_out(),
        }
        false
    }
}
