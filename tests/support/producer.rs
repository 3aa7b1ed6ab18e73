//! A client that publishes, as DreamScape's do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header as RawHeader, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig};

use crate::Result;
use crate::broker::client;
use crate::event::Event;
use crate::wait::PATIENCE;
use crate::world::World;

const POLL: Duration = Duration::from_millis(100);

/// How a producer packs its batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// As KafkaJS does.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Compression {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// Where a record landed, or why it did not.
type Landed = Result<(i32, i64), KafkaError>;

/// Collects where the records of one delivery landed, by their number.
#[derive(Clone, Default)]
struct Deliveries(Arc<Mutex<BTreeMap<usize, Landed>>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Self::DeliveryOpaque) {
        let landed = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.clone()),
        };
        let mut deliveries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        deliveries.insert(*number, landed);
    }
}

/// A producer with the partitioner of the Java and Node.js clients.
pub struct Producer {
    inner: BaseProducer<Deliveries>,
    deliveries: Deliveries,
}

impl Producer {
    pub(crate) fn open(brokers: &str, compression: Compression) -> Result<Self> {
        let deliveries = Deliveries::default();
        let inner = client(brokers)
            .set("partitioner", "murmur2_random")
            .set("enable.idempotence", "true")
            // A frozen broker answers nothing: its partitions' new leaders are sent to without waiting for a minute.
            .set("socket.timeout.ms", "10000")
            .set("compression.type", compression.name())
            .set("linger.ms", "5")
            .create_with_context(deliveries.clone())
            .context("no producer")?;
        Ok(Self { inner, deliveries })
    }

    /// A producer that puts all it is given at once into one batch, however large that is before it is packed.
    pub(crate) fn open_for_large_batches(brokers: &str, compression: Compression) -> Result<Self> {
        let deliveries = Deliveries::default();
        let inner = client(brokers)
            .set("partitioner", "murmur2_random")
            .set("compression.type", compression.name())
            .set("message.max.bytes", "900000000")
            .set("batch.size", "900000000")
            .set("queue.buffering.max.kbytes", "1000000")
            .set("linger.ms", "2000")
            .create_with_context(deliveries.clone())
            .context("no producer")?;
        Ok(Self { inner, deliveries })
    }

    /// Sends the events in order, and returns the partition and the offset of each once the broker has them all.
    ///
    /// # Errors
    /// If one of them is refused, or does not arrive in time.
    pub fn send(&self, topic: &str, events: &[Event]) -> Result<Vec<(i32, i64)>> {
        let end = Instant::now() + PATIENCE;
        for (number, event) in events.iter().enumerate() {
            self.queue(topic, number, event, end)?;
        }
        while self.inner.in_flight_count() > 0 && Instant::now() < end {
            self.inner.poll(POLL);
        }
        let landed = std::mem::take(&mut *self.deliveries.0.lock().unwrap_or_else(PoisonError::into_inner));
        if landed.len() < events.len() {
            bail!(
                "{} of {} records did not reach {topic}",
                events.len() - landed.len(),
                events.len()
            );
        }
        let landed: Result<Vec<_>, _> = landed.into_values().collect();
        landed.with_context(|| format!("a record did not reach {topic}"))
    }

    /// Sends the events in order, and says of each whether it has arrived; one that has not may still be on its way.
    ///
    /// # Errors
    /// If one cannot even be queued.
    pub fn deliver(&self, topic: &str, events: &[Event]) -> Result<Vec<bool>> {
        let end = Instant::now() + PATIENCE;
        for (number, event) in events.iter().enumerate() {
            self.queue(topic, number, event, end)?;
        }
        while self.inner.in_flight_count() > 0 && Instant::now() < end {
            self.inner.poll(POLL);
        }
        if self.inner.in_flight_count() > 0 {
            // Given up: nothing of these may be taken for something of the next ones.
            self.inner.purge(PurgeConfig::default().queue().inflight());
            let _ = self.inner.flush(POLL);
        }
        let landed = std::mem::take(&mut *self.deliveries.0.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((0..events.len())
            .map(|number| matches!(landed.get(&number), Some(Ok(_))))
            .collect())
    }

    fn queue(&self, topic: &str, number: usize, event: &Event, end: Instant) -> Result {
        let headers = event.headers.iter().fold(OwnedHeaders::new(), |headers, header| {
            headers.insert(RawHeader {
                key: &header.name,
                value: header.value.as_ref(),
            })
        });
        let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(topic, Box::new(number)).headers(headers);
        record.key = event.key.as_deref();
        record.payload = event.value.as_deref();
        loop {
            match self.inner.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) if Instant::now() < end => {
                    self.inner.poll(POLL);
                    record = back;
                }
                Err((error, _)) => return Err(error).with_context(|| format!("a record cannot be sent to {topic}")),
            }
        }
    }
}

impl World {
    /// Sends events of one key in one batch, and returns where each landed.
    ///
    /// # Errors
    /// If one does not arrive.
    pub fn send_packed(&self, topic: &str, events: &[Event], compression: Compression) -> Result<Vec<(i32, i64)>> {
        Producer::open_for_large_batches(self.cluster()?.brokers(), compression)?.send(topic, events)
    }
}
