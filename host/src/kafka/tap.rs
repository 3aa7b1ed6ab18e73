//! Reads along: every record of some topics from their beginning, for whoever wants to see what happens.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::metadata::MetadataPartition;
use rdkafka::{Offset, TopicPartitionList};
use thiserror::Error;

use super::client::Monitor;
use super::health::KafkaHealth;
use super::record::owned;
use super::settings::KafkaSettings;
use crate::event::{Record, TopicPartition};

/// How long the cluster may take to say what partitions there are.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why topics cannot be read.
#[derive(Debug, Error)]
#[error("the topics cannot be read along: {0}")]
pub struct TapError(String);

impl From<KafkaError> for TapError {
    fn from(error: KafkaError) -> Self {
        Self(error.to_string())
    }
}

/// A reader of topics, a member of no group. It commits nothing and holds nobody up.
pub struct Tap {
    reader: BaseConsumer<Monitor>,
}

impl Tap {
    /// Reads these topics, which must be there, from their beginning.
    ///
    /// # Errors
    /// [`TapError`] if the cluster does not answer.
    pub fn open(settings: &KafkaSettings, topics: &[String]) -> Result<Self, TapError> {
        let monitor = Monitor::new(KafkaHealth::new().passer_by("tap"));
        let reader: BaseConsumer<Monitor> = settings.reader().create_with_context(monitor)?;
        let mut assignment = TopicPartitionList::new();
        for topic in topics {
            let metadata = reader.fetch_metadata(Some(topic), PATIENCE)?;
            let found = metadata.topics().iter().flat_map(|found| found.partitions());
            for partition in found.map(MetadataPartition::id) {
                assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
            }
        }
        reader.assign(&assignment)?;
        Ok(Self { reader })
    }

    /// The next record; `None` if there is none within `patience`.
    pub fn next(&self, patience: Duration) -> Option<Record> {
        // The library mends what goes wrong by itself, and says so in its log.
        let message = self.reader.poll(patience)?.ok()?;
        let source = TopicPartition {
            topic: Arc::from(message.topic()),
            partition: message.partition(),
        };
        Some(owned(&message, source))
    }
}
