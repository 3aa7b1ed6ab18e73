//! One step of the relay: the next batches to all topics but the held ones, or what waits for one of those.

use std::sync::Arc;
use std::time::Instant;

use super::held::Held;
use super::{Did, Open, Relay, RelayError, Standing};
use sandman_core::broker::{Cursor, PublishError, Published};
use sandman_core::event::OutRecord;
use sandman_core::faults::{self, Step};
use sandman_core::store::{BatchNo, OutboxBatch};

/// How a transaction went.
enum Went {
    /// Visible.
    Through(Published),
    /// A topic refused a record; nothing of it is visible.
    Refused,
}

impl Relay {
    /// Publishes what is there, up to so many bytes.
    pub(super) fn step(&self, standing: &mut Standing, most: u64) -> Result<Did, RelayError> {
        if standing.open.is_none() {
            standing.open = Some(self.open(standing.knows, &mut standing.held)?);
            standing.knows.began = true;
            self.tell_held(&standing.held);
            // Heard once; a full channel means that it was heard.
            self.ready.try_send(()).ok();
        }
        if let Some((topic, after)) = standing.held.due(Instant::now())
            && self.step_held(standing, (&topic, after), most)?
        {
            return Ok(Did::Publish);
        }
        self.step_all(standing, most)
    }

    /// Publishes the next batches, but for what is held.
    fn step_all(&self, standing: &mut Standing, most: u64) -> Result<Did, RelayError> {
        let Some(Open { after, .. }) = standing.open else {
            return Ok(Did::Publish);
        };
        let mut batches = self.pipeline.outgoing(self.lease.shard, after, most)?;
        let Some(last) = batches.last().map(|batch| batch.number) else {
            return Ok(Did::Nothing);
        };
        faults::at(Step::Relayed);
        faults::alter(Step::Relayed, &mut batches);
        fit(&mut batches, &standing.held);
        let held = &standing.held;
        let cursor = Cursor {
            held: held.cursor(last, None),
            ..self.cursor(last)
        };
        let records: Vec<&OutRecord> = batches
            .iter()
            .flat_map(|batch| &batch.records)
            .filter(|record| !held.holds(&record.topic))
            .collect();
        let began = Instant::now();
        let Went::Through(published) = self.publish(standing, &records, (&cursor, after))? else {
            return Ok(Did::Publish);
        };
        if let Some(open) = &mut standing.open {
            open.after = last;
        }
        standing.knows.confirmed = last;
        standing.knows.adopt = false;
        standing.held.committed();
        self.meters.host.relay_seconds.record(began.elapsed());
        self.tell_published(standing, last);
        self.settled_with(standing, published, last);
        Ok(Did::Publish)
    }

    /// Publishes what waits for a held topic behind `after`, as far as all others are. Returns whether anything was done.
    fn step_held(
        &self,
        standing: &mut Standing,
        (topic, after): (&Arc<str>, BatchNo),
        most: u64,
    ) -> Result<bool, RelayError> {
        // What it refused is not among what the others have yet: they go on first.
        let Some(batch) = standing
            .open
            .as_ref()
            .map(|open| open.after)
            .filter(|batch| *batch > after)
        else {
            return Ok(false);
        };
        let mut batches = self.store.outbox(self.lease.shard, after, most)?;
        batches.retain(|waiting| waiting.number <= batch);
        let to = batches.last().map_or(batch, |last| last.number);
        fit(&mut batches, &standing.held);
        let records = batches.iter().flat_map(|batch| &batch.records);
        let records: Vec<&OutRecord> = records.filter(|record| record.topic == *topic).collect();
        let mut published = Published::Clean;
        if !records.is_empty() {
            let cursor = Cursor {
                held: standing.held.cursor(batch, Some((topic, to))),
                ..self.cursor(batch)
            };
            match self.publish(standing, &records, (&cursor, after))? {
                Went::Through(went) => published = went,
                Went::Refused => return Ok(true),
            }
            standing.held.committed();
        }
        if standing.held.moved(topic, to, batch, Instant::now()) {
            tracing::info!(%topic, "the topic takes records again");
            self.tell_held(&standing.held);
        }
        self.tell_published(standing, batch);
        self.settled_with(standing, published, batch);
        Ok(true)
    }

    /// Publishes these records and the cursor. A topic that refuses a record is held from `after` on.
    fn publish(
        &self,
        standing: &mut Standing,
        records: &[&OutRecord],
        (cursor, after): (&Cursor, BatchNo),
    ) -> Result<Went, RelayError> {
        let Some(Open { publisher, .. }) = &mut standing.open else {
            return Ok(Went::Refused);
        };
        let mut published = publisher.publish(&mut records.iter().copied(), cursor);
        faults::alter(Step::Visible, &mut published);
        let topics = &mut standing.topics;
        match published {
            Ok(published) => {
                self.count(topics, records.iter().copied(), |meters| &meters.published);
                Ok(Went::Through(published))
            }
            Err(error) => {
                self.count(topics, records.iter().copied(), |meters| &meters.failed);
                // Not the relay's own topic: without that, nothing can be published.
                let is_ours = |topic: &Arc<str>| records.iter().any(|record| record.topic == *topic);
                let Some(topic) = error.refused_by().filter(is_ours) else {
                    return Err(error.into());
                };
                self.meters.host.relay_failures.increment(1);
                self.hold(standing, (&topic, after), &error);
                // What failed cannot be used again.
                standing.open = None;
                Ok(Went::Refused)
            }
        }
    }

    /// Shrinks what the topic refuses, where that helps; else what goes to it waits.
    fn hold(&self, standing: &mut Standing, (topic, after): (&Arc<str>, BatchNo), error: &PublishError) {
        if let PublishError::TooLarge { bytes, .. } = error {
            let largest = self.broker.largest_record(topic).unwrap_or(bytes / 2);
            if standing.held.takes(topic, largest) {
                tracing::warn!(%topic, largest, "the topic takes less than others; batches become smaller, dead letters shrink");
                return;
            }
        }
        let news = !standing.held.holds(topic);
        standing.held.refused(topic, after, Instant::now(), error.to_string());
        if news {
            tracing::error!(%topic, %error, "the topic refuses a record; what goes to it waits, everything else goes on");
        }
        self.tell_held(&standing.held);
    }

    fn settled_with(&self, standing: &mut Standing, published: Published, batch: BatchNo) {
        faults::at(Step::Acknowledged);
        if published == Published::Reopen {
            tracing::info!(batch, "the connection was troubled; the publisher is opened anew");
            standing.open = None;
        }
    }

    /// Batches that every topic is past leave the outbox, where those that are not held have reached `batch`.
    fn tell_published(&self, standing: &mut Standing, batch: BatchNo) {
        let published = standing.held.published(batch);
        standing.knows.told = standing.knows.told.max(published);
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
