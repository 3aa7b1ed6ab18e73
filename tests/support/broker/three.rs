//! A Kafka of three brokers: replication 3, and a record is taken once two of them have it.

use std::thread;

use anyhow::{Context, anyhow};

use super::maven::Jars;
use super::{Broker, Cluster, client};
use crate::Result;
use crate::wait::eventually;

/// Three brokers of one's own, which control their cluster together.
pub struct ThreeBrokers {
    brokers: Vec<Broker>,
    cluster: Cluster,
}

impl ThreeBrokers {
    /// Starts them and returns once each knows of the others.
    pub(crate) fn with(jars: &Jars) -> Result<Self> {
        let brokers = Broker::three(jars)?;
        // None of them answers before two are there.
        thread::scope(|scope| {
            let start = |broker| {
                move || {
                    let broker: &Broker = broker;
                    broker.format()?;
                    broker.start()
                }
            };
            let starting: Vec<_> = brokers.iter().map(|broker| scope.spawn(start(broker))).collect();
            starting
                .into_iter()
                .try_for_each(|started| started.join().map_err(|_| anyhow!("the start of a broker panicked"))?)
        })?;
        let addresses: Vec<_> = brokers.iter().map(Broker::brokers).collect();
        let three = Self {
            brokers,
            cluster: Cluster::of(&addresses),
        };
        three.in_sync()?;
        Ok(three)
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// One of them, by its number from 0.
    ///
    /// # Errors
    /// If there is none of that number.
    pub fn broker(&self, number: usize) -> Result<&Broker> {
        self.brokers.get(number).context("there are three brokers")
    }

    /// Waits until each broker says that all are there, and that each has all records of all topics.
    ///
    /// # Errors
    /// If they do not come to that in time.
    pub fn in_sync(&self) -> Result {
        eventually("each of three brokers has all records", || {
            for broker in &self.brokers {
                // One that has just come back may say what was true when it went.
                if !self.is_in_sync(broker)? {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
    }

    fn is_in_sync(&self, by: &Broker) -> Result<bool> {
        let known = client::metadata(&by.brokers())?;
        let mut partitions = known.topics().iter().flat_map(|topic| topic.partitions());
        let all = self.brokers.len();
        Ok(known.brokers().len() == all
            && partitions.all(|partition| partition.replicas().len() == all && partition.isr().len() == all))
    }
}
