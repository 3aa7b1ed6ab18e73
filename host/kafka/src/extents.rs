//! The first and last offsets of partitions on the brokers, whoever consumes them.
//!
//! They do not come from the consumers: each of these knows only its assigned partitions, and only as far as it has fetched.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use thiserror::Error;

use super::assignment::list;
use super::client::Monitor;
use super::group::{GroupMember, members};
use super::health::KafkaHealth;
use super::settings::KafkaSettings;
use super::wait::{Deadline, drop_apart};
use sandman_core::broker::Extent;
use sandman_core::event::TopicPartition;

const CLOSE: Duration = Duration::from_secs(3);

/// A partition that exists, and its extent if its leader answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionExtent {
    /// The partition.
    pub partition: TopicPartition,
    /// Its extent according to its leader.
    pub extent: Option<Extent>,
}

/// Why extents cannot be read.
#[derive(Debug, Error)]
pub enum ExtentError {
    /// The settings make no client.
    #[error("kafka client cannot be created: {0}; check [kafka] and [kafka.options]")]
    Settings(String),
    /// A topic or a group cannot be seen.
    #[error("{what}: {reason}")]
    Unseen {
        /// The topic or group.
        what: String,
        /// What Kafka or the library said.
        reason: String,
    },
}

/// Asks the brokers for extents, without being a member of a group. It keeps its connections and survives outages of Kafka.
pub struct ExtentReader {
    consumer: BaseConsumer<Monitor>,
}

impl ExtentReader {
    /// A reader, which connects on its own.
    ///
    /// # Errors
    /// [`ExtentError::Settings`]
    pub fn open(settings: &KafkaSettings, health: &Arc<KafkaHealth>) -> Result<Self, ExtentError> {
        let monitor = Monitor::new(health.transient("extents"));
        let consumer = settings.extents().create_with_context(monitor);
        let consumer = consumer.map_err(|error| ExtentError::Settings(error.to_string()))?;
        Ok(Self { consumer })
    }

    /// All partitions of a topic, and the extents of those whose leaders answer in time.
    ///
    /// # Errors
    /// [`ExtentError::Unseen`] if the partitions are not known within `patience`.
    pub fn read(&self, topic: &Arc<str>, patience: Duration) -> Result<Vec<PartitionExtent>, ExtentError> {
        let deadline = Deadline::after(patience);
        self.drain();
        let known = self.partitions(topic, deadline)?;
        let led = known.iter().filter(|(_, led)| *led).map(|(partition, _)| partition);
        let led = list(led);
        let (mut firsts, mut ends) = (None, None);
        if led.count() > 0 {
            ends = self.ask(&led, Offset::End, deadline);
            firsts = self.ask(&led, Offset::Beginning, deadline);
        }
        let extents = known.into_iter().map(|(partition, _)| {
            let first = firsts.as_ref().and_then(|firsts| offset(firsts, &partition));
            let end = ends.as_ref().and_then(|ends| offset(ends, &partition));
            let extent = first.zip(end).map(|(first, end)| Extent { first, end });
            PartitionExtent { partition, extent }
        });
        Ok(extents.collect())
    }

    /// The visible members of a consumer group with their partitions, or `None` while the group rebalances.
    ///
    /// # Errors
    /// [`ExtentError::Unseen`] if the group is not described within `patience`.
    pub fn members(&self, group: &str, patience: Duration) -> Result<Option<Vec<GroupMember>>, ExtentError> {
        let unseen = |error: KafkaError| ExtentError::Unseen {
            what: format!("group `{group}`"),
            reason: error.to_string(),
        };
        let groups = self.consumer.fetch_group_list(Some(group), patience).map_err(unseen)?;
        Ok(groups
            .groups()
            .iter()
            .find(|info| info.name() == group)
            .and_then(members))
    }

    /// The partitions of a topic, and whether each has a leader.
    fn partitions(&self, topic: &Arc<str>, deadline: Deadline) -> Result<Vec<(TopicPartition, bool)>, ExtentError> {
        let unseen = |reason: String| ExtentError::Unseen {
            what: format!("topic `{topic}`"),
            reason,
        };
        // Asking by name does not create a topic: the client is configured so.
        let metadata = self.consumer.fetch_metadata(Some(topic), deadline.left());
        let metadata = metadata.map_err(|error| unseen(error.to_string()))?;
        let found = metadata.topics().iter().find(|found| found.name() == &**topic);
        let found = found.ok_or_else(|| unseen("there is no such topic".to_owned()))?;
        if let Some(error) = found.error() {
            return Err(unseen(rdkafka::error::RDKafkaErrorCode::from(error).to_string()));
        }
        let partitions = found.partitions().iter().map(|partition| {
            let name = TopicPartition {
                topic: Arc::clone(topic),
                partition: partition.id(),
            };
            (name, partition.leader() >= 0)
        });
        Ok(partitions.collect())
    }

    /// One request to each leader: the library treats the two ends of a partition as timestamps.
    fn ask(&self, of: &TopicPartitionList, point: Offset, deadline: Deadline) -> Option<TopicPartitionList> {
        let mut asked = of.clone();
        let answer = asked
            .set_all_offsets(point)
            .and_then(|()| self.consumer.offsets_for_times(asked, deadline.left()));
        answer
            .inspect_err(|error| tracing::debug!(?point, %error, "ends of partitions cannot be asked for"))
            .ok()
    }

    /// Serves the library's events, which would otherwise accumulate.
    fn drain(&self) {
        while self.consumer.poll(Duration::ZERO).is_some() {}
    }

    /// Closes the client, on a separate thread if that takes long.
    pub fn close(self) {
        drop_apart("extents", self.consumer, CLOSE);
    }
}

fn offset(answers: &TopicPartitionList, of: &TopicPartition) -> Option<i64> {
    let answer = answers.find_partition(&of.topic, of.partition)?;
    answer.error().ok()?;
    // Unanswered entries still have the requested point, which is negative.
    answer.offset().to_raw().filter(|offset| *offset >= 0)
}
