//! Whether records are visible for a read-committed consumer.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::client::Monitor;
use super::health::KafkaHealth;
use super::record::headers;
use super::settings::KafkaSettings;
use super::wait::{Deadline, POLL, drop_apart};
use sandman_core::broker::PublishError;
use sandman_core::event::OutRecord;

/// Offsets of a partition that others may have used since then, including markers.
const OTHERS: i64 = 10_000;

const CLOSE: Duration = Duration::from_secs(3);

/// Whether any of the records is visible among the last ones of its topic. A topic without read permission shows none.
///
/// # Errors
/// [`PublishError::Aborted`] if a topic cannot be read, or returns nothing within `patience`.
pub fn any_visible(
    settings: &KafkaSettings,
    records: &[OutRecord],
    health: &Arc<KafkaHealth>,
    patience: Duration,
) -> Result<bool, PublishError> {
    let context = Monitor::new(health.transient("reader"));
    let reader: BaseConsumer<Monitor> = settings
        .reader()
        .create_with_context(context)
        .map_err(|error| PublishError::Settings(error.to_string()))?;
    let mut wanted: Wanted<'_> = HashMap::new();
    for record in records {
        let name = (&*record.topic, record.key.as_deref());
        wanted.entry(name).or_default().push(record);
    }
    let topics: BTreeSet<&str> = wanted.keys().map(|(topic, _)| *topic).collect();
    let back = i64::try_from(records.len()).unwrap_or(i64::MAX / 2) + OTHERS;
    let seen = topics.iter().try_fold(false, |seen, topic| {
        let shown = || if_allowed(topic, shows(&reader, topic, (&wanted, back), patience));
        Ok(seen || shown().map_err(|error| (*topic, error))?)
    });
    drop_apart("reader", reader, CLOSE);
    seen.map_err(|(topic, error)| PublishError::Aborted {
        reason: format!("the outcome of a transaction cannot be read from topic `{topic}`: {error}"),
    })
}

/// By topic and key.
type Wanted<'a> = HashMap<(&'a str, Option<&'a [u8]>), Vec<&'a OutRecord>>;

fn if_allowed(topic: &str, shown: Result<bool, KafkaError>) -> Result<bool, KafkaError> {
    match shown {
        Err(error) if is_forbidden(&error) => {
            tracing::warn!(
                topic,
                "the outcome of a transaction cannot be read without permission; it counts as aborted unless another topic shows it"
            );
            Ok(false)
        }
        shown => shown,
    }
}

fn shows(
    reader: &BaseConsumer<Monitor>,
    topic: &str,
    (wanted, back): (&Wanted<'_>, i64),
    patience: Duration,
) -> Result<bool, KafkaError> {
    let mut deadline = Deadline::after(patience);
    let known = reader.fetch_metadata(Some(topic), deadline.left())?;
    let mut partitions = Vec::new();
    for known in known.topics() {
        if let Some(code) = known.error() {
            // A topic that is unknown at the moment must not be mistaken for an empty one.
            return Err(KafkaError::MetadataFetch(code.into()));
        }
        partitions.extend(known.partitions().iter().map(rdkafka::metadata::MetadataPartition::id));
    }
    let mut unread = HashMap::new();
    let mut assignment = TopicPartitionList::new();
    for partition in partitions {
        let (low, end) = reader.fetch_watermarks(topic, partition, deadline.left())?;
        assignment.add_partition_offset(topic, partition, Offset::Offset(low.max(end - back)))?;
        unread.insert(partition, end);
    }
    reader.assign(&assignment)?;
    while !unread.is_empty() {
        match reader.poll(deadline.slice(POLL)) {
            Some(Ok(message)) if is_wanted(&message, wanted) => return Ok(true),
            Some(Ok(message)) => {
                deadline = Deadline::after(patience);
                // Later records of others are irrelevant, and their transactions may still be open.
                unread.retain(|partition, end| *partition != message.partition() || message.offset() + 1 < *end);
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                unread.remove(&partition);
            }
            Some(Err(error)) if deadline.passed() || is_forbidden(&error) => return Err(error),
            // The library retries on its own until the deadline.
            _ if deadline.passed() => return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut)),
            _ => {}
        }
    }
    Ok(false)
}

fn is_forbidden(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed)
}

fn is_wanted(message: &BorrowedMessage<'_>, wanted: &Wanted<'_>) -> bool {
    let mut records = wanted.get(&(message.topic(), message.key())).into_iter().flatten();
    records.any(|record| record.value.as_deref() == message.payload() && record.headers == headers(message))
}
