//! Contenders in Rust: a bare copy loop, and the same work as a team would write it on rdkafka alone.
//!
//! None of them has a durable state: after a restart the state would have to be read from somewhere. What they show is how
//! little the work itself takes.

use std::collections::HashMap;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bench_stateful::{Document, ProfileUpdated, Requested, Updated, changes};
use clap::{Args, ValueEnum};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::input::headers;

/// Records of one transaction at most.
const BATCH: usize = 2_000;

/// What it does with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Sends it on as it came, without transactions.
    Copy,
    /// Sends it on as it came.
    CopyTransactional,
    /// The stateful work.
    Stateful,
    /// The stateless work.
    Stateless,
}

/// A contender as a process of its own.
#[derive(Args)]
pub(crate) struct Native {
    work: Work,
    #[arg(long)]
    brokers: String,
    #[arg(long)]
    name: String,
    #[arg(long)]
    input: String,
    #[arg(long)]
    outputs: Vec<String>,
    /// For how long a transaction gathers events, milliseconds.
    #[arg(long, default_value_t = 20)]
    gather_ms: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Incoming<'a> {
    event_id: &'a str,
    #[serde(borrow)]
    correlation_id: Option<&'a str>,
    payload: Requested,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outgoing<'a, P> {
    event_id: &'a str,
    event_type: &'a str,
    timestamp: &'a str,
    version: &'a str,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    causation_id: &'a str,
    payload: P,
}

/// A contender at work.
struct Loop {
    producer: BaseProducer,
    work: Work,
    outputs: Vec<String>,
    gather: Duration,
    documents: HashMap<String, Document>,
}

impl Native {
    /// Works until it is killed.
    pub(crate) fn run(self) -> Result<()> {
        let consumer: BaseConsumer = client(&self.brokers)
            .set("group.id", &self.name)
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "earliest")
            .create()?;
        let mut producer = client(&self.brokers);
        producer
            .set("partitioner", "murmur2_random")
            .set("enable.idempotence", "true");
        let transactional = self.work != Work::Copy;
        if transactional {
            producer
                .set("transactional.id", &self.name)
                .set("linger.ms", "0")
                .set("retry.backoff.ms", "1")
                .set("retry.backoff.max.ms", "20");
        }
        let mut one = Loop {
            producer: producer.create()?,
            work: self.work,
            outputs: self.outputs,
            gather: Duration::from_millis(self.gather_ms),
            documents: HashMap::new(),
        };
        if transactional {
            one.producer.init_transactions(Duration::from_secs(30))?;
        }
        consumer.subscribe(&[&self.input])?;
        let mut out = std::io::stdout();
        writeln!(out, "ready")?;
        out.flush()?;
        loop {
            if transactional {
                one.transaction(&consumer)?;
            } else if let Some(message) = consumer.poll(Duration::from_millis(10)) {
                one.copy(&message?)?;
                one.producer.poll(Duration::ZERO);
            } else {
                one.producer.poll(Duration::ZERO);
            }
        }
    }
}

impl Loop {
    fn transaction(&mut self, consumer: &BaseConsumer) -> Result<()> {
        let Some(first) = consumer.poll(Duration::from_millis(100)) else {
            return Ok(());
        };
        self.producer.begin_transaction()?;
        let mut next = HashMap::new();
        self.one(&first?, &mut next)?;
        let until = Instant::now() + self.gather;
        for _ in 1..BATCH {
            let left = until.saturating_duration_since(Instant::now());
            let Some(message) = consumer.poll(left) else { break };
            self.one(&message?, &mut next)?;
        }
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(Duration::from_millis(1));
        }
        let mut offsets = TopicPartitionList::new();
        for ((topic, partition), offset) in next {
            offsets.add_partition_offset(&topic, partition, Offset::Offset(offset))?;
        }
        let group = consumer.group_metadata().context("not in a group")?;
        self.producer
            .send_offsets_to_transaction(&offsets, &group, Duration::from_secs(30))?;
        self.producer.commit_transaction(Duration::from_secs(30))?;
        Ok(())
    }

    fn one(&mut self, message: &BorrowedMessage<'_>, next: &mut HashMap<(String, i32), i64>) -> Result<()> {
        match next.get_mut(&(message.topic().to_owned(), message.partition())) {
            Some(offset) => *offset = message.offset() + 1,
            None => drop(next.insert((message.topic().to_owned(), message.partition()), message.offset() + 1)),
        }
        match self.work {
            Work::Copy | Work::CopyTransactional => self.copy(message),
            Work::Stateful => self.stateful(message),
            Work::Stateless => self.stateless(message),
        }
    }

    fn copy(&self, message: &BorrowedMessage<'_>) -> Result<()> {
        let headers = message.headers().map(rdkafka::message::BorrowedHeaders::detach);
        let topic = self.outputs.first().context("no topic to copy to")?;
        self.send(
            topic,
            message.key().unwrap_or_default(),
            message.payload().unwrap_or_default(),
            headers,
        )
    }

    fn stateful(&mut self, message: &BorrowedMessage<'_>) -> Result<()> {
        let incoming: Incoming<'_> = serde_json::from_slice(message.payload().unwrap_or_default())?;
        let key = message.key().unwrap_or_default();
        let Requested { user_id, seq, profile } = &incoming.payload;
        let name = std::str::from_utf8(key)?;
        if !self.documents.contains_key(name) {
            self.documents.insert(name.to_owned(), Document::default());
        }
        let document = self.documents.get_mut(name).context("no document")?;
        let now = now();
        let updated = Updated {
            user_id,
            changes: changes(&document.profile, profile),
        };
        let updated = envelope(&incoming, "user.updated", &now, updated)?;
        document.profile = profile.clone();
        document.count += 1;
        document.last_seq = *seq;
        self.emit((0, "user.updated"), key, &updated, (&incoming, &now))?;
        self.profile_updated(1, key, &incoming, &now)
    }

    fn stateless(&self, message: &BorrowedMessage<'_>) -> Result<()> {
        let incoming: Incoming<'_> = serde_json::from_slice(message.payload().unwrap_or_default())?;
        self.profile_updated(0, message.key().unwrap_or_default(), &incoming, &now())
    }

    fn profile_updated(&self, output: usize, key: &[u8], incoming: &Incoming<'_>, now: &str) -> Result<()> {
        let payload = ProfileUpdated {
            user_id: &incoming.payload.user_id,
            profile: &incoming.payload.profile,
        };
        let value = envelope(incoming, "user.profile.updated", now, payload)?;
        self.emit((output, "user.profile.updated"), key, &value, (incoming, now))
    }

    fn emit(
        &self,
        (output, event_type): (usize, &str),
        key: &[u8],
        value: &[u8],
        (incoming, now): (&Incoming<'_>, &str),
    ) -> Result<()> {
        let topic = self.outputs.get(output).context("no topic")?;
        let correlation_id = incoming.correlation_id.unwrap_or_default();
        self.send(
            topic,
            key,
            value,
            Some(headers(event_type, "bench", correlation_id, now)),
        )
    }

    fn send(&self, topic: &str, key: &[u8], value: &[u8], headers: Option<OwnedHeaders>) -> Result<()> {
        let mut record = BaseRecord::to(topic).key(key).payload(value);
        record.headers = headers;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.producer.poll(Duration::from_millis(1));
                    record = back;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }
}

fn envelope<P: Serialize>(incoming: &Incoming<'_>, event_type: &str, now: &str, payload: P) -> Result<Vec<u8>> {
    let mut text = Uuid::encode_buffer();
    Ok(serde_json::to_vec(&Outgoing {
        event_id: Uuid::new_v4().as_hyphenated().encode_lower(&mut text),
        event_type,
        timestamp: now,
        version: "1.0",
        source: "bench",
        correlation_id: incoming.correlation_id,
        causation_id: incoming.event_id,
        payload,
    })?)
}

fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("broker.address.family", "v4");
    config
}
