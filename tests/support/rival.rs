//! Another producer with the relay's transactional id: whoever of the two comes later fences the other.

use std::time::Duration;

use anyhow::Context;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use crate::Result;
use crate::broker::client;
use crate::wait::PATIENCE;

/// A rival of the relay.
pub struct Rival {
    producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext>,
}

impl Rival {
    /// Takes the transactional id over.
    pub(crate) fn rise(brokers: &str, transactional_id: &str) -> Result<Self> {
        let producer: ThreadedProducer<_> = client(brokers)
            .set("transactional.id", transactional_id)
            .set("transaction.timeout.ms", "20000")
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
        self.producer.begin_transaction()?;
        let record = BaseRecord::<str, str>::to(topic)
            .key("rival")
            .payload("never to be seen");
        let sent = self.producer.send(record).map_err(|(error, _)| error);
        sent.context("the rival cannot write")?;
        self.producer.flush(Duration::from_secs(10))?;
        self.producer
            .abort_transaction(PATIENCE)
            .context("the rival cannot abort")
    }
}
