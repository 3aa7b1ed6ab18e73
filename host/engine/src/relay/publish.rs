//! One step of the relay: publishes the next batches to all topics except the held ones, or the waiting records of a
//! held topic.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::held::Held;
use super::{Open, Relay, RelayError, RelayState, StepResult};
use sandman_core::broker::{Cursor, PublishError, Published};
use sandman_core::event::OutRecord;
use sandman_core::faults::{self, Step};
use sandman_core::store::{BatchNo, OutboxBatch};

/// The result of a transaction.
enum TransactionResult {
    /// Visible.
    Visible(Published),
    /// A topic refused a record; nothing of it is visible.
    Refused,
}

impl Relay {
    /// Publishes waiting batches, up to the size that suits the network.
    pub(super) fn step(&self, state: &mut RelayState) -> Result<StepResult, RelayError> {
        if state.open.is_none() {
            state.open = Some(self.open(state.progress, &mut state.held)?);
            state.progress.began = true;
            self.tell_held(&state.held);
            // Only the first message matters; a full channel has it already.
            self.ready.try_send(()).ok();
        }
        if let Some((topic, after)) = state.held.due(Instant::now())
            && self.step_held(state, (&topic, after))?
        {
            return Ok(StepResult::Publish);
        }
        self.step_all(state)
    }

    /// Publishes the next batches, except for held topics.
    fn step_all(&self, state: &mut RelayState) -> Result<StepResult, RelayError> {
        let Some(Open { after, .. }) = state.open else {
            return Ok(StepResult::Publish);
        };
        let mut batches = self.outbox.next(self.lease.shard, after, state.pace.most())?;
        let Some(last) = batches.last().map(|batch| batch.number) else {
            return Ok(StepResult::Nothing);
        };
        faults::at(Step::Relayed);
        faults::alter(Step::Relayed, &mut batches);
        fit(&mut batches, &state.held);
        let held = &state.held;
        let cursor = Cursor {
            held: held.cursor(last, None),
            ..self.cursor(last)
        };
        let records: Vec<&OutRecord> = batches
            .iter()
            .flat_map(|batch| &batch.records)
            .filter(|record| !held.holds(&record.topic))
            .collect();
        let bytes: usize = records.iter().map(|record| record.bytes()).sum();
        let began = Instant::now();
        let TransactionResult::Visible(published) = self.publish(state, &records, (&cursor, after))? else {
            return Ok(StepResult::Publish);
        };
        let took = began.elapsed();
        state.pace.went(bytes as u64, took);
        if let Some(open) = &mut state.open {
            open.after = last;
        }
        state.progress.confirmed = last;
        self.adopt.store(false, Ordering::Relaxed);
        state.held.committed();
        self.meters.host.relay_seconds.record(took);
        self.tell_published(state, last);
        self.settled_with(state, published, last);
        Ok(StepResult::Publish)
    }

    /// Publishes the waiting records of a held topic after `after`, up to the batch that all others have reached.
    /// Returns whether anything was done.
    fn step_held(&self, state: &mut RelayState, (topic, after): (&Arc<str>, BatchNo)) -> Result<bool, RelayError> {
        // The others have not reached the batch that it refused: they come first.
        let Some(batch) = state
            .open
            .as_ref()
            .map(|open| open.after)
            .filter(|batch| *batch > after)
        else {
            return Ok(false);
        };
        let mut batches = self.store.outbox(self.lease.shard, after, state.pace.most())?;
        batches.retain(|waiting| waiting.number <= batch);
        let to = batches.last().map_or(batch, |last| last.number);
        fit(&mut batches, &state.held);
        let records = batches.iter().flat_map(|batch| &batch.records);
        let records: Vec<&OutRecord> = records.filter(|record| record.topic == *topic).collect();
        let mut published = Published::Clean;
        if !records.is_empty() {
            let cursor = Cursor {
                held: state.held.cursor(batch, Some((topic, to))),
                ..self.cursor(batch)
            };
            match self.publish(state, &records, (&cursor, after))? {
                TransactionResult::Visible(went) => published = went,
                TransactionResult::Refused => return Ok(true),
            }
            state.held.committed();
        }
        if state.held.moved(topic, to, batch, Instant::now()) {
            tracing::info!(%topic, "the topic accepts records again");
            self.tell_held(&state.held);
        }
        self.tell_published(state, batch);
        self.settled_with(state, published, batch);
        Ok(true)
    }

    /// Publishes these records and the cursor. If a topic refuses a record, it is held from `after` on.
    fn publish(
        &self,
        state: &mut RelayState,
        records: &[&OutRecord],
        (cursor, after): (&Cursor, BatchNo),
    ) -> Result<TransactionResult, RelayError> {
        let Some(Open { publisher, .. }) = &mut state.open else {
            return Ok(TransactionResult::Refused);
        };
        let mut published = publisher.publish(&mut records.iter().copied(), cursor);
        faults::alter(Step::Visible, &mut published);
        let topics = &mut state.topics;
        match published {
            Ok(published) => {
                self.count(topics, records.iter().copied(), |meters| &meters.published);
                Ok(TransactionResult::Visible(published))
            }
            Err(error) => {
                self.count(topics, records.iter().copied(), |meters| &meters.failed);
                // The relay's own topic cannot be held: without it nothing can be published.
                let is_ours = |topic: &Arc<str>| records.iter().any(|record| record.topic == *topic);
                let Some(topic) = error.refused_by().filter(is_ours) else {
                    return Err(error.into());
                };
                self.meters.host.relay_failures.increment(1);
                self.hold(state, (&topic, after), &error);
                // A failed publisher cannot be used again.
                state.open = None;
                Ok(TransactionResult::Refused)
            }
        }
    }

    /// Shrinks the refused record if that helps; otherwise holds the topic.
    fn hold(&self, state: &mut RelayState, (topic, after): (&Arc<str>, BatchNo), error: &PublishError) {
        if let PublishError::TooLarge { bytes, .. } = error {
            let largest = self.broker.largest_record(topic).unwrap_or(bytes / 2);
            if state.held.takes(topic, largest) {
                tracing::warn!(%topic, largest, "the topic accepts only smaller records; batches and dead letters are made smaller");
                return;
            }
        }
        let news = !state.held.holds(topic);
        state.held.refused(topic, after, Instant::now(), error.to_string());
        if news {
            tracing::error!(%topic, %error, "the topic refuses a record; the records for it wait, everything else continues");
        }
        self.tell_held(&state.held);
    }

    fn settled_with(&self, state: &mut RelayState, published: Published, batch: BatchNo) {
        faults::at(Step::Acknowledged);
        if published == Published::Reopen {
            tracing::info!(
                batch,
                "the connection had errors or was slow; the publisher is reopened"
            );
            state.open = None;
        }
    }

    /// Removes the batches that every topic is past from the outbox, when those that are not held have reached `batch`.
    fn tell_published(&self, state: &mut RelayState, batch: BatchNo) {
        let published = state.held.published(batch);
        state.progress.told = state.progress.told.max(published);
        self.published(published);
    }

    fn tell_held(&self, held: &Held) {
        let reasons = held.reasons();
        self.meters.host.held_topics.set(reasons.len() as f64);
        self.view.set_held_topics(reasons);
    }
}

/// Shrinks the dead letters that are too large for their topics.
fn fit(batches: &mut [OutboxBatch], held: &Held) {
    if held.is_empty() {
        return;
    }
    for record in batches.iter_mut().flat_map(|batch| &mut batch.records) {
        if let Some(fitted) = held.fitted(record) {
            *record = fitted;
        }
    }
}
