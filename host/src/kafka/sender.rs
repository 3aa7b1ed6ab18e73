//! Sends single records, outside of any transaction: what a developer sends, never what a handler decided.

use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use thiserror::Error;

use super::client::Monitor;
use super::delivery::Deliveries;
use super::health::KafkaHealth;
use super::publisher::headers;
use super::settings::KafkaSettings;
use crate::event::OutRecord;

/// How long a record may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a record was not sent.
#[derive(Debug, Error)]
pub enum SendError {
    /// The settings make no client.
    #[error("kafka client cannot be made: {0}; check [kafka] and [kafka.options]")]
    Settings(String),
    /// Kafka did not take it.
    #[error("topic `{topic}` did not take the record: {reason}")]
    Refused {
        /// The topic.
        topic: String,
        /// What Kafka said.
        reason: String,
    },
}

/// A producer that sends one record at a time.
pub struct Sender {
    producer: ThreadedProducer<Deliveries>,
}

impl Sender {
    /// A producer for this cluster.
    ///
    /// # Errors
    /// [`SendError::Settings`]
    pub fn open(settings: &KafkaSettings) -> Result<Self, SendError> {
        let monitor = Monitor::new(KafkaHealth::new().passer_by("sender"));
        let producer = settings.sender().create_with_context(Deliveries::new(monitor));
        let producer = producer.map_err(|error| SendError::Settings(error.to_string()))?;
        Ok(Self { producer })
    }

    /// Sends a record and waits until Kafka has it.
    ///
    /// # Errors
    /// [`SendError::Refused`]
    pub fn send(&self, record: &OutRecord) -> Result<(), SendError> {
        let refused = |reason: String| SendError::Refused {
            topic: record.topic.to_string(),
            reason,
        };
        let deliveries = self.producer.client().context();
        deliveries.reset();
        let mut sent = BaseRecord::with_opaque_to(&record.topic, 0);
        sent.key = record.key.as_deref();
        sent.payload = record.value.as_deref();
        sent.headers = headers(record);
        self.producer
            .send(sent)
            .map_err(|(error, _)| refused(error.to_string()))?;
        match deliveries.wait(1, PATIENCE) {
            Ok(true) => Ok(()),
            Ok(false) => Err(refused("it did not answer in time".to_owned())),
            Err(failed) if failed.code == RDKafkaErrorCode::MessageTimedOut => {
                Err(refused("there is no such topic, or no broker".to_owned()))
            }
            Err(failed) => Err(refused(failed.code.to_string())),
        }
    }
}
