//! Classifies the errors of the client library for the relay.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::delivery::Undelivered;
use sandman_core::broker::PublishError;

/// The error of a step of a transaction, before the outcome of the transaction is known.
#[derive(Debug)]
pub(super) enum TransactionFault {
    /// Trying the transaction again may work.
    Passing(String),
    /// The producer cannot be used again.
    Broken(String),
    /// A retry will not work.
    Final(PublishError),
}

fn fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
}

/// Classifies the error that ended a producer for good.
pub(super) fn fatal_fault(code: RDKafkaErrorCode, reason: &str, transactional_id: &str) -> TransactionFault {
    if fenced(code) {
        return TransactionFault::Final(PublishError::Fenced {
            transactional_id: transactional_id.to_owned(),
            reason: reason.to_owned(),
        });
    }
    TransactionFault::Broken(reason.to_owned())
}

/// Classifies an answer to a call about the transaction as a whole.
pub(super) fn transaction_fault(error: &KafkaError, transactional_id: &str) -> TransactionFault {
    use RDKafkaErrorCode as Code;
    let reason = error.to_string();
    match error.rdkafka_error_code() {
        Some(code) if fenced(code) => TransactionFault::Final(PublishError::Fenced {
            transactional_id: transactional_id.to_owned(),
            reason,
        }),
        Some(Code::TransactionalIdAuthorizationFailed | Code::ClusterAuthorizationFailed) => {
            TransactionFault::Final(PublishError::NotAllowed {
                topic: None,
                what: format!("use the transactional id `{transactional_id}`"),
                reason,
            })
        }
        _ => match error {
            KafkaError::Transaction(error) if error.txn_requires_abort() || error.is_retriable() => {
                TransactionFault::Passing(reason)
            }
            // Fatal, without any flag, or no error of the transaction at all.
            _ => TransactionFault::Broken(reason),
        },
    }
}

/// Classifies a record that was refused, by the local queue or by Kafka.
pub(super) fn record_fault(record: &Undelivered, transactional_id: &str) -> TransactionFault {
    use RDKafkaErrorCode as Code;
    let topic = record.topic.clone();
    let reason = format!("record for topic `{topic}`: {}", record.code);
    match record.code {
        code if fenced(code) => TransactionFault::Final(PublishError::Fenced {
            transactional_id: transactional_id.to_owned(),
            reason,
        }),
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => TransactionFault::Final(PublishError::TooLarge {
            topic,
            index: record.index,
            bytes: record.bytes,
        }),
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::InvalidTopic => {
            TransactionFault::Final(PublishError::UnknownTopic { topic })
        }
        Code::TopicAuthorizationFailed => TransactionFault::Final(PublishError::NotAllowed {
            what: format!("write to topic `{topic}`"),
            topic: Some(topic),
            reason,
        }),
        Code::InvalidRecord | Code::InvalidTimestamp | Code::PolicyViolation => {
            TransactionFault::Final(PublishError::Refused { topic, reason })
        }
        Code::Fatal | Code::State | Code::OutOfOrderSequenceNumber | Code::UnknownProducerId => {
            TransactionFault::Broken(reason)
        }
        _ => TransactionFault::Passing(reason),
    }
}
