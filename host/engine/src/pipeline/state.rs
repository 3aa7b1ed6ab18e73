//! The state that the threads share behind the pipeline's lock: its parts, and operations on several of them.
//!
//! No call of the store in here: the lock is held for microseconds.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::MutexGuard;
use tokio::sync::oneshot;

use super::admission::Admission;
use super::clients::WaitingClients;
use super::commits::CommitQueue;
use super::detours::Detours;
use super::fold::{Batch, FoldContext, fold};
use super::scheduler::{IdleWorkers, Rest, Scheduler};
use crate::registry::Registry;
use sandman_core::event::TopicPartition;
use sandman_core::faults::{self, Step};
use sandman_core::lanes::{HandlerIx, LaneKey, Millis, PartitionIx, Work};
use sandman_core::store::{LetterId, Revision};
use sandman_core::unit::{Finish, Unit};
use sandman_core::work::{Answer, Input};

/// The parts of the pipeline.
pub(super) struct EngineState {
    pub(super) registry: Arc<Registry>,
    pub(super) admission: Admission,
    pub(super) scheduler: Scheduler,
    pub(super) commits: CommitQueue,
    pub(super) clients: WaitingClients,
    pub(super) detours: Detours,
    pub(super) stopping: bool,
}

/// Whom to notify of a commit.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub(super) answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    /// Whether letters may be waiting to be redriven.
    pub(super) letters: bool,
}

impl EngineState {
    /// Queues the unit of a trigger for its commit.
    pub(super) fn queue(&mut self, mut unit: Unit) {
        self.clients.queued(&unit);
        faults::alter(Step::Queued, &mut unit);
        self.admission.queued(&unit.finish);
        self.detours.queued(&unit, &self.registry);
        self.commits.push(unit);
    }

    /// The calling worker has nothing to run and waits until it is woken, or until it is time to check which workers
    /// are held up.
    pub(super) fn rest(state: &mut MutexGuard<'_, Self>, idle: &IdleWorkers, now: Millis) {
        let rest = state.scheduler.rest(now);
        if !state.scheduler.is_busy() {
            state.commits.expect_no_more();
        }
        let timed_out = idle.wait(state, rest);
        if let Rest::Watching(_) = rest {
            state.scheduler.watched(timed_out);
        }
    }

    /// Takes the units of the next commit, folded. With `reads`, it also has the states that were read and not changed.
    pub(super) fn take_batch(&mut self, reads: bool) -> Batch {
        let units = self.commits.take();
        let context = FoldContext {
            lanes: self.scheduler.lanes(),
            partitions: self.admission.partitions(),
            registry: &self.registry,
        };
        fold(units, &context, reads)
    }

    /// The units are durable, and the states of these lanes have these revisions.
    pub(super) fn settle(
        &mut self,
        units: Vec<Unit>,
        states: impl IntoIterator<Item = (LaneKey, Option<Revision>)>,
        now: i64,
    ) -> Settled {
        self.commits.ended();
        for (lane, revision) in states {
            self.scheduler.rebase(&lane, revision);
        }
        let mut settled = Settled::default();
        for unit in units {
            for (lane, _) in &unit.changes {
                self.scheduler.committed(lane);
            }
            self.measure_lag(&unit.finish, now);
            self.admission.settled(&unit.finish);
            settled.letters |= self.detours.settled(&unit, &self.registry);
            self.clients.forget(&unit);
            if let Finish::Answered { request, answer, .. } = unit.finish {
                let client = self.clients.take(request);
                settled.answers.extend(client.map(|client| (client, answer)));
            }
        }
        self.scheduler.wake();
        // Before the lock is released: those who see that there is room must also see that partitions may be resumed.
        self.may_resume();
        settled
    }

    fn measure_lag(&self, finish: &Finish, now: i64) {
        if let Finish::Done {
            partition,
            produced_millis: Some(produced),
            ..
        } = finish
            && let Some(partition) = self.admission.partitions().get(*partition)
            && let Some(handler) = self.registry.get(partition.handler)
            && let Some(meters) = handler.meters.topic(&partition.name.topic)
        {
            let lag = u64::try_from(now - produced).unwrap_or(0);
            meters.event_lag.record(Duration::from_millis(lag));
        }
    }

    /// Drops what is not committed and runs it again: it depended on a commit that failed, or a revocation cannot wait.
    /// Units on which nothing depends are kept, except for records of revoked partitions, which will be received again.
    pub(super) fn revert(&mut self, failed: Vec<Unit>) {
        self.commits.reverted();
        self.detours.revert();
        let queued = self.commits.take_all();
        let units = failed.into_iter().chain(queued);
        for unit in units.filter(|unit| unit.changes.is_empty()) {
            match unit.finish {
                Finish::Done { partition, .. } if self.admission.is_taken_away(partition) => {
                    self.admission.dropped(&unit.finish);
                }
                _ => self.commits.keep(unit),
            }
        }
        self.clients.revert();
        for work in self.scheduler.revert() {
            if let Input::Request(id, _) = &*work
                && let Some(client) = self.clients.take(*id)
            {
                let reason = "a commit on which the request depended failed".to_owned();
                client.send(Answer::Unavailable(reason)).ok();
            }
        }
        for partition in self.admission.unassigned() {
            self.purge(partition);
        }
        self.scheduler.wake();
    }

    /// Runs lanes whose states have changed again on fresh ones, and releases partitions that another host has taken
    /// over and letters that another host has handled; all other units are the first of the next commit. Returns how
    /// many units run again.
    pub(super) fn rerun(
        &mut self,
        units: Vec<Unit>,
        stale: HashSet<LaneKey>,
        (fenced, gone): (&HashSet<PartitionIx>, &[LetterId]),
    ) -> u64 {
        self.detours.handled_elsewhere(gone);
        let reverted = self.scheduler.refresh(stale);
        let mut again = 0;
        for unit in units {
            if unit.changes.iter().any(|(lane, _)| reverted.contains(lane)) {
                again += 1;
                // A repetition must not find an answer that its request did not get.
                self.clients.forget(&unit);
            } else if let Some(id) = letter_of(&unit).filter(|id| gone.contains(id)) {
                self.detours.ended(id);
            } else if partition_of(&unit).is_some_and(|partition| fenced.contains(&partition)) {
                self.admission.dropped(&unit.finish);
            } else {
                self.commits.keep(unit);
            }
        }
        // The others are still queued for the commit.
        self.detours.requeued(self.commits.iter(), &self.registry);
        for partition in fenced {
            self.purge(*partition);
        }
        self.scheduler.wake();
        again
    }

    /// From now on no new work of these partitions is started.
    pub(super) fn let_go(&mut self, handler: HandlerIx, names: &[TopicPartition]) -> Vec<PartitionIx> {
        let found = self.admission.let_go(handler, names);
        for ix in &found {
            self.purge(*ix);
        }
        found
    }

    /// Forgets the waiting records of a partition that is not assigned any more; they will be received again.
    pub(super) fn purge(&mut self, ix: PartitionIx) {
        let purged = self.scheduler.purge(ix);
        let bytes: usize = purged.iter().map(|work| work.bytes()).sum();
        self.admission.forget(ix, (purged.len(), bytes));
        // Nothing may be committed for a while, so paused partitions must be checked here.
        self.may_resume();
    }

    /// Paused partitions may be resumable.
    fn may_resume(&self) {
        for (_, handler) in self.registry.iter() {
            handler.resumable.store(true, Ordering::Relaxed);
        }
    }

    /// Whether everything in memory is committed, except for parked work.
    pub(super) fn is_drained(&self) -> bool {
        self.commits.is_idle() && self.scheduler.lanes().is_settled()
    }
}

/// The letter that the unit redrives.
pub(super) fn letter_of(unit: &Unit) -> Option<LetterId> {
    match unit.finish {
        Finish::Redriven(id) => Some(id),
        _ => None,
    }
}

/// The partition of the unit's record, if it has one.
pub(super) fn partition_of(unit: &Unit) -> Option<PartitionIx> {
    match unit.finish {
        Finish::Done { partition, .. } | Finish::Attempt { partition, .. } => Some(partition),
        Finish::Answered { .. } | Finish::Redriven(_) | Finish::Ordered(_) => None,
    }
}
