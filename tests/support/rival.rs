//! Another producer with the relay's transactional id: whoever of the two comes later fences the other.

use std::time::Duration;

use anyhow::Context;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use crate::broker::client;
use crate::wait::PATIENCE;
use crate::{Result, World};

/// A rival of the relay.
pub struct Rival {
    producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext>,
}

impl Rival {
    /// Takes the transactional id over.
    pub(crate) fn rise(brokers: &str, transactional_id: &str) -> Result<Self> {
        Self::patient(brokers, transactional_id, Duration::from_secs(20))
    }

    /// Somebody whose transactions stay open until they end them, for minutes.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn stranger(world: &World) -> Result<Self> {
        let name = format!("{}-stranger", world.deployment());
        Self::patient(world.cluster()?.brokers(), &name, Duration::from_secs(300))
    }

    fn patient(brokers: &str, transactional_id: &str, timeout: Duration) -> Result<Self> {
        let producer: ThreadedProducer<_> = client(brokers)
            .set("transactional.id", transactional_id)
            .set("transaction.timeout.ms", timeout.as_millis().to_string())
            .create()
            .context("no rival")?;
        producer.init_transactions(PATIENCE).context("the rival is refused")?;
        Ok(Self { producer })
    }

    /// Begins a transaction, writes a record, and takes it back: nobody who reads committed sees it.
    ///
    /// # Errors
    /// If it was fenced meanwhile.
    pub fn write_and_abort(&self, topic: &str) -> Result {
        self.write(topic, "rival", "never to be seen")?;
        self.producer
            .abort_transaction(PATIENCE)
            .context("the rival cannot abort")
    }

    /// Begins a transaction and writes a record in it.
    ///
    /// # Errors
    /// If it was fenced meanwhile.
    pub fn write(&self, topic: &str, key: &str, value: &str) -> Result {
        self.producer.begin_transaction()?;
        let record = BaseRecord::<str, str>::to(topic).key(key).payload(value);
        let sent = self.producer.send(record).map_err(|(error, _)| error);
        sent.context("the rival cannot write")?;
        Ok(self.producer.flush(Duration::from_secs(10))?)
    }

    /// Ends the transaction: what it wrote is seen from then on.
    ///
    /// # Errors
    /// If it was fenced meanwhile.
    pub fn commit(&self) -> Result {
        self.producer
            .commit_transaction(PATIENCE)
            .context("the rival cannot commit")
    }
}
