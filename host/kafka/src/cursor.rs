//! The relay's cursor: the last published batch, as a record that Kafka commits together with the batch.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::client::Monitor;
use super::health::KafkaHealth;
use super::settings::KafkaSettings;
use super::wait::{Deadline, POLL, drop_apart};
use sandman_core::broker::{Cursor, CursorError};

/// The key of the cursor of the embedded store's only shard.
pub const SHARD: &str = "0";

const CLOSE: Duration = Duration::from_secs(3);

/// Reads the position of a deployment's relay, as a read-committed consumer sees it; `None` if nothing was ever
/// published, or the topic does not exist. Fences nobody.
///
/// While a transaction of another relay is open, this is the cursor before it. After
/// [`super::TransactionalPublisher::open`] there is none open, except one that Kafka has not ended:
/// [`read_open_cursor`].
///
/// # Errors
/// [`CursorError`] if the topic cannot be read within `patience`, or holds something else.
pub fn read_cursor(
    settings: &KafkaSettings,
    topic: &str,
    health: &Arc<KafkaHealth>,
    patience: Duration,
) -> Result<Option<Cursor>, CursorError> {
    let reader = reader(settings, health, "read_committed")?;
    let cursor = read(&reader, topic, Deadline::after(patience));
    drop_apart("cursor", reader, CLOSE);
    cursor
}

/// The last cursor that was written, whatever the outcome of its transaction, if a transaction on the topic is open:
/// one in progress, or one that Kafka has decided without writing the markers. `None` if every transaction has ended.
///
/// # Errors
/// [`CursorError`] likewise.
pub fn read_open_cursor(
    settings: &KafkaSettings,
    topic: &str,
    health: &Arc<KafkaHealth>,
    patience: Duration,
) -> Result<Option<Cursor>, CursorError> {
    let deadline = Deadline::after(patience);
    let all = reader(settings, health, "read_uncommitted")?;
    let stable = reader(settings, health, "read_committed")?;
    // In this order, so that a transaction that ends in between does not look open.
    let open = ends(&all, topic, deadline).and_then(|all| {
        let stable = ends(&stable, topic, deadline)?;
        Ok(all.iter().zip(&stable).any(|(all, stable)| stable < all))
    });
    let cursor = match open {
        Ok(true) => read(&all, topic, deadline),
        Ok(false) => Ok(None),
        Err(error) => Err(error),
    };
    drop_apart("cursor", (all, stable), CLOSE);
    cursor
}

fn reader(
    settings: &KafkaSettings,
    health: &Arc<KafkaHealth>,
    isolation: &str,
) -> Result<BaseConsumer<Monitor>, CursorError> {
    settings
        .reader()
        .set("isolation.level", isolation)
        .create_with_context(Monitor::new(health.transient("cursor")))
        .map_err(|error| CursorError::Settings(error.to_string()))
}

/// The end of each partition, for this reader.
fn ends(reader: &BaseConsumer<Monitor>, topic: &str, deadline: Deadline) -> Result<Vec<i64>, CursorError> {
    let partitions = partitions(reader, topic, deadline)?.into_iter();
    let ends = partitions.map(|partition| {
        let (_, end) = reader.fetch_watermarks(topic, partition, deadline.left())?;
        Ok(end)
    });
    let ends: Result<_, KafkaError> = ends.collect();
    ends.map_err(|error| unreachable(topic, &error))
}

fn read(reader: &BaseConsumer<Monitor>, topic: &str, deadline: Deadline) -> Result<Option<Cursor>, CursorError> {
    let mut unread = partitions(reader, topic, deadline)?;
    let mut assignment = TopicPartitionList::new();
    for partition in &unread {
        assignment
            .add_partition_offset(topic, *partition, Offset::Beginning)
            .map_err(|error| unreachable(topic, &error))?;
    }
    if unread.is_empty() {
        return Ok(None);
    }
    reader.assign(&assignment).map_err(|error| unreachable(topic, &error))?;
    let mut cursor = None;
    while !unread.is_empty() {
        match reader.poll(deadline.slice(POLL)) {
            Some(Ok(message)) if message.key() == Some(SHARD.as_bytes()) => cursor = parse(&message)?,
            Some(Err(KafkaError::PartitionEOF(partition))) => unread.retain(|unread| *unread != partition),
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                    return Err(CursorError::NotAllowed {
                        topic: topic.to_owned(),
                    });
                }
                // The library retries on its own until the deadline.
                _ if deadline.passed() => return Err(unreachable(topic, &error)),
                _ => {}
            },
            _ if deadline.passed() => {
                let reason = reader.context().health().last_words();
                return Err(CursorError::Unreachable {
                    topic: topic.to_owned(),
                    reason,
                });
            }
            _ => {}
        }
    }
    Ok(cursor)
}

fn partitions(reader: &BaseConsumer<Monitor>, topic: &str, deadline: Deadline) -> Result<Vec<i32>, CursorError> {
    let metadata = reader
        .fetch_metadata(Some(topic), deadline.left())
        .map_err(|error| unreachable(topic, &error))?;
    let Some(found) = metadata.topics().first() else {
        return Ok(Vec::new());
    };
    match found.error().map(RDKafkaErrorCode::from) {
        None => Ok(found
            .partitions()
            .iter()
            .map(rdkafka::metadata::MetadataPartition::id)
            .collect()),
        Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(Vec::new()),
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => Err(CursorError::NotAllowed {
            topic: topic.to_owned(),
        }),
        Some(code) => Err(CursorError::Unreachable {
            topic: topic.to_owned(),
            reason: code.to_string(),
        }),
    }
}

/// A record without a value takes the cursor back: compaction may show one where an operator removed the cursor.
fn parse(message: &BorrowedMessage<'_>) -> Result<Option<Cursor>, CursorError> {
    let Some(value) = message.payload() else {
        return Ok(None);
    };
    match serde_json::from_slice(value) {
        Ok(cursor) => Ok(Some(cursor)),
        Err(error) => Err(CursorError::Malformed {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            reason: error.to_string(),
        }),
    }
}

fn unreachable(topic: &str, error: &KafkaError) -> CursorError {
    CursorError::Unreachable {
        topic: topic.to_owned(),
        reason: error.to_string(),
    }
}
