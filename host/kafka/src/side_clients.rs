//! Ordinary clients outside of the host, like those of other services: for demonstrations and development.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use thiserror::Error;

use super::publisher::headers;
use super::record::owned;
use super::settings::KafkaSettings;
use super::wait::{Deadline, POLL};
use sandman_core::event::{OutRecord, Record, TopicPartition};

/// An error of a side client.
#[derive(Debug, Error)]
#[error("kafka: {0}")]
pub struct SideClientError(#[from] KafkaError);

/// Publishes like another service: by key, acknowledged, without transactions.
pub struct Announcer(ThreadedProducer<DefaultProducerContext>);

impl Announcer {
    /// A producer, which connects on its own.
    ///
    /// # Errors
    /// [`SideClientError`] if it cannot be created with these settings.
    pub fn open(settings: &KafkaSettings) -> Result<Self, SideClientError> {
        Ok(Self(settings.side_producer().create()?))
    }

    /// Hands a record over. It is sent when the broker can be reached, after those before it.
    ///
    /// # Errors
    /// [`SideClientError`] if it cannot be queued.
    pub fn send(&self, topic: &str, key: &str, value: &[u8]) -> Result<(), SideClientError> {
        let record = BaseRecord::to(topic).key(key).payload(value);
        self.0.send(record).map_err(|(error, _)| error.into())
    }

    /// The same, for a record with headers, or without a key.
    ///
    /// # Errors
    /// [`SideClientError`] if it cannot be queued.
    pub fn publish(&self, record: &OutRecord) -> Result<(), SideClientError> {
        let mut sent = BaseRecord::<[u8], [u8]>::to(&record.topic);
        sent.key = record.key.as_deref();
        sent.payload = record.value.as_deref();
        sent.headers = headers(record);
        self.0.send(sent).map_err(|(error, _)| error.into())
    }

    /// Waits until everything is acknowledged.
    ///
    /// # Errors
    /// [`SideClientError`] if that does not happen within `patience`.
    pub fn flush(&self, patience: Duration) -> Result<(), SideClientError> {
        Ok(self.0.flush(patience)?)
    }
}

/// Reads topics from their beginning, read committed, without a group.
pub struct Observer(BaseConsumer);

impl Observer {
    /// A reader of all partitions of these topics, which exist.
    ///
    /// # Errors
    /// [`SideClientError`] if the partitions are not known within `patience`.
    pub fn open(settings: &KafkaSettings, topics: &[&str], patience: Duration) -> Result<Self, SideClientError> {
        let consumer: BaseConsumer = settings.reader().create()?;
        let deadline = Deadline::after(patience);
        let mut assignment = TopicPartitionList::new();
        for topic in topics {
            let metadata = consumer.fetch_metadata(Some(topic), deadline.left())?;
            let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
            for partition in partitions {
                assignment.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
            }
        }
        consumer.assign(&assignment)?;
        Ok(Self(consumer))
    }

    /// The next record, if one comes soon. Waits if the broker is unreachable.
    ///
    /// # Errors
    /// [`SideClientError`] if the reader cannot continue.
    pub fn next(&self) -> Result<Option<Record>, SideClientError> {
        match self.0.poll(POLL) {
            Some(Ok(message)) => {
                let source = TopicPartition {
                    topic: message.topic().into(),
                    partition: message.partition(),
                };
                Ok(Some(owned(&message, source)))
            }
            Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) => Err(error.into()),
            _ => Ok(None),
        }
    }
}
