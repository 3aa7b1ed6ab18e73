//! Records: those that come from Kafka and those that we publish.

use std::fmt;
use std::sync::Arc;

use super::{Headers, TraceContext};

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition, from 0.
    pub partition: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// The id that Kafka gives a topic when it is created, in the text form that Kafka's own tools show: it distinguishes
/// topics with the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub Arc<str>);

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A record as it came from Kafka, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it was read.
    pub source: TopicPartition,
    /// Its offset in the partition.
    pub offset: i64,
    /// Its key; `None` is Kafka's null.
    pub key: Option<Vec<u8>>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Headers,
    /// When it was produced, milliseconds since 1970, if the broker says.
    pub timestamp_millis: Option<i64>,
}

impl Record {
    /// About how many bytes of memory the record takes.
    pub fn weight(&self) -> usize {
        let bytes = |field: &Option<Vec<u8>>| field.as_ref().map_or(0, Vec::len);
        bytes(&self.key) + bytes(&self.value) + self.headers.size() + 256
    }

    /// The trace that it belongs to.
    pub fn trace(&self) -> Option<TraceContext> {
        TraceContext::read(self.headers.named("traceparent"), self.headers.named("tracestate"))
    }

    /// The text of the first header of that name, if it is there and is UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|header| header.name == name)?;
        std::str::from_utf8(header.value?).ok()
    }
}

/// A record that the relay publishes; also the unit of storage in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutRecord {
    /// The topic to publish to.
    pub topic: Arc<str>,
    /// The key, which decides the partition; `None` is Kafka's null.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// The headers, in order.
    pub headers: Headers,
    /// The record's timestamp, milliseconds since 1970; `None` for the time at which it is published.
    pub timestamp_millis: Option<i64>,
}

impl OutRecord {
    /// The size of key, value and headers, as Kafka counts them or a little more.
    pub fn bytes(&self) -> usize {
        let bytes = |field: &Option<Vec<u8>>| field.as_ref().map_or(0, Vec::len);
        bytes(&self.key) + bytes(&self.value) + self.headers.size()
    }
}
