//! The relay's port to Kafka: the cursor, the topics, and a publisher whose batches become visible completely or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::event::OutRecord;
use crate::store::BatchNo;

/// A cluster, for the relay of one deployment. Every call blocks, with its own time limit.
pub trait Broker: Send {
    /// The bootstrap addresses, for logs.
    fn address(&self) -> &str;

    /// Creates the topics that are missing and returns their names.
    ///
    /// # Errors
    /// [`TopicsError`] if the cluster cannot be reached or does not allow it.
    fn prepare(&self) -> Result<Vec<String>, TopicsError>;

    /// Reads the committed cursor; `None` if there never was one.
    ///
    /// # Errors
    /// [`CursorError`]
    fn cursor(&self) -> Result<Option<Cursor>, CursorError>;

    /// Reads the cursor of a transaction that has not ended; `None` if none is open.
    ///
    /// # Errors
    /// [`CursorError`]
    fn open_cursor(&self) -> Result<Option<Cursor>, CursorError>;

    /// Whether a read-committed consumer can see any of these records.
    ///
    /// # Errors
    /// [`PublishError`] if that cannot be found out in time.
    fn any_visible(&self, records: &[OutRecord]) -> Result<bool, PublishError>;

    /// The largest record, and batch of records, that a topic takes, in bytes with framing; `None` if it is not known.
    /// Publishers that are opened later send no larger batches, or each record alone if it is not known.
    fn largest_record(&self, topic: &str) -> Option<usize>;

    /// Opens the deployment's transactional producer. The previous one is fenced and its open transaction aborted.
    /// Check the cursor before, in order not to fence a rightful owner, and read it again afterwards.
    ///
    /// # Errors
    /// [`PublishError`]
    fn publisher(&self) -> Result<Box<dyn Publisher>, PublishError>;
}

/// An open transactional producer.
pub trait Publisher {
    /// Publishes the records in order, and the cursor, in one transaction. `Ok` means that they are visible.
    ///
    /// # Errors
    /// [`PublishError`]; it says whether anything may be visible. The publisher cannot be used again after one.
    fn publish(
        &mut self,
        records: &mut dyn Iterator<Item = &OutRecord>,
        cursor: &Cursor,
    ) -> Result<Published, PublishError>;

    /// Aborts the transaction that Kafka has not ended, in the partitions of the records' topics and in the cursor's.
    /// After a failure the cursor's transaction is still open.
    ///
    /// # Errors
    /// [`PublishError`]; nothing is visible.
    fn withdraw(&mut self, records: &mut dyn Iterator<Item = &OutRecord>, cursor: &Cursor) -> Result<(), PublishError>;

    /// Whether the producer must be reopened before anything is published.
    fn is_spent(&self) -> bool;
}

/// A batch that is visible.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// The next batch can follow.
    Clean,
    /// The connection had errors or was very slow. A late request of this transaction could affect the next one, so the
    /// publisher must be reopened before it.
    Reopen,
}

/// The position of a deployment's relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The store whose outbox was published.
    pub store: String,
    /// The last of its batches that is visible.
    pub batch: BatchNo,
    /// Topics that refuse a record, and the last batch whose records for them are visible.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<String, BatchNo>,
}

impl Cursor {
    /// The last batch whose records for this topic are visible.
    pub fn at(&self, topic: &str) -> BatchNo {
        self.held.get(topic).copied().unwrap_or(self.batch)
    }

    /// The held topics that have advanced since `other`, an earlier cursor of the same store.
    pub fn moved<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        let held = other.held.iter();
        held.filter(|(topic, at)| self.at(topic) > **at)
            .map(|(topic, _)| topic.as_str())
    }

    /// Whether it covers anything that `other`, a cursor of the same store, does not.
    pub fn is_ahead_of(&self, other: &Self) -> bool {
        self.batch > other.batch || (self.batch == other.batch && self.moved(other).next().is_some())
    }

    /// Encodes the cursor as the value of its record.
    pub fn to_json(&self) -> String {
        // A name and numbers are always JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Why the cursor cannot be read.
#[derive(Debug, Error)]
pub enum CursorError {
    /// The client cannot be created with these settings.
    #[error("kafka client cannot be created: {0}; check [kafka] and [kafka.options]")]
    Settings(String),
    /// The cluster did not answer in time.
    #[error("the relay's cursor on topic `{topic}` cannot be read: {reason}")]
    Unreachable {
        /// The cursor's topic.
        topic: String,
        /// What Kafka said.
        reason: String,
    },
    /// The cluster does not allow it.
    #[error("not allowed to read the relay's cursor on topic `{topic}`; grant READ and DESCRIBE on it")]
    NotAllowed {
        /// The cursor's topic.
        topic: String,
    },
    /// The record is not a cursor: somebody else wrote to the topic.
    #[error(
        "the record at {topic}[{partition}] offset {offset} is not the cursor of a relay: {reason}; \
         somebody else writes to this topic"
    )]
    Malformed {
        /// The cursor's topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// What is wrong with it.
        reason: String,
    },
}

/// A topic that must exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Its partitions, from 1, if it must be created.
    pub partitions: i32,
    /// Whether only the last record of each key is kept.
    pub compacted: bool,
}

/// Why the topics do not all exist.
#[derive(Debug, Error)]
pub enum TopicsError {
    /// The client cannot be created with these settings.
    #[error("kafka client cannot be created: {0}; check [kafka] and [kafka.options]")]
    Settings(String),
    /// The cluster did not answer in time.
    #[error("kafka at {brokers} cannot be reached: {reason}")]
    Unreachable {
        /// The bootstrap brokers.
        brokers: String,
        /// What the library said.
        reason: String,
    },
    /// The host is not allowed to create topics.
    #[error("these topics do not exist and the host is not allowed to create them: {}; create them, or grant CREATE", .0.join(", "))]
    NotAllowed(Vec<String>),
    /// The cluster refused to create a topic.
    #[error("topic `{topic}` cannot be created: {reason}")]
    Refused {
        /// The topic.
        topic: String,
        /// What Kafka said.
        reason: String,
    },
    /// The relay's cursor would be deleted after a while.
    #[error(
        "topic `{0}` must be compacted: set its `cleanup.policy` to `compact`, or its records expire and events repeat"
    )]
    NotCompacted(String),
}

/// Why a transaction was not published.
///
/// After any of these errors the publisher cannot be used again: drop it, read the cursor, and, if it still names our
/// store, open a new one and read the cursor again. That is rare, costs less than a tenth of a second, and leaves no
/// late request of the old producer that could affect the next transaction.
#[derive(Debug, Error)]
pub enum PublishError {
    /// Nothing of it is visible to a read-committed consumer; trying again may work.
    #[error("kafka did not accept the batch, and nothing of it is visible: {reason}")]
    Aborted {
        /// What Kafka said.
        reason: String,
    },
    /// Kafka did not answer in time, or lost track of the transaction: the cursor tells whether it is visible, once a
    /// new publisher is open.
    #[error("kafka did not report the outcome of the batch: {reason}; the relay reads its cursor to find out")]
    Unknown {
        /// What Kafka said.
        reason: String,
    },
    /// Another producer took the transactional id over, or the broker ended a transaction that took too long.
    #[error(
        "the transactional id `{transactional_id}` was taken over: {reason}; \
         another host publishes for the same deployment, or a transaction took longer than `transaction.timeout.ms`"
    )]
    Fenced {
        /// The transactional id.
        transactional_id: String,
        /// What Kafka said.
        reason: String,
    },
    /// The topic does not exist.
    #[error("topic `{topic}` does not exist; create it, or allow the host to create topics")]
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// The record is larger than Kafka accepts, and always will be.
    #[error("a record of {bytes} bytes is too large for topic `{topic}`; raise the topic's `max.message.bytes`")]
    TooLarge {
        /// The topic.
        topic: String,
        /// The record's index in the batch; if the broker refused it, it may be another one of the same request.
        index: usize,
        /// Key and value, in bytes.
        bytes: usize,
    },
    /// A partition of the topic has no leader: the brokers that hold it are away.
    #[error("topic `{topic}` cannot be written to: {reason}; the brokers that have it are down")]
    Leaderless {
        /// The topic.
        topic: String,
        /// Which partitions.
        reason: String,
    },
    /// The topic's configuration does not allow the record: for example it has no key, and the topic is compacted.
    #[error("topic `{topic}` does not accept the record: {reason}; check the topic's configuration")]
    Refused {
        /// The topic.
        topic: String,
        /// What Kafka said.
        reason: String,
    },
    /// The cluster does not allow it.
    #[error("not allowed to {what}: {reason}; grant it to the user of the host")]
    NotAllowed {
        /// The topic, if it is about one.
        topic: Option<String>,
        /// What was tried, with the topic or the transactional id.
        what: String,
        /// What Kafka said.
        reason: String,
    },
    /// The producer cannot be created with these settings.
    #[error("kafka producer cannot be created: {0}; check [kafka] and [kafka.options]")]
    Settings(String),
}

impl PublishError {
    /// The topic that refuses a record, if only that topic is affected and the others may continue.
    pub fn refused_by(&self) -> Option<Arc<str>> {
        match self {
            Self::UnknownTopic { topic }
            | Self::TooLarge { topic, .. }
            | Self::Leaderless { topic, .. }
            | Self::Refused { topic, .. } => Some(topic.as_str().into()),
            Self::NotAllowed { topic, .. } => topic.as_deref().map(Arc::from),
            Self::Aborted { .. } | Self::Unknown { .. } | Self::Fenced { .. } | Self::Settings(_) => None,
        }
    }

    /// Whether trying again may work without anybody intervening.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Aborted { .. } | Self::Unknown { .. })
    }
}
