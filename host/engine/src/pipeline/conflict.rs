//! A commit that others were faster than: what was decided from states that have changed is decided again, and the rest is
//! committed without it.

use std::collections::HashSet;

use sandman_core::lanes::{LaneKey, PartitionIx};
use sandman_core::store::CommitConflict;
use sandman_core::unit::{Finish, Unit};

use super::Pipeline;
use super::fold::Batch;
use super::state::{EngineState, letter_of, partition_of};

impl Pipeline {
    /// Nothing of the batch is committed. Lanes whose states have changed run again on fresh ones; partitions that somebody
    /// else has taken, and letters that somebody else has handled, are let go; all other units are the first of the next
    /// commit.
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
            "a commit was overtaken; what it stood on runs again"
        );
        self.settled.notify_all();
    }

    /// Nothing new of partitions that were assigned anew begins here; the consumer is to ask for them again.
    fn fence(&self, state: &mut EngineState, conflict: &CommitConflict) -> HashSet<PartitionIx> {
        let fenced = conflict.partitions.iter().filter_map(|(handler, name)| {
            let (handler_ix, _) = self.registry.find(handler)?;
            let ix = state.admission.fence(handler_ix, name)?;
            tracing::warn!(
                handler = &**handler, partition = %name,
                "the partition was assigned anew while this host had it; nothing more of it is committed here"
            );
            Some(ix)
        });
        fenced.collect()
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
}
