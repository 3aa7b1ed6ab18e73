//! A commit that was refused because another host was faster: triggers whose states have changed run again, and the
//! rest is committed without them.

use std::collections::HashSet;

use sandman_core::lanes::{LaneKey, PartitionIx};
use sandman_core::store::CommitConflict;
use sandman_core::unit::{Finish, Unit};

use super::Pipeline;
use super::fold::Batch;
use super::state::{EngineState, letter_of, partition_of};

impl Pipeline {
    /// Nothing of the batch is committed. Lanes whose states have changed run again on fresh ones; partitions that
    /// another host has taken over, and letters that another host has handled, are released; all other units are the
    /// first of the next commit.
    pub(super) fn rerun(&self, batch: Batch, conflict: &CommitConflict) {
        let mut state = self.state.lock();
        state.commits.ended();
        self.outbox.give_back_published(&batch.commit.published);
        let mut units = batch.into_units();
        units.extend(state.commits.take_all());
        let fenced = self.fence(&mut state, conflict);
        let stale = self.stale_lanes(&units, conflict, &fenced);
        let again = state.rerun(units, stale, (&fenced, &conflict.letters));
        drop(state);
        self.meters.commit_conflicts.increment(1);
        self.meters.commit_reruns.increment(again);
        tracing::debug!(
            states = conflict.states.len(),
            again,
            "another host's commit was faster; triggers whose states have changed are run again"
        );
        self.settled.notify_all();
    }

    /// Starts nothing new of partitions that have been assigned again; the consumer asks for them again.
    fn fence(&self, state: &mut EngineState, conflict: &CommitConflict) -> HashSet<PartitionIx> {
        let fenced = conflict.partitions.iter().filter_map(|(handler, name)| {
            let (handler_ix, _) = self.registry.find(handler)?;
            let ix = state.admission.fence(handler_ix, name)?;
            tracing::warn!(
                handler = &**handler, partition = %name,
                "the partition has been assigned again while this host had it; nothing more of it is committed here"
            );
            Some(ix)
        });
        fenced.collect()
    }

    /// Lanes with work that cannot be committed.
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
}
