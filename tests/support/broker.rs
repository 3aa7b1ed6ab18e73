//! Kafka for the tests: the one that is given, a real Apache Kafka of ours, or the in-process one.

mod apache;
mod client;
mod in_process;
pub(crate) mod maven;
mod means;
mod port;
mod rights;
mod three;

pub use apache::Broker;
pub(crate) use apache::Detour;
pub(crate) use client::{block_on, client};
pub(crate) use means::{Means, Shared};
pub use rights::{Operation, PASSWORD, Resource, USER};
pub use three::ThreeBrokers;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::Result;
use crate::wait::eventually;
use in_process::InProcess;

/// A Kafka cluster that tests talk to.
pub struct Cluster {
    brokers: String,
    /// Copies of a topic; -1 is what the brokers think best.
    copies: i32,
    /// Set for the in-process cluster, which knows no request that makes a topic.
    in_process: Option<InProcess>,
}

impl Cluster {
    /// The cluster that all behaviours of this run share; started at the first use.
    pub(crate) fn shared(means: &Means) -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Cluster>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Self::start(means)).as_ref();
        shared.map_err(|error| anyhow!("no broker: {error:#}"))
    }

    fn start(means: &Means) -> Result<Self> {
        match &means.shared {
            Shared::Given(brokers) => {
                client::reach(brokers, || Ok(()))
                    .with_context(|| format!("KAFKA_BROKERS is {brokers}, and nobody answers there"))?;
                Ok(Self::at(brokers.clone()))
            }
            Shared::Apache(jars) => {
                let broker = Broker::with(jars)?;
                let cluster = Self::at(broker.brokers());
                // Ends with the run: the keeper sees to it.
                std::mem::forget(broker);
                Ok(cluster)
            }
            Shared::InProcess(_) => {
                let broker = InProcess::start()?;
                Ok(Self {
                    brokers: broker.brokers()?,
                    copies: 1,
                    in_process: Some(broker),
                })
            }
        }
    }

    pub(crate) fn at(brokers: String) -> Self {
        Self {
            brokers,
            copies: 1,
            in_process: None,
        }
    }

    /// Of several brokers, on which a topic has as many copies as they think best.
    fn of(brokers: &[String]) -> Self {
        Self {
            copies: -1,
            ..Self::at(brokers.join(","))
        }
    }

    /// `host:port`, comma separated.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Makes topics of `partitions` partitions each.
    ///
    /// # Errors
    /// If the broker refuses, except for a topic that is there already.
    pub fn create_topics(&self, topics: &[String], partitions: i32) -> Result {
        if let Some(broker) = &self.in_process {
            return topics
                .iter()
                .try_for_each(|topic| broker.create_topic(topic, partitions));
        }
        let new: Vec<_> = topics
            .iter()
            .map(|topic| NewTopic::new(topic, partitions, TopicReplication::Fixed(self.copies)))
            .collect();
        let made = block_on(self.admin()?.create_topics(&new, &options())).context("topics cannot be made")?;
        for topic in made {
            match topic {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => bail!("the topic {topic} cannot be made: {code}"),
            }
        }
        Ok(())
    }

    /// Makes a topic of one partition of which only the last record of each key is kept, as soon as the broker gets to it.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn create_compacted(&self, topic: &str) -> Result {
        let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1))
            .set("cleanup.policy", "compact")
            .set("segment.ms", "100")
            .set("min.cleanable.dirty.ratio", "0.01");
        let made = block_on(self.admin()?.create_topics(&[new], &options())).context("no topic")?;
        made.into_iter().try_for_each(|topic| {
            topic
                .map(drop)
                .map_err(|(topic, code)| anyhow!("no topic {topic}: {code}"))
        })
    }

    /// Makes a topic of three partitions that takes records, and batches of them, up to so many bytes.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn create_small(&self, topic: &str, bytes: usize) -> Result {
        self.create_with(topic, ("max.message.bytes", &bytes.to_string()))
    }

    /// Makes a topic with this setting.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn create_with(&self, topic: &str, (name, value): (&str, &str)) -> Result {
        let new = NewTopic::new(topic, 3, TopicReplication::Fixed(1)).set(name, value);
        let made = block_on(self.admin()?.create_topics(&[new], &options())).context("no topic")?;
        made.into_iter().try_for_each(|topic| {
            topic
                .map(drop)
                .map_err(|(topic, code)| anyhow!("no topic {topic}: {code}"))
        })
    }

    /// Makes a topic with a partition on each of these brokers, without a replica.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn create_on(&self, topic: &str, brokers: &[i32]) -> Result {
        let each: Vec<_> = brokers.iter().map(std::slice::from_ref).collect();
        let partitions = i32::try_from(brokers.len())?;
        let new = NewTopic::new(topic, partitions, TopicReplication::Variable(&each));
        let made = block_on(self.admin()?.create_topics(&[new], &options())).context("no topic")?;
        made.into_iter().try_for_each(|topic| {
            topic
                .map(drop)
                .map_err(|(topic, code)| anyhow!("no topic {topic}: {code}"))
        })
    }

    /// Has a topic take records up to so many bytes from now on.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn take_up_to(&self, topic: &str, bytes: usize) -> Result {
        let bytes = bytes.to_string();
        let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("max.message.bytes", &bytes);
        let made = block_on(self.admin()?.alter_configs(&[change], &options())).context("no change")?;
        made.into_iter().try_for_each(|changed| {
            changed
                .map(drop)
                .map_err(|(topic, code)| anyhow!("{topic:?} is not changed: {code}"))
        })
    }

    /// Gives a topic so many partitions in all.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn add_partitions(&self, topic: &str, total: usize) -> Result {
        let more = [NewPartitions::new(topic, total)];
        let made = block_on(self.admin()?.create_partitions(&more, &options())).context("no partitions")?;
        made.into_iter().try_for_each(|topic| {
            topic
                .map(drop)
                .map_err(|(topic, code)| anyhow!("no partitions of {topic}: {code}"))
        })
    }

    /// The sum of the ends of a topic's partitions: how many records were ever written to it.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub fn end(&self, topic: &str) -> Result<i64> {
        let ends = client::ends(&self.brokers, topic, "read_uncommitted")?;
        Ok(ends.values().sum())
    }

    /// Partitions of a topic whose readers, if they read committed, cannot get to the end.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub fn held_up(&self, topic: &str) -> Result<Vec<String>> {
        let stable = client::ends(&self.brokers, topic, "read_committed")?;
        let ends = client::ends(&self.brokers, topic, "read_uncommitted")?;
        let held_up = ends
            .iter()
            .filter(|(partition, end)| stable.get(partition) != Some(end));
        Ok(held_up
            .map(|(partition, end)| {
                format!(
                    "{topic}[{partition}] ends at {end} and is stable up to {:?}",
                    stable.get(partition)
                )
            })
            .collect())
    }

    /// Deletes all that a topic holds, as retention does.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn delete_all_records(&self, topic: &str) -> Result {
        self.delete_records(topic, &client::ends(&self.brokers, topic, "read_uncommitted")?)
    }

    /// Deletes the records of a topic's partitions that lie before these offsets, as retention does.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn delete_records(&self, topic: &str, before: &BTreeMap<i32, i64>) -> Result {
        let mut offsets = TopicPartitionList::new();
        for (partition, offset) in before {
            offsets.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        let deleted = block_on(self.admin()?.delete_records(&offsets, &options())).context("records stay")?;
        for element in deleted.elements() {
            element
                .error()
                .with_context(|| format!("records of {topic}[{}] stay", element.partition()))?;
        }
        Ok(())
    }

    /// Makes topics where the host could not: the in-process cluster knows no request for it.
    pub(crate) fn make_what_nobody_can_ask_for(&self, topics: &[String], partitions: i32) -> Result {
        match &self.in_process {
            Some(_) => self.create_topics(topics, partitions),
            None => Ok(()),
        }
    }

    /// Deletes a topic, and returns when it is gone.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn delete_topic(&self, topic: &str) -> Result {
        let deleted = block_on(self.admin()?.delete_topics(&[topic], &options())).context("the topic stays")?;
        for topic in deleted {
            topic.map_err(|(topic, code)| anyhow!("the topic {topic} stays: {code}"))?;
        }
        eventually("the topic is gone", || {
            let known = client::metadata(&self.brokers)?;
            let is_there = known.topics().iter().any(|known| known.name() == topic);
            Ok((!is_there).then_some(()))
        })
    }

    /// Removes every topic whose name starts with `prefix`.
    pub fn remove_topics(&self, prefix: &str) -> Result {
        if self.in_process.is_some() {
            return Ok(());
        }
        let metadata = client::metadata(&self.brokers)?;
        let names: Vec<_> = metadata.topics().iter().map(|topic| topic.name()).collect();
        let ours: Vec<_> = names.into_iter().filter(|name| name.starts_with(prefix)).collect();
        if !ours.is_empty() {
            block_on(self.admin()?.delete_topics(&ours, &options())).context("topics cannot be removed")?;
        }
        Ok(())
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        client(&self.brokers).create().context("no admin client")
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)))
}
