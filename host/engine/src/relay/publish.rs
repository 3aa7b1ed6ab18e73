//! One step of the relay: the next batches to all topics but the held ones, or what waits for one of those.

use std::sync::Arc;
use std::time::Instant;

use super::held::Held;
use super::{Open, Relay, RelayError, RelayState, StepResult};
use sandman_core::broker::{Cursor, PublishError, Published};
use sandman_core::event::OutRecord;
use sandman_core::faults::{self, Step};
use sandman_core::store::{BatchNo, OutboxBatch};

/// How a transaction went.
enum TransactionResult {
    /// Visible.
    Visible(Published),
    /// A topic refused a record; nothing of it is visible.
    Refused,
}

impl Relay {
    /// Publishes what is there, up to what the network takes.
    pub(super) fn step(&self, state: &mut RelayState) -> Result<StepResult, RelayError> {
        if state.open.is_none() {
            state.open = Some(self.open(state.progress, &mut state.held)?);
            state.progress.began = true;
            self.tell_held(&state.held);
            // Heard once; a full channel means that it was heard.
            self.ready.try_send(()).ok();
        }
        if let Some((topic, after)) = state.held.due(Instant::now())
            && self.step_held(state, (&topic, after))?
        {
            return Ok(StepResult::Publish);
        }
        self.step_all(state)
    }

    /// Publishes the next batches, but for what is held.
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
        state.progress.adopt = false;
        state.held.committed();
        self.meters.host.relay_seconds.record(took);
        self.tell_published(state, last);
        self.settled_with(state, published, last);
        Ok(StepResult::Publish)
    }

    /// Publishes what waits for a held topic behind `after`, as far as all others are. Returns whether anything was done.
    fn step_held(&self, state: &mut RelayState, (topic, after): (&Arc<str>, BatchNo)) -> Result<bool, RelayError> {
        // What it refused is not among what the others have yet: they go on first.
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
            tracing::info!(%topic, "the topic takes records again");
            self.tell_held(&state.held);
        }
        self.tell_published(state, batch);
        self.settled_with(state, published, batch);
        Ok(true)
    }

    /// Publishes these records and the cursor. A topic that refuses a record is held from `after` on.
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
                // Not the relay's own topic: without that, nothing can be published.
                let is_ours = |topic: &Arc<str>| records.iter().any(|record| record.topic == *topic);
                let Some(topic) = error.refused_by().filter(is_ours) else {
                    return Err(error.into());
                };
                self.meters.host.relay_failures.increment(1);
                self.hold(state, (&topic, after), &error);
                // What failed cannot be used again.
                state.open = None;
                Ok(TransactionResult::Refused)
            }
        }
    }

    /// Shrinks what the topic refuses, where that helps; else what goes to it waits.
    fn hold(&self, state: &mut RelayState, (topic, after): (&Arc<str>, BatchNo), error: &PublishError) {
        if let PublishError::TooLarge { bytes, .. } = error {
            let largest = self.broker.largest_record(topic).unwrap_or(bytes / 2);
            if state.held.takes(topic, largest) {
                tracing::warn!(%topic, largest, "the topic takes less than others; batches become smaller, dead letters shrink");
                return;
            }
        }
        let news = !state.held.holds(topic);
        state.held.refused(topic, after, Instant::now(), error.to_string());
        if news {
            tracing::error!(%topic, %error, "the topic refuses a record; what goes to it waits, everything else goes on");
        }
        self.tell_held(&state.held);
    }

    fn settled_with(&self, state: &mut RelayState, published: Published, batch: BatchNo) {
        faults::at(Step::Acknowledged);
        if published == Published::Reopen {
            tracing::info!(batch, "the connection was troubled; the publisher is opened anew");
            state.open = None;
        }
    }

    /// Batches that every topic is past leave the outbox, where those that are not held have reached `batch`.
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

/// Shrinks the dead letters that their topics do not take whole.
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
