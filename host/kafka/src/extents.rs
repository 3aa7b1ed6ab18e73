//! The first and last offsets of partitions on the brokers, whoever consumes them.
//!
//! They do not come from the consumers: each of these knows only its assigned partitions, and only as far as it has fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};
use thiserror::Error;

use super::assignment::list;
use super::client::Monitor;
use super::group::{GroupMember, members};
use super::health::KafkaHealth;
use super::settings::KafkaSettings;
use super::wait::drop_apart;
use sandman_core::broker::Extent;
use sandman_core::event::TopicPartition;

const CLOSE: Duration = Duration::from_secs(3);
/// For how long the partitions of a topic are taken for the same, unless one of them does not answer.
const SAME: Duration = Duration::from_secs(10);

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
    known: BTreeMap<Arc<str>, KnownPartitions>,
}

/// The partitions of a topic.
struct KnownPartitions {
    /// Each, and whether it has a leader.
    partitions: Vec<(TopicPartition, bool)>,
    since: Instant,
}

/// What the brokers said of topics.
#[derive(Debug)]
pub struct TopicExtents {
    /// All partitions of each topic, or [`ExtentError::Unseen`] if they are not known.
    pub topics: BTreeMap<Arc<str>, Result<Vec<PartitionExtent>, ExtentError>>,
    /// An answer did not come in time, and nothing was waited for after it.
    pub silent: bool,
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
        Ok(Self {
            consumer,
            known: BTreeMap::new(),
        })
    }

    /// All partitions of these topics, and the extents of those whose leaders answer in time. New partitions are noticed
    /// within ten seconds. All topics are asked for at once: a hundred of them take two requests to each leader.
    ///
    /// Each answer may take `patience`. Once one did not come, nothing else is waited for.
    pub fn read(&mut self, topics: &BTreeSet<&Arc<str>>, patience: Duration) -> TopicExtents {
        self.drain();
        self.known
            .retain(|topic, known| topics.contains(topic) && known.since.elapsed() < SAME);
        let mut wait = Wait(patience);
        let mut read = BTreeMap::new();
        for &topic in topics {
            if self.known.contains_key(topic) {
                continue;
            }
            match self.partitions(topic, &mut wait) {
                Ok(known) => drop(self.known.insert(Arc::clone(topic), known)),
                Err(error) => drop(read.insert(Arc::clone(topic), Err(error))),
            }
        }
        let known = self.known.values().flat_map(|known| &known.partitions);
        let led = list(known.filter(|(_, led)| *led).map(|(partition, _)| partition));
        let (mut firsts, mut ends) = (None, None);
        if led.count() > 0 {
            ends = self.ask(&led, Offset::End, &mut wait);
            firsts = self.ask(&led, Offset::Beginning, &mut wait);
        }
        self.known.retain(|topic, known| {
            let extents = known.partitions.iter().map(|(partition, _)| {
                let first = firsts.as_ref().and_then(|firsts| offset(firsts, partition));
                let end = ends.as_ref().and_then(|ends| offset(ends, partition));
                PartitionExtent {
                    partition: partition.clone(),
                    extent: first.zip(end).map(|(first, end)| Extent { first, end }),
                }
            });
            let extents: Vec<_> = extents.collect();
            // Otherwise the topic may be gone, or led by another broker.
            let all_answer = extents.iter().all(|partition| partition.extent.is_some());
            read.insert(Arc::clone(topic), Ok(extents));
            all_answer
        });
        TopicExtents {
            topics: read,
            silent: wait.0.is_zero(),
        }
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

    /// The partitions of a topic now.
    fn partitions(&self, topic: &Arc<str>, wait: &mut Wait) -> Result<KnownPartitions, ExtentError> {
        let unseen = |reason: String| ExtentError::Unseen {
            what: format!("topic `{topic}`"),
            reason,
        };
        // Asking by name does not create a topic: the client is configured so.
        let metadata = wait.on(|patience| self.consumer.fetch_metadata(Some(topic), patience));
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
        Ok(KnownPartitions {
            partitions: partitions.collect(),
            since: Instant::now(),
        })
    }

    fn ask(&self, of: &TopicPartitionList, point: Offset, wait: &mut Wait) -> Option<TopicPartitionList> {
        wait.on(|patience| offsets_at(&self.consumer, of, point, patience))
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

/// How long an answer may take; nothing once one did not come.
struct Wait(Duration);

impl Wait {
    fn on<T, E>(&mut self, ask: impl FnOnce(Duration) -> Result<T, E>) -> Result<T, E> {
        let began = Instant::now();
        let answer = ask(self.0);
        if answer.is_err() && began.elapsed() >= self.0 {
            self.0 = Duration::ZERO;
        }
        answer
    }
}

/// The offsets of partitions at one of their ends. One request to each leader: the library treats the ends as timestamps.
pub(super) fn offsets_at<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    of: &TopicPartitionList,
    end: Offset,
    patience: Duration,
) -> KafkaResult<TopicPartitionList> {
    let mut asked = of.clone();
    asked.set_all_offsets(end)?;
    consumer.offsets_for_times(asked, patience)
}

/// The offset that a list has for a partition, if it has one.
pub(super) fn offset(answers: &TopicPartitionList, of: &TopicPartition) -> Option<i64> {
    let answer = answers.find_partition(&of.topic, of.partition)?;
    answer.error().ok()?;
    // Unanswered entries still have the requested point, which is negative.
    answer.offset().to_raw().filter(|offset| *offset >= 0)
}
