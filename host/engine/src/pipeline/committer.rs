//! The group commit: the only place where outcomes take effect.

use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use crate::clock;
use sandman_core::faults::{self, Step};
use sandman_core::store::{CommitResult, Committed, RecordingsSize, StoreError};

use super::Pipeline;
use super::fold::Batch;
use super::state::EngineState;

/// How long published batches may wait for units to be committed with, rather than cost a commit of their own.
const NEWS_WAIT: Duration = Duration::from_millis(100);

/// How long units may wait for more to be committed with, while there is work in progress. A commit costs about as much
/// as fifty events, whatever is in it.
const LINGER: Duration = Duration::from_millis(5);

impl Pipeline {
    /// Waits for something to commit, and takes it; `None` when the pipeline stops and all is committed.
    pub(super) fn next_batch(&self) -> Option<Batch> {
        let mut state = self.state.lock();
        loop {
            if state.commits.is_to_revert() {
                state.revert(Vec::new());
            }
            if !state.commits.is_empty() {
                if self.linger(&mut state) {
                    break;
                }
                continue;
            }
            if state.stopping {
                if !self.outbox.has_published() {
                    return None;
                }
                break;
            }
            if self.outbox.has_published() {
                if self.committable.wait_for(&mut state, NEWS_WAIT).timed_out() {
                    break;
                }
            } else if self.store_fault.lock().is_some() {
                // Nobody sends work while the fault is shown, so the store is tried without anything to commit.
                let pause = self.options.store_pause;
                if self.committable.wait_for(&mut state, pause).timed_out() {
                    break;
                }
            } else {
                self.committable.wait(&mut state);
            }
        }
        Some(self.gather(&mut state))
    }

    /// The next batch to commit, with the batches that the relays have published.
    pub(super) fn gather(&self, state: &mut EngineState) -> Batch {
        let mut batch = state.take_batch(self.store.is_shared());
        batch.commit.published = self.outbox.take_published();
        batch.commit.letters_bound = self.options.dead_letters;
        state.commits.record(&mut batch.commit);
        batch
    }

    /// Waits for more units as long as work in progress will produce some. Returns whether there is still something to commit.
    fn linger(&self, state: &mut MutexGuard<'_, EngineState>) -> bool {
        let until = Instant::now() + LINGER;
        while !state.stopping
            && !state.commits.is_to_revert()
            && !state.commits.has_batch()
            && state.scheduler.is_busy()
        {
            if self.committable.wait_until(state, until).timed_out() {
                break;
            }
        }
        !state.commits.is_to_revert() && !state.commits.is_empty()
    }

    /// Writes the batch, in one transaction of the store. No lock is held during this.
    pub(super) fn write(&self, batch: &mut Batch, now: i64) -> Result<CommitResult, StoreError> {
        let began = Instant::now();
        faults::at(Step::Folded);
        faults::alter(Step::Folded, &mut batch.commit);
        // An empty commit needs no write, unless the store has to show that it can write again.
        let written = match batch.commit.is_empty() && self.store_fault.lock().is_none() {
            true => Ok(CommitResult::Committed(Committed::default())),
            false => self.store.commit(&batch.commit, now),
        };
        faults::at(Step::Committed);
        match &written {
            Ok(CommitResult::Committed(_)) => {
                *self.store_fault.lock() = None;
                self.meters.commit_units.record(batch.units.len() as f64);
                self.meters.commit_seconds.record(began.elapsed());
            }
            Ok(CommitResult::Conflict(_)) => *self.store_fault.lock() = None,
            Err(error @ StoreError::Unavailable(_)) => {
                self.meters.commit_failures.increment(1);
                *self.store_fault.lock() = Some(error.to_string());
                tracing::error!(%error, units = batch.units.len(), "the commit failed; everything that depended on it is run again");
            }
            Err(_) => {}
        }
        written
    }

    /// The batch is durable: updates the outbox, lanes, progress and limits, and answers the clients that wait for it.
    pub(super) fn settle(&self, batch: Batch, committed: Committed, committed_millis: i64) {
        let Batch {
            commit, states, units, ..
        } = batch;
        let batches = (&*committed.batches, committed_millis);
        self.outbox
            .committed(commit.outbox, batches, !commit.published.is_empty());
        if committed.letters_gone > 0 {
            self.meters.letters_gone.increment(committed.letters_gone);
        }
        for RecordingsSize { handler, bytes, gone } in &committed.recordings {
            if let Some((_, handler)) = self.registry.find(handler) {
                handler.meters.recording_bytes.set(*bytes as f64);
                handler.meters.recording_bytes_gone.increment(*gone);
            }
        }
        let now = clock::wall_millis();
        let states = states.into_iter().zip(committed.revisions);
        let settled = self.state.lock().settle(units, states, now);
        for (client, answer) in settled.answers {
            // The client may have gone.
            client.send(answer).ok();
        }
        if settled.letters {
            self.signal_letters();
        }
        self.settled.notify_all();
        faults::at(Step::Settled);
    }

    /// Nothing of the batch is committed; it and everything that depends on it runs again, after a pause.
    pub(super) fn fail(&self, batch: Batch) {
        let mut state = self.state.lock();
        state.commits.ended();
        // The next commit takes the published batches out of the outbox.
        self.outbox.give_back_published(&batch.commit.published);
        state.revert(batch.into_units());
        // New units are queued during the pause, also while the host stops; only the stop itself cuts it short.
        let stopping = state.stopping;
        let until = Instant::now() + self.options.store_pause;
        while state.stopping == stopping && !self.committable.wait_until(&mut state, until).timed_out() {}
    }

    /// Sets the gauges; a gauge is a float, which is exact far beyond any of these numbers.
    pub fn measure(&self) {
        if self.store.is_shared() {
            // Other hosts commit and publish as well.
            self.outbox.measure();
        }
        let state = &*self.state.lock();
        let outbox = self.outbox.size();
        self.meters.outbox_bytes.set(outbox.bytes as f64);
        self.meters.outbox_batches.set(outbox.batches as f64);
        let lanes = state.scheduler.lanes();
        self.meters.cache_bytes.set(lanes.cached_bytes() as f64);
        for (ix, handler) in self.registry.iter() {
            let parked = state.admission.of(ix).map(|(ix, _)| lanes.parked(ix).records);
            let parked: usize = parked.sum();
            handler.meters.parked.set(parked as f64);
            handler.meters.in_flight.set(state.admission.load(ix).0 as f64);
            handler.meters.lanes.set(lanes.count(ix) as f64);
            handler.meters.held_keys.set(state.detours.held_count(ix) as f64);
            let paused = state.detours.paused.contains_key(&ix);
            handler.meters.paused.set(f64::from(u8::from(paused)));
        }
    }
}
