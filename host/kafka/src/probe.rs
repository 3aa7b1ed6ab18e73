//! Examines one partition with a client that reads nothing else: its errors belong to that partition, whereas a
//! consumer's errors do not name one.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::settings::KafkaSettings;
use super::verdict::{ErrorVerdict, verdict};
use super::wait::{Deadline, POLL, drop_apart};
use sandman_core::event::TopicPartition;

/// How long the library may take to close the client.
const CLOSE: Duration = Duration::from_secs(3);

/// A problem with a partition.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) place: TroublePlace,
    pub(super) verdict: ErrorVerdict,
    pub(super) reason: String,
}

/// Where it is.
#[derive(Clone, Debug)]
pub(super) enum TroublePlace {
    /// At this offset of a partition.
    Record(TopicPartition, i64),
    /// In a topic as a whole, which the reason names.
    Topic(Arc<str>),
    Unknown,
}

impl TroublePlace {
    pub(super) fn topic(&self) -> Option<&Arc<str>> {
        match self {
            Self::Record(partition, _) => Some(&partition.topic),
            Self::Topic(topic) => Some(topic),
            Self::Unknown => None,
        }
    }
}

/// The client.
pub(super) struct Probe {
    consumer: Option<BaseConsumer<ErrorContext>>,
}

/// Keeps the library's message for an error, which says more than the code.
#[derive(Clone, Default)]
struct ErrorContext(Arc<Mutex<String>>);

impl ClientContext for ErrorContext {
    fn log(&self, _: RDKafkaLogLevel, _: &str, line: &str) {
        tracing::trace!(target: "sandman::kafka", client = "probe", "{line}");
    }

    fn error(&self, _: KafkaError, reason: &str) {
        reason.clone_into(&mut self.0.lock());
    }
}

impl ConsumerContext for ErrorContext {}

impl Probe {
    /// A client that reads like the consumers.
    ///
    /// # Errors
    /// The library's error if the client cannot be created.
    pub(super) fn open(settings: &KafkaSettings) -> Result<Self, KafkaError> {
        let consumer = settings.probe().create_with_context(ErrorContext::default())?;
        let consumer = Some(consumer);
        Ok(Self { consumer })
    }

    /// The problem with the record at this offset, if it appears within `patience`.
    pub(super) fn look(&self, partition: &TopicPartition, offset: Offset, patience: Duration) -> Option<Trouble> {
        let consumer = self.consumer.as_ref()?;
        let mut wanted = TopicPartitionList::new();
        let number = partition.partition;
        wanted.add_partition_offset(&partition.topic, number, offset).ok()?;
        consumer.assign(&wanted).ok()?;
        let deadline = Deadline::after(patience);
        while !deadline.passed() {
            match consumer.poll(deadline.slice(POLL)) {
                Some(Err(KafkaError::PartitionEOF(_)) | Ok(_)) => return None,
                Some(Err(error)) => {
                    let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
                    let verdict = verdict(code);
                    // Nothing is read as a member of a group, but the library asks for the group all the same.
                    let of_group = code == RDKafkaErrorCode::GroupAuthorizationFailed;
                    if verdict != ErrorVerdict::Passes && !of_group {
                        let heard = consumer.context().0.lock().clone();
                        return Some(Trouble {
                            place: TroublePlace::Record(partition.clone(), offset.to_raw().unwrap_or_default()),
                            verdict,
                            reason: if heard.is_empty() { code.to_string() } else { heard },
                        });
                    }
                }
                None => {}
            }
        }
        None
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            drop_apart("probe", consumer, CLOSE);
        }
    }
}
