//! A client that publishes in transactions, and decides when they end.

use anyhow::{Context, anyhow};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

use crate::broker::client;
use crate::event::Event;
use crate::wait::PATIENCE;
use crate::{Result, World};

/// A transaction whose records are on the broker, and which has no end yet.
pub struct OpenTransaction {
    producer: ThreadedProducer<DefaultProducerContext>,
}

impl OpenTransaction {
    /// Writes these events in a new transaction of the producer `name` of this world.
    ///
    /// # Errors
    /// If the broker does not take them.
    pub fn begin(world: &World, name: &str, topic: &str, events: &[Event]) -> Result<Self> {
        let producer: ThreadedProducer<_> = client(world.cluster()?.brokers())
            .set("transactional.id", format!("{}-{name}", world.deployment()))
            .set("transaction.timeout.ms", "600000")
            .set("partitioner", "murmur2_random")
            .create()
            .context("no producer")?;
        producer.init_transactions(PATIENCE).context("no transactions")?;
        producer.begin_transaction()?;
        for event in events {
            let mut record = BaseRecord::<[u8], [u8]>::to(topic);
            record.key = event.key.as_deref();
            record.payload = event.value.as_deref();
            let sent = producer.send(record);
            sent.map_err(|(error, _)| anyhow!("a record cannot be sent to {topic}: {error}"))?;
        }
        producer.flush(PATIENCE).context("the records do not arrive")?;
        Ok(Self { producer })
    }

    /// Commits it.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn commit(self) -> Result {
        let committed = self.producer.commit_transaction(PATIENCE);
        committed.context("the transaction cannot be committed")
    }

    /// Takes it back.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn abort(self) -> Result {
        let aborted = self.producer.abort_transaction(PATIENCE);
        aborted.context("the transaction cannot be aborted")
    }
}
