//! What every Kafka client of the tests has in common.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::Metadata;

use crate::Result;
use crate::wait::PATIENCE;

/// One look at a broker that may not be there yet.
const LOOK: Duration = Duration::from_secs(1);

/// Settings for a client of the brokers.
pub(crate) fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("broker.address.family", "v4")
        // A broker that comes back is seen soon.
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "250");
    config
}

/// Returns once a broker answers; `alive` may say that it never will.
pub(super) fn reach(brokers: &str, alive: impl Fn() -> Result) -> Result {
    let consumer: BaseConsumer = client(brokers).create().context("no client")?;
    let end = Instant::now() + PATIENCE;
    loop {
        alive()?;
        match consumer.fetch_metadata(None, LOOK) {
            Ok(metadata) if !metadata.brokers().is_empty() => return Ok(()),
            Ok(_) => {}
            Err(error) if Instant::now() >= end => bail!("nobody answers at {brokers}: {error}"),
            Err(_) => {}
        }
    }
}

/// What the brokers know of their topics.
pub(super) fn metadata(brokers: &str) -> Result<Metadata> {
    let consumer: BaseConsumer = client(brokers).create().context("no client")?;
    consumer.fetch_metadata(None, PATIENCE).context("no metadata")
}

/// The end of each partition of a topic, as a client of that isolation level sees it.
pub(super) fn ends(brokers: &str, topic: &str, isolation: &str) -> Result<BTreeMap<i32, i64>> {
    let consumer: BaseConsumer = client(brokers)
        .set("isolation.level", isolation)
        .create()
        .context("no client")?;
    let known = consumer.fetch_metadata(Some(topic), PATIENCE).context("no metadata")?;
    let partitions = known.topics().iter().flat_map(|topic| topic.partitions());
    partitions
        .map(|partition| {
            let (_, end) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE)?;
            Ok((partition.id(), end))
        })
        .collect()
}

/// Drives a future that needs no runtime: librdkafka's own thread wakes it.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
