//! The group commit: the one place where something starts to count.

use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use crate::clock;
use sandman_core::faults::{self, Step};
use sandman_core::store::{CommitResult, Committed, StoreError};
use sandman_core::unit::{Finish, Unit};
use sandman_core::work::{Answer, Input};

use super::fold::{Batch, Standings, fold};
use super::{Pipeline, Shared};

/// How long the relay's news may wait for units to be committed with, rather than cost a commit of their own.
const NEWS_WAIT: Duration = Duration::from_millis(100);

/// How long units may wait for more to be committed with, while there is work under way. A commit costs about as much as
/// fifty events, whatever is in it.
const LINGER: Duration = Duration::from_millis(5);

/// Recordings of invocations that changed nothing that wait for another commit.
const RECORDINGS_WAIT: usize = 100;

/// A commit ends early when its records hold this much: what the relay sends in one transaction stays within reason.
const BATCH_BYTES: usize = 8 << 20;

impl Pipeline {
    /// The committer's life: commits what the workers produced, all that is there at once, until the pipeline stops.
    pub fn commit(&self) {
        while let Some(mut batch) = self.next_batch() {
            let (began, now) = (Instant::now(), clock::wall_millis());
            faults::at(Step::Folded);
            faults::alter(Step::Folded, &mut batch.commit);
            // What only looked costs no write, unless the store has to show that it can write again.
            let written = match batch.commit.is_empty() && self.store_fault.lock().is_none() {
                true => Ok(CommitResult::Committed(Committed::default())),
                false => self.store.commit(&batch.commit, now),
            };
            faults::at(Step::Committed);
            match written {
                Ok(CommitResult::Committed(committed)) => {
                    *self.store_fault.lock() = None;
                    self.meters.commit_units.record(batch.units.len() as f64);
                    self.meters.commit_seconds.record(began.elapsed());
                    self.settle(batch, committed, now);
                }
                Ok(CommitResult::Conflict(conflict)) => {
                    *self.store_fault.lock() = None;
                    self.rerun(batch, &conflict);
                }
                Err(error @ StoreError::Unavailable(_)) => {
                    self.meters.commit_failures.increment(1);
                    *self.store_fault.lock() = Some(error.to_string());
                    tracing::error!(%error, units = batch.units.len(), "commit failed; what stood on it is run again");
                    self.fail(batch);
                }
                Err(error) => {
                    // Whether it is durable is not known here: nothing may act on it, and only a restart can tell. Until
                    // the host has ended nothing more is tried on top of it either.
                    self.stop();
                    self.alarm.raise(&error);
                    return;
                }
            }
        }
    }

    fn next_batch(&self) -> Option<Batch> {
        let mut shared = self.shared.lock();
        loop {
            if shared.revert {
                self.revert(&mut shared, Vec::new());
            }
            if !shared.units.is_empty() {
                if self.linger(&mut shared) {
                    break;
                }
                continue;
            }
            if shared.stopping {
                if !self.outbox.has_published() {
                    return None;
                }
                break;
            }
            if self.outbox.has_published() {
                if self.committable.wait_for(&mut shared, NEWS_WAIT).timed_out() {
                    break;
                }
            } else if self.store_fault.lock().is_some() {
                // Whoever sees the fault sends nothing any more: the store is tried without anything to commit.
                if self
                    .committable
                    .wait_for(&mut shared, self.options.store_pause)
                    .timed_out()
                {
                    break;
                }
            } else {
                self.committable.wait(&mut shared);
            }
        }
        Some(self.gather(&mut shared))
    }

    /// What is committed next: as many units as one commit may hold, the oldest ones.
    pub(super) fn gather(&self, shared: &mut Shared) -> Batch {
        let mut bytes = 0;
        let fits = |unit: &&Unit| {
            bytes += unit
                .records
                .iter()
                .map(|record| record.value.as_ref().map_or(0, Vec::len))
                .sum::<usize>();
            bytes <= BATCH_BYTES
        };
        let count = shared
            .units
            .iter()
            .take(self.options.batch)
            .take_while(fits)
            .count()
            .max(1);
        let units: Vec<_> = shared.units.drain(..count.min(shared.units.len())).collect();
        shared.committing = !units.is_empty();
        let standings = Standings {
            lanes: &shared.lanes,
            partitions: &shared.partitions,
            registry: &self.registry,
        };
        let mut batch = fold(units, &standings, self.store.is_shared());
        batch.commit.published = self.outbox.take_published();
        batch.commit.letters_bound = self.options.dead_letters;
        // What only looked costs no write: its recordings wait for a commit that writes anyhow.
        let recordings = std::mem::take(&mut batch.commit.recordings);
        shared.recordings.extend(recordings);
        if !batch.commit.is_empty() || shared.recordings.len() > RECORDINGS_WAIT {
            batch.commit.recordings = std::mem::take(&mut shared.recordings);
        }
        batch
    }

    /// Waits for more units, as long as there is work under way that will bring some. Answers whether there is still
    /// something to commit.
    fn linger(&self, shared: &mut MutexGuard<'_, Shared>) -> bool {
        let until = Instant::now() + LINGER;
        while !shared.stopping && !shared.revert && shared.units.len() < self.options.batch && self.is_busy(shared) {
            if self.committable.wait_until(shared, until).timed_out() {
                break;
            }
        }
        !shared.revert && !shared.units.is_empty()
    }

    /// The batch is durable: lanes, progress and bounds follow, and those who wait for it hear of it.
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
        let now = clock::wall_millis();
        let mut shared = self.shared.lock();
        shared.committing = false;
        for (lane, revision) in states.iter().zip(committed.revisions) {
            shared.lanes.rebase(lane, revision);
        }
        let mut answers = Vec::new();
        for unit in units {
            self.release_unit(&mut shared, &unit, now);
            self.letters_settled(&mut shared, &unit);
            if let Finish::Answered {
                request,
                answer,
                remember,
            } = unit.finish
            {
                answers.extend(shared.waiting.remove(&request).map(|client| (client, answer)));
                if let Some(write) = remember {
                    shared.remembered.remove(&(write.key, write.idempotency_key));
                }
            }
        }
        self.wake_workers(&mut shared);
        // Before the lock goes: whoever sees that there is room must find that it may go on.
        self.may_resume();
        drop(shared);
        for (client, answer) in answers {
            // A client that has gone hears nothing.
            client.send(answer).ok();
        }
        self.settled.notify_all();
        faults::at(Step::Settled);
    }

    fn release_unit(&self, shared: &mut Shared, unit: &Unit, now: i64) {
        for (lane, _) in &unit.changes {
            shared.lanes.committed(lane);
        }
        let (ix, span, weight, produced_millis) = match &unit.finish {
            Finish::Done {
                partition,
                span,
                weight,
                produced_millis,
                ..
            } => (partition, span, weight, produced_millis),
            Finish::Attempt { partition, .. } => {
                if let Some(partition) = shared.partitions.get_mut(*partition) {
                    partition.noting = partition.noting.saturating_sub(1);
                }
                return;
            }
            Finish::Answered { .. } | Finish::Redriven(_) | Finish::Ordered => return,
        };
        let Some(partition) = shared.partitions.get_mut(*ix) else {
            return;
        };
        if let Some(progress) = &mut partition.progress {
            progress.complete(*span);
        }
        if let (Some(produced), Some(handler)) = (produced_millis, self.registry.get(partition.handler)) {
            let lag = u64::try_from(now - produced).unwrap_or(0);
            if let Some(meters) = handler.meters.topic(&partition.name.topic) {
                meters.event_lag.record(Duration::from_millis(lag));
            }
        }
        self.forget(shared, *ix, (1, *weight));
    }

    /// Sets the gauges, for whoever looks once in a while; a gauge is a float, exact far beyond any of these numbers.
    pub fn measure(&self) {
        if self.store.is_shared() {
            // Other hosts commit and publish as well.
            self.outbox.measure();
        }
        let shared = &*self.shared.lock();
        let outbox = self.outbox.size();
        self.meters.outbox_bytes.set(outbox.bytes as f64);
        self.meters.outbox_batches.set(outbox.batches as f64);
        self.meters.cache_bytes.set(shared.lanes.cached_bytes() as f64);
        for (ix, handler) in self.registry.iter() {
            let parked = shared.partitions.of(ix).map(|(ix, _)| shared.lanes.parked(ix).records);
            let parked: usize = parked.sum();
            handler.meters.parked.set(parked as f64);
            handler.meters.in_flight.set(Self::load(shared, ix).0 as f64);
            handler.meters.lanes.set(shared.lanes.count(ix) as f64);
            handler.meters.held_keys.set(shared.detours.held.count(ix) as f64);
            let paused = shared.detours.paused.contains_key(&ix);
            handler.meters.paused.set(f64::from(u8::from(paused)));
        }
    }

    pub(super) fn fail(&self, batch: Batch) {
        let mut shared = self.shared.lock();
        shared.committing = false;
        // What the relay published is told again with the next commit.
        self.outbox.give_back_published(&batch.commit.published);
        self.revert(&mut shared, batch.into_units());
        if !shared.stopping {
            // New units gather meanwhile; only a stop cuts the pause short.
            let until = Instant::now() + self.options.store_pause;
            while !shared.stopping && !self.committable.wait_until(&mut shared, until).timed_out() {}
        }
    }

    /// Drops what is not committed and runs it again: it stood on a commit that failed, or a revocation cannot wait.
    /// Units that nothing stands on are kept, but for records of partitions that were taken away: these come in again.
    pub(super) fn revert(&self, shared: &mut Shared, failed: Vec<Unit>) {
        shared.revert = false;
        shared.detours.held.revert();
        let queued = std::mem::take(&mut shared.units);
        let units = failed.into_iter().chain(queued);
        for unit in units.filter(|unit| unit.changes.is_empty()) {
            if let Finish::Done { partition, weight, .. } = unit.finish
                && shared.partitions.get(partition).is_some_and(|taken| !taken.assigned)
            {
                self.forget(shared, partition, (1, weight));
            } else {
                shared.units.push_back(unit);
            }
        }
        shared.remembered.clear();
        for work in shared.lanes.revert() {
            if let Input::Request(id, _) = &*work
                && let Some(client) = shared.waiting.remove(id)
            {
                let reason = "what the request stood on could not be committed".to_owned();
                client.send(Answer::Unavailable(reason)).ok();
            }
        }
        let revoked = shared
            .partitions
            .iter_mut()
            .filter(|(_, partition)| !partition.assigned);
        let revoked: Vec<_> = revoked.map(|(ix, _)| ix).collect();
        for ix in revoked {
            self.purge(shared, ix);
        }
        self.wake_workers(shared);
    }
}
