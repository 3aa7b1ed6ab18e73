//! The cluster, for the relay of one deployment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::cursor::{read_cursor, read_open_cursor};
use super::health::KafkaHealth;
use super::leaders::LeaderlessTopics;
use super::publisher::{PublisherOptions, TransactionalPublisher};
use super::settings::KafkaSettings;
use super::topics::{ensure_topics, largest_record};
use super::visible::any_visible;
use sandman_core::broker::{Broker, Cursor, CursorError, PublishError, Published, Publisher, TopicSpec, TopicsError};
use sandman_core::event::OutRecord;
use sandman_core::faults::{self, Step};

/// How long opening, and publishing one transaction, may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The relay's access to a cluster.
pub struct KafkaBroker {
    /// How to reach it.
    pub settings: KafkaSettings,
    /// Determines the transactional id and the cursor's topic.
    pub deployment: String,
    /// The shard of the outbox that is published: each has its own transactional id and cursor.
    pub shard: u16,
    /// Topics to create if they are missing.
    pub topics: Vec<TopicSpec>,
    /// The health to which connections are reported.
    pub health: Arc<KafkaHealth>,
    /// Ends every wait at once when set.
    pub give_up: Arc<AtomicBool>,
    /// The most bytes of one batch: the smallest limit of the topics that have refused a record.
    pub batch_bytes: AtomicUsize,
    /// Topics that were found without a leader.
    pub leaderless: LeaderlessTopics,
}

/// Bytes of a batch that every topic accepts by default.
pub const BATCH_BYTES: usize = 1_000_000;

/// The topic of a deployment's cursor of a shard. Each shard has its own, so that an open transaction of one shard does
/// not hide the cursor of another.
pub fn cursor_topic(deployment: &str, shard: u16) -> String {
    match shard {
        0 => format!("{deployment}.relay"),
        shard => format!("{deployment}.relay-{shard}"),
    }
}

impl KafkaBroker {
    fn cursor_topic(&self) -> String {
        cursor_topic(&self.deployment, self.shard)
    }
}

impl Broker for KafkaBroker {
    fn address(&self) -> &str {
        &self.settings.brokers
    }

    fn prepare(&self) -> Result<Vec<String>, TopicsError> {
        match ensure_topics(&self.settings, &self.topics, &self.health, PATIENCE) {
            // Without its cursor the relay cannot work; a missing topic of a handler holds up only that topic's records.
            Err(TopicsError::NotAllowed(missing)) if !missing.contains(&self.cursor_topic()) => {
                tracing::error!(
                    topics = missing.join(", "),
                    "these topics do not exist and the host is not allowed to create them; what goes to them waits, and \
                     handlers that read them are degraded"
                );
                Ok(Vec::new())
            }
            Err(TopicsError::Refused { topic, reason }) if topic != self.cursor_topic() => {
                tracing::error!(topic, reason, "the topic cannot be created; the records for it wait");
                Ok(Vec::new())
            }
            made => made,
        }
    }

    /// A shard without a cursor belongs to the store that the first shard's cursor names, because all shards of a
    /// deployment are in one store.
    fn cursor(&self) -> Result<Option<Cursor>, CursorError> {
        let read = |topic: String| read_cursor(&self.settings, &topic, &self.health, PATIENCE);
        let own = read(self.cursor_topic())?;
        if own.is_some() || self.shard == 0 {
            return Ok(own);
        }
        let first = read(cursor_topic(&self.deployment, 0))?;
        Ok(first.map(|first| Cursor {
            store: first.store,
            batch: 0,
            held: Default::default(),
        }))
    }

    fn open_cursor(&self) -> Result<Option<Cursor>, CursorError> {
        read_open_cursor(&self.settings, &self.cursor_topic(), &self.health, PATIENCE)
    }

    fn any_visible(&self, records: &[OutRecord]) -> Result<bool, PublishError> {
        any_visible(&self.settings, records, &self.health, PATIENCE)
    }

    fn largest_record(&self, topic: &str) -> Option<usize> {
        let largest = largest_record(&self.settings, topic, &self.health);
        // A batch that is too large would be refused again and again, although the topic accepts each of its records.
        self.batch_bytes.fetch_min(largest.unwrap_or(1), Ordering::Relaxed);
        largest
    }

    fn publisher(&self) -> Result<Box<dyn Publisher>, PublishError> {
        let mut transactional_id = format!("{}-relay-{}", self.deployment, self.shard);
        faults::alter(Step::Begun, &mut transactional_id);
        let options = PublisherOptions {
            transactional_id,
            cursor_topic: self.cursor_topic(),
            patience: PATIENCE,
            give_up: Arc::clone(&self.give_up),
            batch_bytes: self.batch_bytes.load(Ordering::Relaxed),
            leaderless: self.leaderless.clone(),
        };
        let publisher = TransactionalPublisher::open(&self.settings, options, &self.health)?;
        Ok(Box::new(publisher))
    }
}

impl Publisher for TransactionalPublisher {
    fn publish(
        &mut self,
        records: &mut dyn Iterator<Item = &OutRecord>,
        cursor: &Cursor,
    ) -> Result<Published, PublishError> {
        Self::publish(self, records, cursor)
    }

    fn withdraw(&mut self, records: &mut dyn Iterator<Item = &OutRecord>, cursor: &Cursor) -> Result<(), PublishError> {
        Self::withdraw(self, records, cursor)
    }

    fn is_spent(&self) -> bool {
        Self::is_spent(self)
    }
}
