//! What a consumer does when partitions come and go; the consumer's context.
//!
//! The library's own handling ignores whether assigning worked, and starts from the group's offsets. Ours starts from the
//! store's progress and turns a failure into a stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::util::Timeout;
use rdkafka::{ClientContext, Statistics, TopicPartitionList};

use super::assignment::{Assignment, Topics, list, offset};
use super::client::Monitor;
use super::consumer::ConsumeError;
use super::polling::POLL;
use super::wait::Deadline;
use sandman_core::broker::{Intake, Start};
use sandman_core::event::TopicPartition;

/// How long the group may take to say what it knows; far below the poll interval, at which it would throw us out.
const ASK: Duration = Duration::from_secs(20);

/// The context of a consumer: everything that its callbacks and its loop share. All of it runs on the consumer's thread.
pub(super) struct Member {
    pub(super) monitor: Monitor,
    pub(super) intake: Arc<dyn Intake>,
    pub(super) topics: Topics,
    pub(super) assignment: Mutex<Assignment>,
    /// Why the consumer must end; the loop looks after each poll.
    pub(super) fault: Mutex<Option<ConsumeError>>,
    /// What the library said with the last error, where there is more of it than a code.
    pub(super) last_reason: Mutex<String>,
    /// Set when nothing may be handed over any more.
    pub(super) quiet: AtomicBool,
    /// Who commits, for those who look at the group's offsets.
    pub(super) signature: String,
    /// What the group was told by this store counts for nothing.
    pub(super) adopt: bool,
    /// Set when partitions were not taken because the group did not say what it knows of them: the loop joins again.
    pub(super) again: AtomicBool,
}

impl Member {
    fn fail(&self, error: ConsumeError) {
        self.fault.lock().get_or_insert(error);
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) {
        let partitions = self.wanted(self.topics.partitions(list));
        let starts = match self.intake.assigned(&partitions) {
            Ok(starts) if starts.len() == partitions.len() => starts,
            Ok(_) => {
                self.fail(ConsumeError::Rebalance(
                    "the intake did not say where each partition starts".to_owned(),
                ));
                Vec::new()
            }
            Err(error) => {
                self.fail(ConsumeError::Store(error));
                Vec::new()
            }
        };
        let starts = match self.progress_gone(consumer, &partitions, &starts) {
            Ok(gone) if gone.is_empty() => starts,
            Ok(gone) => {
                self.fail(ConsumeError::ProgressGone(gone.join(", ")));
                Vec::new()
            }
            Err(error) => {
                tracing::warn!(%error, "the group does not say what it knows of its partitions; joining it again");
                self.again.store(true, Ordering::Relaxed);
                Vec::new()
            }
        };
        // Without starts nothing is taken, but the library must be answered all the same, or closing hangs.
        let mut taken = TopicPartitionList::new();
        for (partition, start) in partitions.iter().zip(&starts) {
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
        // The library keeps our pause of a partition over a revocation: given back, it would never be read again.
        let answer = answer.and_then(|()| consumer.resume(&taken));
        if let Err(error) = answer {
            return self.fail(ConsumeError::Rebalance(format!("partitions cannot be taken: {error}")));
        }
        let mut assignment = self.assignment.lock();
        for (partition, start) in partitions.into_iter().zip(starts) {
            tracing::info!(%partition, ?start, "partition assigned");
            assignment.add(partition, start);
        }
        drop(assignment);
        self.monitor.health().joined();
        self.monitor.health().set_connected(true);
        if self.quiet.load(Ordering::Relaxed)
            && let Err(error) = consumer.pause(&taken)
        {
            tracing::debug!(%error, "partitions cannot be paused");
        }
    }

    /// The group gives a member that comes again under its name what it had, also where it wants other topics now. Those
    /// are not taken, and the group is joined anew.
    fn wanted(&self, mut partitions: Vec<TopicPartition>) -> Vec<TopicPartition> {
        let given = partitions.len();
        partitions.retain(|partition| self.topics.contain(&partition.topic));
        if partitions.len() < given {
            tracing::info!("the group gave partitions of topics that are not consumed any more; joining it again");
            self.again.store(true, Ordering::Relaxed);
        }
        partitions
    }

    /// Partitions that would begin anew although this store has told the group that records which are still there are
    /// done. The store is the only place where progress counts, so this is how it shows that it has lost some.
    fn progress_gone(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &[TopicPartition],
        starts: &[Start],
    ) -> Result<Vec<String>, KafkaError> {
        let starts = partitions.iter().zip(starts);
        let anew = starts.filter(|(_, start)| **start == Start::Beginning);
        let anew = list(anew.map(|(partition, _)| partition));
        let mut gone = Vec::new();
        if self.adopt || anew.count() == 0 {
            return Ok(gone);
        }
        let deadline = Deadline::after(ASK);
        for known in consumer.committed_offsets(anew, deadline.left())?.elements() {
            known.error()?;
            let Some(done) = known.offset().to_raw().filter(|_| known.metadata() == self.signature) else {
                continue;
            };
            let (topic, partition) = (known.topic(), known.partition());
            let (oldest, _) = consumer.fetch_watermarks(topic, partition, deadline.left())?;
            if oldest < done {
                gone.push(format!("{topic}[{partition}] up to offset {done}"));
            }
        }
        Ok(gone)
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, revoked: &mut TopicPartitionList) {
        let partitions: Vec<_> = {
            let mut assignment = self.assignment.lock();
            // From here on no late record of them is handed over.
            let names = self.topics.partitions(revoked);
            let slots = names.iter().filter_map(|name| assignment.remove(name));
            slots.map(|slot| slot.partition).collect()
        };
        self.intake.revoked(&partitions);
        let lost = consumer.assignment_lost();
        for partition in &partitions {
            tracing::info!(%partition, lost, "partition revoked");
        }
        if !lost {
            self.tell_group(consumer, |partition| partitions.contains(partition));
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

    /// Tells the group how far the partitions are, without waiting. Only lag tools and foreign members look at it, so a
    /// failure is no more than a log line.
    pub(super) fn tell_group(&self, consumer: &BaseConsumer<Self>, of: impl Fn(&TopicPartition) -> bool) {
        let mut offsets = TopicPartitionList::new();
        for (partition, offset) in self.intake.offsets() {
            if !of(&partition) || offset < 0 {
                continue;
            }
            let mut element = offsets.add_partition(&partition.topic, partition.partition);
            element.set_metadata(&self.signature);
            if let Err(error) = element.set_offset(rdkafka::Offset::Offset(offset)) {
                tracing::debug!(%partition, offset, %error, "offset cannot be committed");
            }
        }
        if offsets.count() == 0 {
            return;
        }
        if let Err(error) = consumer.commit(&offsets, CommitMode::Async) {
            tracing::debug!(%error, "the group's offsets cannot be committed now");
        }
    }
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
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

    fn main_queue_min_poll_interval(&self) -> Timeout {
        Timeout::After(POLL)
    }
}
