//! The scheduler: the lanes, and the workers that run what is at their heads.

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

/// So many triggers that could run are worth waking a worker for, although more records are at hand.
const GATHERED: usize = 16;

/// Lanes and workers; behind the pipeline's lock. Whatever makes a lane ready here also sees to it that a worker comes.
#[derive(Debug)]
pub(super) struct Scheduler {
    lanes: Lanes<Input>,
    workers: Workers,
    idle: Arc<IdleWorkers>,
}

/// How a worker waits that has nothing to run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rest {
    /// Until it is woken.
    UntilWanted,
    /// It keeps watch for the others: for so long, or until it is woken.
    Watching(Option<Duration>),
}

/// Where workers rest.
#[derive(Debug, Default)]
pub(super) struct IdleWorkers {
    idle: Condvar,
    watch: Condvar,
}

impl Scheduler {
    /// A scheduler for so many cores, with so many bytes of states of idle keys.
    pub(super) fn new(cache_bytes: usize, cores: usize, idle: Arc<IdleWorkers>) -> Self {
        Self {
            lanes: Lanes::new(cache_bytes),
            workers: Workers::new(cores),
            idle,
        }
    }

    /// Puts a record's trigger into its lane, behind so many tries, due then. Records come in numbers: a worker is woken for
    /// some of them, or when no more are at hand ([`Scheduler::wake`]).
    pub(super) fn offer(&mut self, lane: LaneKey, input: Input, (failed, due): (u32, Option<Millis>)) {
        self.lanes.offer(lane, Arc::new(input), failed, due);
        if self.lanes.ready() >= GATHERED {
            self.wake();
        }
    }

    /// Puts a trigger into all of these lanes; it runs at once when it is at the head of each.
    pub(super) fn offer_joint(&mut self, lanes: &[LaneKey], input: Input) {
        self.lanes.offer_joint(lanes, &Arc::new(input));
        self.wake();
    }

    /// A worker starts its life, awake.
    pub(super) fn join(&mut self) -> WorkerIx {
        self.workers.join()
    }

    /// The trigger that this worker runs next, if there is one and not enough workers run.
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

    /// The worker's trigger has run. It looks for its next one right after this, and so sees to what has become ready.
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

    /// Whether units are to be expected soon.
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

    /// Forgets what waits of a partition. Work of other partitions may come to the head of its lanes.
    pub(super) fn purge(&mut self, partition: PartitionIx) -> Vec<Arc<Input>> {
        let purged = self.lanes.purge(partition);
        self.wake();
        purged
    }

    /// Queues everything again that is not committed. Returns the triggers that are not run again.
    pub(super) fn revert(&mut self) -> Vec<Arc<Input>> {
        self.lanes.revert()
    }

    /// Queues again what is not committed of these lanes and of those that hang together with them. Returns all of them.
    pub(super) fn refresh(&mut self, stale: HashSet<LaneKey>) -> HashSet<LaneKey> {
        self.lanes.refresh(stale)
    }

    /// Wakes the lanes of a handler that are parked until then or later.
    pub(super) fn wake_parked(&mut self, handler: HandlerIx, due: Millis) {
        self.lanes.wake_parked(handler, due);
        self.wake();
    }

    /// Forgets the states of a handler's idle keys: the store is asked again.
    pub(super) fn forget_idle(&mut self, handler: HandlerIx) {
        self.lanes.forget_idle(handler);
    }

    /// The lanes, to be looked at.
    pub(super) fn lanes(&self) -> &Lanes<Input> {
        &self.lanes
    }

    /// What of a partition waits behind back-offs.
    pub(super) fn parked(&self, partition: PartitionIx) -> Weight {
        self.lanes.parked(partition)
    }

    /// Sees to it that what is ready will be run, and that somebody looks when the next back-off is over. For whoever
    /// made something ready, or parked it, or took something and left the rest.
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

    /// The one that watches comes last.
    fn wake_one(&mut self) {
        let woken = self.idle.idle.notify_one() || self.idle.watch.notify_one();
        self.workers.awake += usize::from(woken);
    }

    /// The worker that asks, for which there is nothing to run, rests. Returns how it waits.
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

    /// The worker that kept watch does so no more; the time may have come at which it was to look.
    pub(super) fn watched(&mut self, timed_out: bool) {
        if timed_out {
            self.workers.awake += 1;
            self.workers.look(clock::monotonic_millis());
        }
        self.workers.watch = Watch::Nobody;
    }

    /// Everybody looks for themselves, at a stop.
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
