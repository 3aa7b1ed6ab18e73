//! Why a transaction was not published, and what the relay has to do about it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use thiserror::Error;

use super::delivery::Undelivered;

/// Why a transaction was not published.
///
/// Whatever it is, the publisher is of no more use: drop it, read the cursor, and, if it still names our store, open a new
/// one and read the cursor again. That is rare and costs less than a tenth of a second, and it leaves no late request of
/// the old one that could hit the next transaction.
#[derive(Debug, Error)]
pub enum PublishError {
    /// Nothing of it is visible to a read-committed consumer; trying again may work.
    #[error("kafka did not take the batch, nothing of it is visible: {reason}")]
    Aborted {
        /// What Kafka said.
        reason: String,
    },
    /// Kafka did not answer in time, or lost track of the transaction: whether it is visible, the cursor tells, once a
    /// new publisher is open.
    #[error("kafka did not say what became of the batch: {reason}; the relay's cursor will tell")]
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
    /// The record is larger than Kafka takes; it will never be taken.
    #[error(
        "a record of {bytes} bytes is too large for topic `{topic}`; raise the topic's `max.message.bytes` \
         and `message.max.bytes` in [kafka.options]"
    )]
    TooLarge {
        /// The topic.
        topic: String,
        /// The record's place among those given to publish; where the broker refused it, it may be another of the same
        /// request.
        index: usize,
        /// Key and value, in bytes.
        bytes: usize,
    },
    /// The cluster does not allow it.
    #[error("not allowed to {what}: {reason}; grant it to the user of the host")]
    NotAllowed {
        /// What was tried, with the topic or the transactional id.
        what: String,
        /// What Kafka said.
        reason: String,
    },
    /// The settings make no producer.
    #[error("kafka producer cannot be made: {0}; check [kafka] and [kafka.options]")]
    Settings(String),
}

impl PublishError {
    /// Whether trying again, without anybody doing anything about it, may work.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Aborted { .. } | Self::Unknown { .. })
    }
}

/// What went wrong with a step of a transaction, before it is known what became of the whole.
#[derive(Debug)]
pub(super) enum Fault {
    /// Trying the transaction again may work.
    Passing(String),
    /// The producer is of no more use.
    Broken(String),
    /// Will not work as it is.
    Final(PublishError),
}

fn fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
}

/// Classifies the error that ended a producer for good.
pub(super) fn fatal_fault(code: RDKafkaErrorCode, reason: &str, transactional_id: &str) -> Fault {
    if fenced(code) {
        return Fault::Final(PublishError::Fenced {
            transactional_id: transactional_id.to_owned(),
            reason: reason.to_owned(),
        });
    }
    Fault::Broken(reason.to_owned())
}

/// Classifies an answer to a call about the transaction as a whole.
pub(super) fn transaction_fault(error: &KafkaError, transactional_id: &str) -> Fault {
    use RDKafkaErrorCode as Code;
    let reason = error.to_string();
    match error.rdkafka_error_code() {
        Some(code) if fenced(code) => Fault::Final(PublishError::Fenced {
            transactional_id: transactional_id.to_owned(),
            reason,
        }),
        Some(Code::TransactionalIdAuthorizationFailed | Code::ClusterAuthorizationFailed) => {
            Fault::Final(PublishError::NotAllowed {
                what: format!("use the transactional id `{transactional_id}`"),
                reason,
            })
        }
        _ => match error {
            KafkaError::Transaction(error) if error.txn_requires_abort() || error.is_retriable() => {
                Fault::Passing(reason)
            }
            // Fatal, without any flag, or no error of the transaction at all.
            _ => Fault::Broken(reason),
        },
    }
}

/// Classifies a record that was not taken, by the local queue or by Kafka.
pub(super) fn record_fault(record: &Undelivered, transactional_id: &str) -> Fault {
    use RDKafkaErrorCode as Code;
    let topic = record.topic.clone();
    let reason = format!("record for topic `{topic}`: {}", record.code);
    match record.code {
        code if fenced(code) => Fault::Final(PublishError::Fenced {
            transactional_id: transactional_id.to_owned(),
            reason,
        }),
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => Fault::Final(PublishError::TooLarge {
            topic,
            index: record.index,
            bytes: record.bytes,
        }),
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::InvalidTopic => {
            Fault::Final(PublishError::UnknownTopic { topic })
        }
        Code::TopicAuthorizationFailed => Fault::Final(PublishError::NotAllowed {
            what: format!("write to topic `{topic}`"),
            reason,
        }),
        Code::Fatal | Code::State | Code::OutOfOrderSequenceNumber | Code::UnknownProducerId => Fault::Broken(reason),
        _ => Fault::Passing(reason),
    }
}
