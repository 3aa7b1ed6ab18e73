//! Which of the records handed to the producer Kafka did not take. The library reports no others: a report for each delivered
//! record would cost more than the record's way into the outbox.

use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::{ClientContext, Statistics};

use super::client::Monitor;

/// A record that Kafka did not take.
#[derive(Clone, Debug)]
pub(super) struct Undelivered {
    pub(super) topic: String,
    /// Its place among the records of the transaction.
    pub(super) index: usize,
    pub(super) bytes: usize,
    pub(super) code: RDKafkaErrorCode,
}

/// Keeps the first failure; the producer's context.
pub(super) struct Deliveries {
    monitor: Monitor,
    failed: Mutex<Option<Undelivered>>,
    /// The topic for which the host has no write permission, from the library's log: Kafka refuses such a transaction
    /// before any record is sent, and the records of all its topics fail.
    forbidden: Mutex<Option<String>>,
}

/// With this text the library's log says that a partition cannot be part of the transaction, before its records fail.
const NOT_ADDED: &str = "Failed to add partition \"";
const FORBIDDEN: &str = "Topic authorization failed";

fn forbidden(line: &str) -> Option<&str> {
    let (_, name) = line.split_once(NOT_ADDED)?;
    let (topic, reason) = name.split_once('"')?;
    reason.contains(FORBIDDEN).then_some(topic)
}

impl Deliveries {
    pub(super) fn new(monitor: Monitor) -> Self {
        Self {
            monitor,
            failed: Mutex::default(),
            forbidden: Mutex::default(),
        }
    }

    pub(super) fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// Forgets the failure, for the next transaction.
    pub(super) fn reset(&self) {
        *self.failed.lock() = None;
    }

    /// The first record of the transaction that Kafka did not take.
    pub(super) fn failed(&self) -> Option<Undelivered> {
        self.failed.lock().clone()
    }

    /// The topic without write permission, if that is why records failed.
    pub(super) fn forbidden(&self) -> Option<String> {
        self.forbidden.lock().clone()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        if let Some(topic) = forbidden(line) {
            *self.forbidden.lock() = Some(topic.to_owned());
        }
        self.monitor.on_log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.monitor.on_error(&error, reason);
    }

    fn stats(&self, _: Statistics) {}

    fn stats_raw(&self, json: &[u8]) {
        self.monitor.on_statistics(json);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let Err((error, message)) = result else { return };
        self.failed.lock().get_or_insert_with(|| Undelivered {
            topic: message.topic().to_owned(),
            index,
            bytes: message.key_len() + message.payload_len(),
            code: error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_that_may_not_be_written_to_is_read_from_the_log() {
        let line = "[thrd:main]: 127.0.0.1:9092/1: Failed to add partition \"a.b-c\" [2] to transaction: Broker: Topic authorization failed";
        assert_eq!(forbidden(line), Some("a.b-c"));
        let skipped = line.replace("Topic authorization failed", "Operation not attempted");
        assert_eq!(forbidden(&skipped), None);
    }
}
