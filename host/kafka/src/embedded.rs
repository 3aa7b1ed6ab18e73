//! A Kafka cluster inside this process, for demonstrations and fast tests.
//!
//! It is librdkafka's mock broker: it speaks the real protocol on a loopback port, but keeps everything in memory, only
//! about 5 MB per partition, and does not hide aborted transactions. It proves nothing about exactly-once.

use std::sync::mpsc;
use std::thread;

use rdkafka::ClientConfig;
use rdkafka::bindings;
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, DefaultProducerContext, Producer};
use thiserror::Error;

use sandman_core::broker::TopicSpec;

/// Why the embedded broker cannot be started.
#[derive(Debug, Error)]
pub enum EmbeddedError {
    /// The library could not create it.
    #[error("embedded broker cannot be started: {0}")]
    Start(String),
    /// The thread could not be started, or is gone.
    #[error("thread of the embedded broker cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// The number of the one broker.
const BROKER: i32 = 1;

type Cluster<'a> = MockCluster<'a, DefaultProducerContext>;
type ClusterCall = Box<dyn FnOnce(&Cluster<'_>) + Send>;

/// A cluster of one broker on a loopback port; gone when dropped. For development only.
pub struct EmbeddedBroker {
    brokers: String,
    /// Closing it ends the cluster's thread.
    orders: Option<mpsc::Sender<ClusterCall>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl EmbeddedBroker {
    /// Starts the broker with these topics. Others are created, with four partitions, when a client first asks for them.
    ///
    /// # Errors
    /// [`EmbeddedError`]
    pub fn start(topics: &[TopicSpec]) -> Result<Self, EmbeddedError> {
        let (orders, inbox) = mpsc::channel::<ClusterCall>();
        let (started, starting) = mpsc::channel();
        let topics = topics.to_vec();
        // The cluster cannot move between threads, so it gets one of its own.
        let thread = thread::Builder::new()
            .name("embedded broker".to_owned())
            .spawn(move || {
                if let Err(error) = live(&topics, &started, &inbox) {
                    // The receiver is gone if the start was already reported.
                    let _ = started.send(Err(error));
                }
            })?;
        let brokers = starting
            .recv()
            .map_err(|_| EmbeddedError::Start("its thread ended".to_owned()))?
            .map_err(|error| EmbeddedError::Start(error.to_string()))?;
        tracing::warn!(
            %brokers,
            "embedded broker: for development only; it keeps little, loses all when the host ends, and shows what an \
             aborted transaction wrote"
        );
        Ok(Self {
            brokers,
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    /// Its address, for `[kafka] brokers`.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Closes all connections and stops answering until [`EmbeddedBroker::resume`]; the data is kept.
    pub fn stop(&self) {
        self.order(|cluster| note("stop", cluster.broker_down(BROKER)));
    }

    /// The broker answers again.
    pub fn resume(&self) {
        self.order(|cluster| note("start", cluster.broker_up(BROKER)));
    }

    /// Runs a function on the cluster, for example to stop its broker or inject an error. Returns when it is done.
    pub(super) fn order(&self, order: impl FnOnce(&Cluster<'_>) + Send + 'static) {
        let (done, waiting) = mpsc::channel::<()>();
        let order: ClusterCall = Box::new(move |cluster| {
            order(cluster);
            drop(done);
        });
        if let Some(orders) = &self.orders
            && orders.send(order).is_ok()
        {
            // Ends when the function has run, or its thread is gone.
            waiting.recv().ok();
        }
    }
}

fn note(what: &str, done: Result<(), KafkaError>) {
    if let Err(error) = done {
        tracing::warn!(%error, "the embedded broker does not {what}");
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the embedded broker panicked");
        }
    }
}

fn live(
    topics: &[TopicSpec],
    started: &mpsc::Sender<Result<String, KafkaError>>,
    inbox: &mpsc::Receiver<ClusterCall>,
) -> Result<(), KafkaError> {
    let mut config = ClientConfig::new();
    config.set("test.mock.num.brokers", "1");
    let owner: BaseProducer = config.create()?;
    let cluster = owner.client().mock_cluster().ok_or(KafkaError::Canceled)?;
    join_at_once(&owner);
    for topic in topics {
        cluster.create_topic(&topic.name, topic.partitions.max(1), 1)?;
    }
    let _ = started.send(Ok(cluster.bootstrap_servers()));
    while let Ok(order) = inbox.recv() {
        order(&cluster);
    }
    Ok(())
}

/// Without this setting a new group waits three seconds for more members.
#[expect(unsafe_code, reason = "rdkafka does not wrap this setting of the cluster")]
fn join_at_once(owner: &BaseProducer) {
    // SAFETY: the client was made with a cluster inside, which lives as long as the client, and is borrowed here.
    unsafe {
        let cluster = bindings::rd_kafka_handle_mock_cluster(owner.client().native_ptr());
        if !cluster.is_null() {
            bindings::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
        }
    }
}
