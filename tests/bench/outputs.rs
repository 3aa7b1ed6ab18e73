//! What came out, as a read-committed consumer sees it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use sandman_tests::Result;

use super::input::seq_of;

/// How long nothing may come before a contender is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Reads the topics that a contender writes, and holds that every input comes out of each exactly once.
pub(crate) struct Outputs {
    consumer: BaseConsumer,
    seen: HashMap<String, Vec<bool>>,
    brokers: String,
    partitions: i32,
    count: u64,
}

impl Outputs {
    /// Reads from the beginning of topics that exist; `inputs` is how many events go in.
    pub(crate) fn open(brokers: &str, topics: &[String], partitions: i32, inputs: u64) -> Result<Self> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("broker.address.family", "v4")
            .set("group.id", "bench-outputs")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "100")
            .set("queued.max.messages.kbytes", "65536")
            .set("fetch.queue.backoff.ms", "10")
            .create()
            .context("no consumer")?;
        let mut assignment = TopicPartitionList::new();
        for topic in topics {
            for partition in 0..partitions {
                assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
            }
        }
        consumer.assign(&assignment)?;
        let size = usize::try_from(inputs)?;
        Ok(Self {
            consumer,
            seen: topics.iter().map(|topic| (topic.clone(), vec![false; size])).collect(),
            brokers: brokers.to_owned(),
            partitions,
            count: 0,
        })
    }

    /// What tells where the topics end.
    pub(crate) fn ends(&self) -> Result<Ends> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("broker.address.family", "v4")
            .create()
            .context("no client")?;
        Ok(Ends {
            consumer,
            topics: self.seen.keys().cloned().collect(),
            partitions: self.partitions,
        })
    }

    /// How many topics there are.
    pub(crate) fn topics(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Reads until so many events have come in all; `each` is given the number of the input.
    pub(crate) fn read_to(&mut self, count: u64, mut each: impl FnMut(u64)) -> Result {
        let mut last = Instant::now();
        while self.count < count {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let headers = message.headers();
                    let correlation =
                        headers.and_then(|headers| headers.iter().find(|header| header.key == "correlationId"));
                    let seq = correlation
                        .and_then(|header| seq_of(header.value?))
                        .context("an event without its correlation id")?;
                    let seen = self
                        .seen
                        .get_mut(message.topic())
                        .context("an event of another topic")?;
                    let slot = seen.get_mut(usize::try_from(seq)?).context("an event of another run")?;
                    ensure!(!std::mem::replace(slot, true), "input {seq} came out twice");
                    self.count += 1;
                    last = Instant::now();
                    each(seq);
                }
                Some(Err(KafkaError::PartitionEOF(_))) | None => {
                    ensure!(
                        last.elapsed() < PATIENCE,
                        "nothing new after {} of {count} events",
                        self.count
                    );
                }
                Some(Err(error)) => bail!("the outputs cannot be read: {error}"),
            }
        }
        Ok(())
    }
}

/// The ends of some topics.
pub(crate) struct Ends {
    consumer: BaseConsumer,
    topics: Vec<String>,
    partitions: i32,
}

impl Ends {
    /// The sum of the ends of all partitions.
    pub(crate) fn sum(&self) -> Result<f64> {
        let mut sum = 0;
        for topic in &self.topics {
            for partition in 0..self.partitions {
                sum += self.consumer.fetch_watermarks(topic, partition, PATIENCE)?.1;
            }
        }
        Ok(sum as f64)
    }
}
