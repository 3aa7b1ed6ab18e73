//! What goes in: envelopes of 400 bytes, the same in every run.

use std::time::Duration;

use anyhow::{Context, ensure};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use sandman_tests::Result;

/// The type of the events that come in.
pub(crate) const EVENT_TYPE: &str = "user.profile.update.requested";
/// How many users there are.
pub(crate) const USERS: u64 = 20_000;
/// Partitions of every topic, unless a case says otherwise.
pub(crate) const PARTITIONS: i32 = 12;

const TIMESTAMP: &str = "2025-12-12T10:30:00.000Z";
const FIRST: [&str; 8] = [
    "Ada",
    "Grace",
    "Margaret",
    "Barbara",
    "Katherine",
    "Radia",
    "Frances",
    "Annie",
];
const LAST: [&str; 8] = [
    "Lovelace", "Hopper", "Hamilton", "Liskov", "Johnson", "Perlman", "Allen", "Easley",
];
const NATIONS: [&str; 6] = ["French", "British", "American", "Senegalese", "Vietnamese", "Brazilian"];

/// Makes events, the same ones from the same start.
pub(crate) struct Input {
    random: fastrand::Rng,
    users: u64,
    seq: u64,
}

/// One event, to be sent.
pub(crate) struct Made {
    pub(crate) key: String,
    value: String,
    pub(crate) payload: String,
    pub(crate) correlation_id: String,
}

/// The correlation id says which input it was, on every event that follows from it.
pub(crate) fn correlation_id(seq: u64) -> String {
    format!("00000000-0000-4000-8000-{seq:012x}")
}

/// The number of the input, from a correlation id.
pub(crate) fn seq_of(correlation_id: &[u8]) -> Option<u64> {
    let digits = correlation_id.get(24..36)?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

impl Input {
    /// Events of so many users, at random.
    pub(crate) fn new(users: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(18),
            users,
            seq: 0,
        }
    }

    pub(crate) fn next(&mut self) -> Made {
        let seq = self.seq;
        self.seq += 1;
        let user = self.random.u64(0..self.users);
        let (id, correlation_id) = (
            uuid::Builder::from_random_bytes(self.random.u128(..).to_le_bytes()),
            correlation_id(seq),
        );
        let event_id = id.as_uuid();
        let key = format!("user-{user:05}");
        let (first, last) = (
            FIRST[self.random.usize(..FIRST.len())],
            LAST[self.random.usize(..LAST.len())],
        );
        let nation = NATIONS[self.random.usize(..NATIONS.len())];
        let phone = self.random.u32(600_000_000..799_999_999);
        let payload = format!(
            r#"{{"userId":"{key}","seq":{seq},"profile":{{"firstName":"{first}","lastName":"{last}","phone":"+33 {phone}","nationality":"{nation}"}}}}"#,
        );
        let value = format!(
            r#"{{"eventId":"{event_id}","eventType":"{EVENT_TYPE}","timestamp":"{TIMESTAMP}","version":"1.0","source":"bench-gateway","correlationId":"{correlation_id}","payload":{payload}}}"#,
        );
        Made {
            key,
            value,
            payload,
            correlation_id,
        }
    }
}

/// Sends events to one topic.
pub(crate) struct Sender {
    producer: ThreadedProducer<DefaultProducerContext>,
    topic: String,
}

impl Sender {
    /// `linger` as librdkafka takes it, milliseconds: much for a topic that is filled, none for a stream.
    pub(crate) fn open(brokers: &str, topic: &str, linger: &str) -> Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("broker.address.family", "v4")
            .set("partitioner", "murmur2_random")
            .set("enable.idempotence", "true")
            .set("linger.ms", linger)
            .create()
            .context("no producer")?;
        Ok(Self {
            producer,
            topic: topic.to_owned(),
        })
    }

    pub(crate) fn send(&self, made: &Made) -> Result {
        let mut record = BaseRecord::to(&self.topic)
            .key(&made.key)
            .payload(&made.value)
            .headers(headers(EVENT_TYPE, "bench-gateway", &made.correlation_id, TIMESTAMP));
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    std::thread::park_timeout(Duration::from_millis(1));
                    record = back;
                }
                Err((error, _)) => return Err(error).context("an event cannot be sent"),
            }
        }
    }

    /// Returns when all that was sent has arrived.
    pub(crate) fn finish(&self) -> Result {
        self.producer.flush(Duration::from_secs(60))?;
        ensure!(self.producer.in_flight_count() == 0, "events did not arrive");
        Ok(())
    }
}

/// The headers that DreamScape's client writes.
pub(crate) fn headers(event_type: &str, source: &str, correlation_id: &str, timestamp: &str) -> OwnedHeaders {
    let pairs = [
        ("eventType", event_type),
        ("source", source),
        ("version", "1.0"),
        ("correlationId", correlation_id),
        ("timestamp", timestamp),
    ];
    let empty = OwnedHeaders::new_with_capacity(pairs.len());
    pairs.into_iter().fold(empty, |headers, (key, value)| {
        headers.insert(Header {
            key,
            value: Some(value),
        })
    })
}
