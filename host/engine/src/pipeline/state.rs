//! What the threads share, behind the pipeline's lock: its parts, and what concerns several of them at once.
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
use super::fold::{Batch, Standings, fold};
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

/// Who is to hear of a commit.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub(super) answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    /// Whether letters may be waiting to be redriven.
    pub(super) letters: bool,
}

impl EngineState {
    /// A trigger has come to a unit, which waits for its commit from here on.
    pub(super) fn queue(&mut self, mut unit: Unit) {
        self.clients.queued(&unit);
        faults::alter(Step::Queued, &mut unit);
        self.admission.queued(&unit.finish);
        self.detours.queued(&unit, &self.registry);
        self.commits.push(unit);
    }

    /// The worker that asks, for which there is nothing to run, waits until it is wanted, or it is time to look who is held up.
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

    /// Takes the units of the next commit, folded. With `reads` it names the states as well that were read and kept.
    pub(super) fn take_batch(&mut self, reads: bool) -> Batch {
        let units = self.commits.take();
        let standings = Standings {
            lanes: self.scheduler.lanes(),
            partitions: self.admission.partitions(),
            registry: &self.registry,
        };
        fold(units, &standings, reads)
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
        // Before the lock goes: whoever sees that there is room must find that it may go on.
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

    /// Drops what is not committed and runs it again: it stood on a commit that failed, or a revocation cannot wait.
    /// Units that nothing stands on are kept, but for records of partitions that were taken away: these come in again.
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
                let reason = "what the request stood on could not be committed".to_owned();
                client.send(Answer::Unavailable(reason)).ok();
            }
        }
        for partition in self.admission.unassigned() {
            self.purge(partition);
        }
        self.scheduler.wake();
    }

    /// Runs lanes whose states have changed again on fresh ones, and lets go of partitions that somebody else has taken and of
    /// letters that somebody else has handled; all other units are the first of the next commit. Returns how many units run again.
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
                // A repetition must not find the answer that its request does not get.
                self.clients.forget(&unit);
            } else if let Some(id) = letter_of(&unit).filter(|id| gone.contains(id)) {
                self.detours.ended(id);
            } else if partition_of(&unit).is_some_and(|partition| fenced.contains(&partition)) {
                self.admission.dropped(&unit.finish);
            } else {
                self.commits.keep(unit);
            }
        }
        // The others are still on their way to the commit.
        self.detours.requeued(self.commits.iter(), &self.registry);
        for partition in fenced {
            self.purge(*partition);
        }
        self.scheduler.wake();
        again
    }

    /// From here on nothing new of these partitions begins.
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
        // Nothing may be committed for a while: what is held for the bounds must hear of it here.
        self.may_resume();
    }

    /// Reading that is held may perhaps go on.
    fn may_resume(&self) {
        for (_, handler) in self.registry.iter() {
            handler.resumable.store(true, Ordering::Relaxed);
        }
    }

    /// Whether everything in memory is committed, but for what is parked.
    pub(super) fn is_drained(&self) -> bool {
        self.commits.is_idle() && self.scheduler.lanes().is_settled()
    }
}

/// The letter whose redrive the unit is.
pub(super) fn letter_of(unit: &Unit) -> Option<LetterId> {
    match unit.finish {
        Finish::Redriven(id) => Some(id),
        _ => None,
    }
}

/// The partition of the unit's record, if it is of one.
pub(super) fn partition_of(unit: &Unit) -> Option<PartitionIx> {
    match unit.finish {
        Finish::Done { partition, .. } | Finish::Attempt { partition, .. } => Some(partition),
        Finish::Answered { .. } | Finish::Redriven(_) | Finish::Ordered(_) => None,
    }
}
