//! Reads the last records of topics, without a group, to find those that a query asks for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::client::Monitor;
use super::health::KafkaHealth;
use super::record::owned;
use super::settings::KafkaSettings;
use super::wait::{Deadline, POLL, drop_apart};
use sandman_core::event::{Record, TopicPartition};

const CLOSE: Duration = Duration::from_secs(3);

/// The limits of reading each topic.
#[derive(Clone, Copy, Debug)]
pub struct ScanBounds {
    /// The last records of each partition.
    pub records: i64,
    /// How long reading one topic may wait for progress.
    pub patience: Duration,
}

/// How much of a topic was read, and how much was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicScan {
    /// Records that were read.
    pub read: u64,
    /// Offsets before the first one read that the topic still has.
    pub before: u64,
    /// Why it was not read to its end, if it was not.
    pub broken: Option<String>,
}

/// Reads committed records of one cluster.
pub struct TopicScanner {
    reader: BaseConsumer<Monitor>,
}

impl TopicScanner {
    /// A scanner, which connects on its own.
    ///
    /// # Errors
    /// The library's error for invalid settings.
    pub fn open(settings: &KafkaSettings, health: &Arc<KafkaHealth>) -> Result<Self, String> {
        let context = Monitor::new(health.transient("scan"));
        let reader = settings.reader().create_with_context(context);
        let reader = reader.map_err(|error| error.to_string())?;
        Ok(Self { reader })
    }

    /// Reads the last records of a topic and hands each to `look`.
    pub fn last(&self, topic: &str, bounds: ScanBounds, look: &mut dyn FnMut(Record)) -> TopicScan {
        let mut scan = TopicScan::default();
        let deadline = Deadline::after(bounds.patience);
        let spans = self.spans(topic, bounds.records, deadline);
        match spans {
            Ok(spans) => {
                scan.before = spans.values().map(|span| span.before).sum();
                let reading = Reading { topic, spans };
                if let Err(error) = self.read(reading, bounds.patience, &mut scan.read, look) {
                    scan.broken = Some(error.to_string());
                }
            }
            Err(error) => scan.broken = Some(error.to_string()),
        }
        scan
    }

    /// The record at one place.
    ///
    /// # Errors
    /// Why there is none, or Kafka's error.
    pub fn at(&self, place: (&str, i32, i64), patience: Duration) -> Result<Record, String> {
        let (topic, partition, offset) = place;
        let read = || {
            let deadline = Deadline::after(patience);
            let known = self.reader.fetch_metadata(Some(topic), deadline.left())?;
            let partitions = known.topics().first().map_or(0, |topic| topic.partitions().len());
            if partitions == 0 {
                return Ok(Err("there is no such topic".to_owned()));
            }
            if usize::try_from(partition).map_or(true, |partition| partition >= partitions) {
                return Ok(Err(format!("the topic has the partitions 0 to {}", partitions - 1)));
            }
            let (low, end) = self.reader.fetch_watermarks(topic, partition, deadline.left())?;
            if !(low..end).contains(&offset) {
                return Ok(Err(match low < end {
                    true => format!("the partition has the offsets {low} to {}", end - 1),
                    false => "the partition is empty".to_owned(),
                }));
            }
            let span = OffsetRange {
                start: offset,
                end: offset + 1,
                before: 0,
            };
            let mut found = None;
            let spans = HashMap::from([(partition, span)]);
            self.read(Reading { topic, spans }, patience, &mut 0, &mut |record| {
                if record.offset == offset {
                    found = Some(record);
                }
            })?;
            Ok(found.ok_or_else(|| "the offset is a transaction's marker, or its record was compacted".to_owned()))
        };
        read().map_err(|error: KafkaError| error.to_string())?
    }

    fn spans(&self, topic: &str, records: i64, deadline: Deadline) -> Result<HashMap<i32, OffsetRange>, KafkaError> {
        let known = self.reader.fetch_metadata(Some(topic), deadline.left())?;
        let mut spans = HashMap::new();
        for known in known.topics() {
            if let Some(code) = known.error() {
                return Err(KafkaError::MetadataFetch(code.into()));
            }
            for partition in known.partitions() {
                let id = partition.id();
                let (low, end) = self.reader.fetch_watermarks(topic, id, deadline.left())?;
                let start = low.max(end.saturating_sub(records));
                let before = u64::try_from(start - low).unwrap_or(0);
                spans.insert(id, OffsetRange { start, end, before });
            }
        }
        spans.retain(|_, span| span.start < span.end || span.before > 0);
        Ok(spans)
    }

    fn read(
        &self,
        Reading { topic, spans }: Reading<'_>,
        patience: Duration,
        read: &mut u64,
        look: &mut dyn FnMut(Record),
    ) -> Result<(), KafkaError> {
        let name: Arc<str> = topic.into();
        let mut assignment = TopicPartitionList::new();
        let mut unread = BTreeMap::new();
        for (partition, span) in spans.into_iter().filter(|(_, span)| span.start < span.end) {
            assignment.add_partition_offset(topic, partition, Offset::Offset(span.start))?;
            unread.insert(partition, span.end);
        }
        self.reader.assign(&assignment)?;
        let mut deadline = Deadline::after(patience);
        while !unread.is_empty() {
            match self.reader.poll(deadline.slice(POLL)) {
                Some(Ok(message)) => {
                    deadline = Deadline::after(patience);
                    let (partition, offset) = (message.partition(), message.offset());
                    let Some(end) = unread.get(&partition).copied() else {
                        continue;
                    };
                    if offset + 1 >= end {
                        unread.remove(&partition);
                    }
                    if offset < end {
                        *read += 1;
                        let topic = Arc::clone(&name);
                        look(owned(&message, TopicPartition { topic, partition }));
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    unread.remove(&partition);
                }
                Some(Err(error)) if deadline.passed() => return Err(error),
                _ if deadline.passed() => {
                    let code = rdkafka::error::RDKafkaErrorCode::OperationTimedOut;
                    return Err(KafkaError::MessageConsumption(code));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Closes the client, on a separate thread if that takes long.
    pub fn close(self) {
        drop_apart("scan", self.reader, CLOSE);
    }
}

/// Reads a topic.
struct Reading<'a> {
    topic: &'a str,
    spans: HashMap<i32, OffsetRange>,
}

/// The offsets of a partition to read, and how many before them are left out.
#[derive(Clone, Copy, Debug)]
struct OffsetRange {
    start: i64,
    end: i64,
    before: u64,
}
