//! The units that wait for their commit, and signals to the committer.
//!
//! Pure except for the condition variable that it notifies: a part of the state behind the pipeline's lock.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Condvar;

use sandman_core::store::{Commit, RecordingWrite};
use sandman_core::unit::Unit;

/// Recordings of invocations that changed nothing that wait for another commit.
const RECORDINGS_WAIT: usize = 100;

/// A commit ends early when its records hold this much: this limits the size of the relay's transactions.
const BATCH_BYTES: usize = 8 << 20;

/// The units that wait for their commit.
#[derive(Debug)]
pub(super) struct CommitQueue {
    /// In the order in which they were produced, which per lane is the order of their triggers.
    units: VecDeque<Unit>,
    /// Recordings of invocations that changed nothing: they go with the next commit that writes.
    recordings: Vec<RecordingWrite>,
    /// The committer is writing units.
    committing: bool,
    /// A revocation could not wait any longer: the committer should drop what is not committed.
    revert: bool,
    /// Units in one commit.
    batch: usize,
    committable: Arc<Condvar>,
}

impl CommitQueue {
    pub(super) fn new(batch: usize, committable: Arc<Condvar>) -> Self {
        Self {
            units: VecDeque::new(),
            recordings: Vec::new(),
            committing: false,
            revert: false,
            batch,
            committable,
        }
    }

    /// Queues a unit, and wakes the committer for the first one and when there is a whole batch; in between it waits for more.
    pub(super) fn push(&mut self, unit: Unit) {
        self.units.push_back(unit);
        if self.units.len() == 1 || self.units.len() >= self.batch {
            self.committable.notify_one();
        }
    }

    /// No more units are expected soon: the committer need not wait for them.
    pub(super) fn expect_no_more(&self) {
        self.committable.notify_one();
    }

    /// Takes the units of the next commit: as many as one may hold, the oldest ones.
    pub(super) fn take(&mut self) -> Vec<Unit> {
        let mut bytes = 0;
        let fits = |unit: &&Unit| {
            let values = unit.records.iter().filter_map(|record| record.value.as_ref());
            bytes += values.map(Vec::len).sum::<usize>();
            bytes <= BATCH_BYTES
        };
        let count = self.units.iter().take(self.batch).take_while(fits).count().max(1);
        let units: Vec<_> = self.units.drain(..count.min(self.units.len())).collect();
        self.committing = !units.is_empty();
        units
    }

    /// Decides which recordings go with the commit: an invocation that changed nothing needs no write, so its recording
    /// waits for a commit that writes anyway.
    pub(super) fn record(&mut self, commit: &mut Commit) {
        let recordings = std::mem::take(&mut commit.recordings);
        self.recordings.extend(recordings);
        if !commit.is_empty() || self.recordings.len() > RECORDINGS_WAIT {
            commit.recordings = std::mem::take(&mut self.recordings);
        }
    }

    /// The committer has finished writing.
    pub(super) fn ended(&mut self) {
        self.committing = false;
    }

    /// Takes all units out, to be sorted and put back by [`CommitQueue::keep`].
    pub(super) fn take_all(&mut self) -> VecDeque<Unit> {
        std::mem::take(&mut self.units)
    }

    /// Puts a unit back that was queued before.
    pub(super) fn keep(&mut self, unit: Unit) {
        self.units.push_back(unit);
    }

    /// The units, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Unit> {
        self.units.iter()
    }

    /// Tells the committer to drop what is not committed.
    pub(super) fn order_revert(&mut self) {
        if !self.revert {
            self.revert = true;
            self.committable.notify_one();
        }
    }

    /// Whether the committer should drop what is not committed.
    pub(super) fn is_to_revert(&self) -> bool {
        self.revert
    }

    /// What was not committed is dropped.
    pub(super) fn reverted(&mut self) {
        self.revert = false;
    }

    /// Whether no unit waits.
    pub(super) fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// Whether a whole batch waits.
    pub(super) fn has_batch(&self) -> bool {
        self.units.len() >= self.batch
    }

    /// Whether no unit waits, and none is being committed.
    pub(super) fn is_idle(&self) -> bool {
        self.units.is_empty() && !self.committing
    }
}
