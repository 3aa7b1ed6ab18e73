//! A client that reads what is published, from the beginning, outside any group.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::Result;
use crate::broker::client;
use crate::wait::{PATIENCE, eventually};

const POLL: Duration = Duration::from_millis(200);

/// A header of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its bytes; `None` is Kafka's null.
    pub value: Option<Vec<u8>>,
}

impl Header {
    /// A header that holds text.
    pub fn new(name: &str, value: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: Some(value.as_bytes().to_vec()),
        }
    }
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The partition it lies in.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<Header>,
    /// Its timestamp: milliseconds since 1970.
    pub timestamp: Option<i64>,
}

impl Seen {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        Self {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            timestamp: message.timestamp().to_millis(),
            headers: headers
                .map(|header| Header {
                    name: header.key.to_owned(),
                    value: header.value.map(<[u8]>::to_vec),
                })
                .collect(),
        }
    }

    /// The key as text; empty where there is none.
    pub fn key_text(&self) -> String {
        String::from_utf8_lossy(self.key.as_deref().unwrap_or_default()).into_owned()
    }

    /// The value as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(self.value.as_deref().unwrap_or_default()).unwrap_or_default()
    }

    /// The envelope's payload.
    pub fn payload(&self) -> Value {
        self.json()["payload"].clone()
    }

    /// The text of the header of that name; empty where there is none.
    pub fn header(&self, name: &str) -> String {
        let header = self.headers.iter().find(|header| header.name == name);
        let value = header.and_then(|header| header.value.as_deref());
        String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
    }
}

/// Reads one topic from its beginning.
pub struct Reader {
    topic: String,
    consumer: BaseConsumer,
    partitions: BTreeSet<i32>,
    /// Partitions that were read to their end, and nothing since.
    at_end: BTreeSet<i32>,
    seen: Vec<Seen>,
}

impl Reader {
    /// Starts to read once the topic is there; `isolation` is Kafka's `isolation.level`.
    pub(crate) fn open(brokers: &str, topic: &str, isolation: &str) -> Result<Self> {
        let consumer: BaseConsumer = client(brokers)
            .set("group.id", "sandman-tests-reader")
            .set("enable.auto.commit", "false")
            .set("isolation.level", isolation)
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "50")
            // A frozen broker answers nothing: what others lead since is read without waiting for a minute.
            .set("socket.timeout.ms", "10000")
            .set("topic.metadata.refresh.interval.ms", "5000")
            .create()
            .context("no consumer")?;
        let partitions = eventually(&format!("the topic {topic} exists"), || {
            let metadata = consumer.fetch_metadata(None, PATIENCE).context("no metadata")?;
            let topic = metadata.topics().iter().find(|known| known.name() == topic);
            let ids = topic.map(|topic| topic.partitions().iter().map(|partition| partition.id()));
            Ok(ids.map(Iterator::collect).filter(|ids: &BTreeSet<i32>| !ids.is_empty()))
        })?;
        let mut assignment = TopicPartitionList::new();
        for partition in &partitions {
            assignment.add_partition_offset(topic, *partition, Offset::Beginning)?;
        }
        consumer.assign(&assignment).context("partitions cannot be assigned")?;
        Ok(Self {
            topic: topic.to_owned(),
            consumer,
            partitions,
            at_end: BTreeSet::new(),
            seen: Vec::new(),
        })
    }

    /// Reads on until `enough` of all that was read so far, and returns all of it.
    ///
    /// # Errors
    /// If that does not come in time; the message tells `what` was awaited.
    pub fn until(&mut self, what: &str, enough: impl Fn(&[Seen]) -> bool) -> Result<&[Seen]> {
        let mut quiet_since = Instant::now();
        while !enough(&self.seen) {
            if self.step()? {
                quiet_since = Instant::now();
            } else if quiet_since.elapsed() > PATIENCE {
                bail!(
                    "nothing new on {} for {PATIENCE:?} and {} records in all; waiting for: {what}",
                    self.topic,
                    self.seen.len()
                );
            }
        }
        Ok(&self.seen)
    }

    /// The next record, if one comes within a moment; it is not kept.
    ///
    /// # Errors
    /// If the topic cannot be read.
    pub fn poll(&mut self) -> Result<Option<Seen>> {
        self.step()?;
        Ok(self.seen.pop())
    }

    /// Everything that was read so far.
    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// Reads on until there are `count` records in all.
    ///
    /// # Errors
    /// If they do not come in time.
    pub fn until_count(&mut self, count: usize) -> Result<&[Seen]> {
        self.until(&format!("{count} records"), |seen| seen.len() >= count)
    }

    /// Reads to the end of every partition, as a read-committed client sees it, and returns everything.
    pub(crate) fn into_end(mut self) -> Result<Vec<Seen>> {
        let mut all = std::mem::take(&mut self.seen);
        self.each_to_end(|seen| {
            all.push(seen);
            Ok(())
        })?;
        Ok(all)
    }

    /// The same for more than memory holds: `each` is given what was not read before.
    pub(crate) fn each_to_end(mut self, mut each: impl FnMut(Seen) -> Result) -> Result {
        let mut quiet_since = Instant::now();
        while self.at_end != self.partitions {
            if self.step()? {
                quiet_since = Instant::now();
            } else if quiet_since.elapsed() > PATIENCE {
                bail!("{} has no end: nothing new for {PATIENCE:?}", self.topic);
            }
            self.seen.drain(..).try_for_each(&mut each)?;
        }
        Ok(())
    }

    /// Whether there was something.
    fn step(&mut self) -> Result<bool> {
        match self.consumer.poll(POLL) {
            Some(Ok(message)) => {
                self.at_end.remove(&message.partition());
                self.seen.push(Seen::from(&message));
                Ok(true)
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                self.at_end.insert(partition);
                Ok(false)
            }
            // The broker may be stopped meanwhile: librdkafka connects again by itself.
            Some(Err(error)) if passing(&error) => Ok(false),
            Some(Err(error)) => Err(error).with_context(|| format!("{} cannot be read", self.topic)),
            None => Ok(false),
        }
    }
}

fn passing(error: &KafkaError) -> bool {
    use rdkafka::types::RDKafkaErrorCode::{
        AllBrokersDown, BrokerTransportFailure, FencedLeaderEpoch, KafkaStorageError, LeaderNotAvailable,
        NotLeaderForPartition, OffsetNotAvailable, OperationTimedOut, UnknownLeaderEpoch, UnknownTopicOrPartition,
    };
    matches!(
        error.rdkafka_error_code(),
        Some(
            AllBrokersDown
                | BrokerTransportFailure
                | FencedLeaderEpoch
                | KafkaStorageError
                | LeaderNotAvailable
                | NotLeaderForPartition
                | OffsetNotAvailable
                | OperationTimedOut
                | UnknownLeaderEpoch
                // A broker that has just come back does not know its topics yet.
                | UnknownTopicOrPartition
        )
    )
}
