//! A commit that others were faster than: what was decided from states that have changed is decided again, and the rest is
//! committed without it.

use std::collections::HashSet;

use sandman_core::lanes::{LaneKey, PartitionIx};
use sandman_core::store::{CommitConflict, LetterId};
use sandman_core::unit::{Finish, Unit};

use super::fold::Batch;
use super::{Pipeline, Shared};

impl Pipeline {
    /// Nothing of the batch is committed. Lanes whose states have changed run again on fresh ones; partitions that somebody
    /// else has taken, and letters that somebody else has handled, are let go; all other units are the first of the next
    /// commit.
    pub(super) fn rerun(&self, batch: Batch, conflict: &CommitConflict) {
        let mut shared = self.shared.lock();
        shared.committing = false;
        self.outbox.give_back_published(&batch.commit.published);
        let mut units = batch.into_units();
        units.extend(std::mem::take(&mut shared.units));
        let fenced = self.fence(&mut shared, conflict);
        let stale = self.stale_lanes(&units, conflict, &fenced);
        let gone: HashSet<LetterId> = conflict.letters.iter().copied().collect();
        shared.detours.gone.extend(&gone);
        let reverted = shared.lanes.refresh(stale);
        let mut again = 0;
        for unit in units {
            if unit.changes.iter().any(|(lane, _)| reverted.contains(lane)) {
                again += 1;
                forget_answer(&mut shared, &unit);
            } else if partition_of(&unit).is_some_and(|partition| fenced.contains(&partition)) {
                self.drop_fenced(&mut shared, &unit);
            } else if let Some(id) = letter_of(&unit).filter(|id| gone.contains(id)) {
                shared.detours.under_way.remove(&id);
                shared.detours.gone.remove(&id);
            } else {
                shared.units.push_back(unit);
            }
        }
        self.recount_held(&mut shared);
        self.meters.commit_conflicts.increment(1);
        self.meters.commit_reruns.increment(again);
        tracing::debug!(
            states = conflict.states.len(),
            again,
            "a commit was overtaken; what it stood on runs again"
        );
        for partition in fenced {
            self.purge(&mut shared, partition);
        }
        self.wake_workers(&mut shared);
        drop(shared);
        self.settled.notify_all();
    }

    /// Nothing new of partitions that were assigned anew begins here; the consumer is to ask for them again.
    fn fence(&self, shared: &mut Shared, conflict: &CommitConflict) -> HashSet<PartitionIx> {
        let mut fenced = HashSet::new();
        for (handler, name) in &conflict.partitions {
            let Some((handler_ix, _)) = self.registry.find(handler) else {
                continue;
            };
            let Some(ix) = shared.partitions.find(handler_ix, name) else {
                continue;
            };
            if let Some(partition) = shared.partitions.get_mut(ix) {
                tracing::warn!(
                    handler = &**handler, partition = %name,
                    "the partition was assigned anew while this host had it; nothing more of it is committed here"
                );
                partition.fenced |= partition.assigned;
                partition.assigned = false;
                fenced.insert(ix);
            }
        }
        fenced
    }

    /// Lanes of which something cannot be committed.
    fn stale_lanes(
        &self,
        units: &[Unit],
        conflict: &CommitConflict,
        fenced: &HashSet<PartitionIx>,
    ) -> HashSet<LaneKey> {
        let states = conflict.states.iter().filter_map(|state| {
            let (handler, _) = self.registry.find(&state.handler)?;
            let key = state.key.clone();
            Some(LaneKey { handler, key })
        });
        let is_stale = |unit: &&Unit| {
            let answered = match &unit.finish {
                Finish::Answered {
                    remember: Some(write), ..
                } => {
                    let mut answers = conflict.answers.iter();
                    answers.any(|(key, idempotency)| *key == write.key && *idempotency == write.idempotency_key)
                }
                _ => false,
            };
            let gone = letter_of(unit).is_some_and(|id| conflict.letters.contains(&id));
            answered || gone || partition_of(unit).is_some_and(|partition| fenced.contains(&partition))
        };
        let decided = units.iter().filter(is_stale);
        let lanes = decided.flat_map(|unit| unit.changes.iter().map(|(lane, _)| lane.clone()));
        states.chain(lanes).collect()
    }

    /// A unit without a lane, or a failed try, of a partition that is not ours any more.
    fn drop_fenced(&self, shared: &mut Shared, unit: &Unit) {
        match unit.finish {
            Finish::Done { partition, weight, .. } => self.forget(shared, partition, (1, weight)),
            Finish::Attempt { partition, .. } => {
                if let Some(partition) = shared.partitions.get_mut(partition) {
                    partition.noting = partition.noting.saturating_sub(1);
                }
            }
            Finish::Answered { .. } | Finish::Redriven(_) | Finish::Ordered => {}
        }
    }
}

fn partition_of(unit: &Unit) -> Option<PartitionIx> {
    match unit.finish {
        Finish::Done { partition, .. } | Finish::Attempt { partition, .. } => Some(partition),
        Finish::Answered { .. } | Finish::Redriven(_) | Finish::Ordered => None,
    }
}

/// The letter whose redrive the unit is.
fn letter_of(unit: &Unit) -> Option<LetterId> {
    match unit.finish {
        Finish::Redriven(id) => Some(id),
        _ => None,
    }
}

/// The request runs again: a repetition must not find the answer that it does not get.
fn forget_answer(shared: &mut Shared, unit: &Unit) {
    if let Finish::Answered {
        remember: Some(write), ..
    } = &unit.finish
    {
        let name = (write.key.clone(), write.idempotency_key.clone());
        shared.remembered.remove(&name);
    }
}
