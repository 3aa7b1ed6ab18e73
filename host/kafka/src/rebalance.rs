//! Handles assignments and revocations of partitions; the consumer's context.
//!
//! The library's own handling ignores whether an assignment worked, and starts at the group's offsets. Ours starts at
//! the store's progress and stops the consumer after a failure.

mod offsets;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Statistics, TopicPartitionList};

use super::assignment::{Assignment, PartitionSlot, SubscribedTopics, list, offset};
use super::client::Monitor;
use super::consume_error::ConsumeError;
use super::identity::{changed_id, topic_ids};
use super::outage::LastOutage;
use super::served::Served;
use super::wait::{Deadline, POLL};
use sandman_core::broker::{Intake, IntakeError, NamedTopic, Start};
use sandman_core::event::{TopicId, TopicPartition};
use sandman_core::store::StoreError;

/// How long the group may take to return its offsets; far below the poll interval, after which it would remove us.
const ASK: Duration = Duration::from_secs(20);

/// The same for the brokers, and the ids of topics.
pub(super) const DESCRIBE: Duration = Duration::from_secs(5);

/// The context of a consumer: everything that its callbacks and its loop share. Everything in it runs on the consumer's thread.
pub(super) struct Member {
    pub(super) monitor: Monitor,
    pub(super) intake: Arc<dyn Intake>,
    pub(super) topics: SubscribedTopics,
    pub(super) assignment: Mutex<Assignment>,
    /// Why the consumer must end; the loop checks it after each poll.
    pub(super) fault: Mutex<Option<ConsumeError>>,
    /// The library's message for the last error, if it says more than the code.
    pub(super) last_reason: Mutex<String>,
    /// Set when no more records may be handed over.
    pub(super) quiet: AtomicBool,
    pub(super) served: Served,
    /// The group's offsets of this store are ignored.
    pub(super) adopt: bool,
    /// Set when partitions were not taken because the group did not return its offsets: the loop joins again.
    pub(super) again: AtomicBool,
    pub(super) outage: LastOutage,
    /// The session was lost, and the group has not assigned partitions since.
    pub(super) unanswered: AtomicBool,
    /// The topic ids from which the library fetches, by name.
    pub(super) fetched_by: Mutex<HashMap<Arc<str>, TopicId>>,
}

/// Why partitions were not taken.
enum NotTaken {
    /// The consumer ends.
    Never(ConsumeError),
    /// They are asked for again.
    NotNow(String),
}

/// Whether the cluster is an embedded one, of this process or of another, which is known by its name. It has no topic
/// ids, and does not answer requests for them.
pub(super) fn is_embedded(consumer: &BaseConsumer<Member>) -> bool {
    // The id is already known with the topics' partitions: this sends no request.
    let cluster = consumer.client().fetch_cluster_id(POLL);
    cluster.is_some_and(|cluster| cluster.starts_with("mockCluster"))
}

fn id_of(topics: &[NamedTopic], partition: &TopicPartition) -> Option<TopicId> {
    let found = topics.iter().find(|(name, _)| *name == partition.topic)?;
    found.1.clone()
}

impl Member {
    fn fail(&self, error: ConsumeError) {
        self.fault.lock().get_or_insert(error);
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) {
        self.unanswered.store(false, Ordering::Relaxed);
        let partitions = self.wanted(self.topics.partitions(list));
        let mut passed = Vec::new();
        let (starts, topics) = match self.starts(consumer, &partitions) {
            Ok((mut starts, topics)) => {
                passed = self.passed(consumer, (&partitions, &topics), &mut starts);
                (starts, topics)
            }
            Err(NotTaken::Never(error)) => {
                self.fail(error);
                Default::default()
            }
            Err(NotTaken::NotNow(reason)) => {
                tracing::warn!(reason, "the partitions cannot be taken now; rejoining the group");
                self.again.store(true, Ordering::Relaxed);
                Default::default()
            }
        };
        let Some(taken) = self.take(consumer, &partitions, &starts) else {
            return;
        };
        let mut assignment = self.assignment.lock();
        for (partition, start) in partitions.into_iter().zip(starts) {
            tracing::info!(%partition, ?start, "partition assigned");
            let id = id_of(&topics, &partition);
            assignment.add(partition, start, id);
        }
        drop(assignment);
        self.intake.read_to(&passed);
        self.monitor.health().joined();
        self.monitor.health().set_connected(true);
        if self.quiet.load(Ordering::Relaxed)
            && let Err(error) = consumer.pause(&taken)
        {
            tracing::debug!(%error, "partitions cannot be paused");
        }
    }

    /// Assigns the partitions at their start offsets. Without these nothing is assigned, but the library must be
    /// answered all the same, or closing hangs. Returns the assigned partitions, unless the consumer ends.
    fn take(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &[TopicPartition],
        starts: &[Start],
    ) -> Option<TopicPartitionList> {
        let mut taken = TopicPartitionList::new();
        for (partition, start) in partitions.iter().zip(starts) {
            if let Err(error) = taken.add_partition_offset(&partition.topic, partition.partition, offset(*start)) {
                self.fail(ConsumeError::Rebalance(format!(
                    "{partition} cannot start at {start:?}: {error}"
                )));
            }
        }
        let answer = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(&taken),
            _ => consumer.assign(&taken),
        };
        // The library keeps our pause of a partition across a revocation: when assigned again, it would never be read.
        let answer = answer.and_then(|()| consumer.resume(&taken));
        if let Err(error) = answer {
            self.fail(ConsumeError::Rebalance(format!("partitions cannot be taken: {error}")));
            return None;
        }
        Some(taken)
    }

    /// The group gives a returning static member its old partitions, even if it subscribes to other topics now.
    /// Partitions of other topics are not taken, and the consumer rejoins the group.
    fn wanted(&self, mut partitions: Vec<TopicPartition>) -> Vec<TopicPartition> {
        let given = partitions.len();
        partitions.retain(|partition| self.topics.contain(&partition.topic));
        if partitions.len() < given {
            tracing::info!("the group assigned partitions of topics that are no longer consumed; rejoining");
            self.again.store(true, Ordering::Relaxed);
        }
        partitions
    }

    /// The start offsets of the partitions, and the ids of their topics.
    fn starts(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &[TopicPartition],
    ) -> Result<(Vec<Start>, Vec<NamedTopic>), NotTaken> {
        let deadline = Deadline::after(ASK);
        let topics = self.identify(consumer, partitions, deadline)?;
        let starts = match self.intake.assigned(partitions, &topics) {
            Ok(starts) if starts.len() == partitions.len() => starts,
            Ok(_) => {
                let reason = "the intake did not return a start for each partition".to_owned();
                return Err(NotTaken::Never(ConsumeError::Rebalance(reason)));
            }
            Err(error @ IntakeError::NotYet(_)) => return Err(NotTaken::NotNow(error.to_string())),
            Err(IntakeError::Store(error @ StoreError::Unavailable(_))) => {
                return Err(NotTaken::NotNow(error.to_string()));
            }
            Err(IntakeError::Store(error)) => return Err(NotTaken::Never(ConsumeError::Store(error))),
            Err(IntakeError::Recreated(recreated)) => {
                return Err(NotTaken::Never(ConsumeError::Recreated(Box::new(recreated))));
            }
        };
        let asked = (partitions, starts.as_slice(), topics.as_slice());
        match self.progress_gone(consumer, asked, deadline) {
            Ok(gone) if gone.is_empty() => Ok((starts, topics)),
            Ok(gone) => Err(NotTaken::Never(ConsumeError::ProgressGone(gone.join(", ")))),
            Err(error) => Err(NotTaken::NotNow(format!(
                "the group does not return its offsets: {error}"
            ))),
        }
    }

    /// The ids of the topics. The ids from which the library fetches must agree, because it may not know a change yet.
    fn identify(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &[TopicPartition],
        deadline: Deadline,
    ) -> Result<Vec<NamedTopic>, NotTaken> {
        let names = SubscribedTopics::of(partitions);
        let asked: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let answer = match is_embedded(consumer) {
            true => Ok(vec![None; names.len()]),
            false => topic_ids(consumer.client(), &asked, deadline.slice(DESCRIBE)),
        };
        let known = self.fetched_by.lock();
        let ids = match answer {
            Ok(ids) => ids,
            Err(RDKafkaErrorCode::UnsupportedFeature | RDKafkaErrorCode::UnsupportedVersion) => {
                vec![None; names.len()]
            }
            // No answer for all topics: the ids that the library uses are as good.
            Err(_) if names.iter().all(|name| known.contains_key(name)) => {
                names.iter().map(|name| known.get(name).cloned()).collect()
            }
            Err(code) => return Err(NotTaken::NotNow(format!("the topics' ids are not known: {code}"))),
        };
        for (name, id) in names.iter().zip(&ids) {
            if let (Some(id), Some(known)) = (id, known.get(name))
                && id != known
            {
                let reason = format!("the client uses the id {known} for topic `{name}`, but it is {id}");
                return Err(NotTaken::NotNow(reason));
            }
        }
        Ok(names.into_iter().zip(ids).collect())
    }

    /// The library has found that the name belongs to this topic, and fetches its records from now on.
    pub(super) fn renamed(&self, topic: &str, id: TopicId) {
        let taken = self.assignment.lock().named(topic, &id);
        if taken {
            tracing::warn!(topic, %id, "the topic was deleted and created again; its partitions are given back");
            self.again.store(true, Ordering::Relaxed);
        }
        self.fetched_by.lock().insert(Arc::from(topic), id);
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, revoked: &mut TopicPartitionList) {
        let slots: Vec<PartitionSlot> = {
            let mut assignment = self.assignment.lock();
            // From now on no late record of them is handed over.
            let names = self.topics.partitions(revoked);
            names.iter().filter_map(|name| assignment.remove(name)).collect()
        };
        let partitions: Vec<_> = slots.iter().map(|slot| slot.partition.clone()).collect();
        self.intake.revoked(&partitions);
        let lost = consumer.assignment_lost();
        for partition in &partitions {
            tracing::info!(%partition, lost, "partition revoked");
        }
        if !lost {
            self.tell_group(consumer, &slots);
        } else if consumer.client().fatal_error().is_none() {
            self.outage.began();
            self.unanswered.store(true, Ordering::Relaxed);
        }
        let given = list(&partitions);
        let answer = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(&given),
            _ => consumer.unassign(),
        };
        if let Err(error) = answer {
            self.fail(ConsumeError::Rebalance(format!(
                "partitions cannot be given back: {error}"
            )));
        }
    }
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        if let Some((topic, id)) = changed_id(line) {
            self.renamed(topic, id);
        }
        self.outage.heard(facility);
        self.monitor.on_log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        reason.clone_into(&mut self.last_reason.lock());
        self.monitor.on_error(&error, reason);
    }

    fn stats(&self, _: Statistics) {}

    fn stats_raw(&self, json: &[u8]) {
        self.monitor.on_statistics(json);
    }
}

impl ConsumerContext for Member {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, partitions),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => self.revoke(consumer, partitions),
            other => self.fail(ConsumeError::Rebalance(format!("the group failed: {other:?}"))),
        }
    }
}
