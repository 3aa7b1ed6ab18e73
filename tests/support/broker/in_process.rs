//! librdkafka's in-process cluster: quick, and no proof of exactly-once.

use anyhow::{Context, anyhow};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer};

use crate::Result;

/// The producer that the cluster lives in.
pub(super) struct InProcess(BaseProducer);

impl InProcess {
    pub(super) fn start() -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set("test.mock.num.brokers", "1");
        Ok(Self(config.create().context("the in-process broker does not start")?))
    }

    pub(super) fn brokers(&self) -> Result<String> {
        Ok(self.cluster()?.bootstrap_servers())
    }

    pub(super) fn create_topic(&self, topic: &str, partitions: i32) -> Result {
        let made = self.cluster()?.create_topic(topic, partitions, 1);
        // The in-process cluster answers the same for a topic that is there as for one that it cannot make.
        if let Err(error) = made
            && !self.has(topic)?
        {
            return Err(anyhow!("the topic {topic} cannot be made: {error}"));
        }
        Ok(())
    }

    fn has(&self, topic: &str) -> Result<bool> {
        let metadata = super::client::metadata(&self.brokers()?)?;
        Ok(metadata.topics().iter().any(|known| known.name() == topic))
    }

    fn cluster(&self) -> Result<rdkafka::mocking::MockCluster<'_, impl rdkafka::ClientContext>> {
        self.0.client().mock_cluster().context("the in-process broker is gone")
    }
}
