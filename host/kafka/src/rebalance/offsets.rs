//! The group's offsets: this store tells the group how far it is, signed, and compares what the group was told with its own
//! progress.

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;

use super::super::assignment::{PartitionSlot, list};
use super::super::wait::Deadline;
use super::{DESCRIBE, Member, id_of};
use sandman_core::broker::{NamedTopic, Start};
use sandman_core::event::{TopicId, TopicPartition};

impl Member {
    /// Partitions that would begin anew although this store has told the group that records which are still there are
    /// done. The store is the only place where progress counts, so this is how it shows that it has lost some.
    pub(super) fn progress_gone(
        &self,
        consumer: &BaseConsumer<Self>,
        (partitions, starts, topics): (&[TopicPartition], &[Start], &[NamedTopic]),
        deadline: Deadline,
    ) -> Result<Vec<String>, KafkaError> {
        let starts = partitions.iter().zip(starts);
        let anew = starts.filter(|(_, start)| **start == Start::Beginning);
        let anew = list(anew.map(|(partition, _)| partition));
        let mut gone = Vec::new();
        if self.adopt || anew.count() == 0 {
            return Ok(gone);
        }
        for known in consumer.committed_offsets(anew, deadline.left())?.elements() {
            known.error()?;
            let id = topics.iter().find(|(name, _)| &**name == known.topic());
            let is_ours = self.has_signed(known.metadata(), id.and_then(|(_, id)| id.as_ref()));
            let Some(done) = known.offset().to_raw().filter(|_| is_ours) else {
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

    /// Progress ends behind the last record. What follows it and is none, such as the marker at the end of a transaction or an
    /// aborted one, is passed by the position alone, which the group is told. Where retention has deleted that, the next
    /// offset is gone and no record of ours is: the group's offset, signed by this store, says so. Such partitions start at
    /// their oldest record; answers them.
    pub(super) fn passed(
        &self,
        consumer: &BaseConsumer<Self>,
        (partitions, topics): (&[TopicPartition], &[NamedTopic]),
        starts: &mut [Start],
    ) -> Vec<(TopicPartition, i64)> {
        let mut passed = Vec::new();
        let deadline = Deadline::after(DESCRIBE);
        // Who does not answer leaves the start where it is: if it is gone, reading stops and says so.
        let Ok(told) = consumer.committed_offsets(list(partitions), deadline.left()) else {
            return passed;
        };
        for (partition, start) in partitions.iter().zip(starts) {
            let told = told.find_partition(&partition.topic, partition.partition);
            let told = told.filter(|told| self.has_signed(told.metadata(), id_of(topics, partition).as_ref()));
            let (Start::At(next), Some(done)) = (*start, told.and_then(|told| told.offset().to_raw())) else {
                continue;
            };
            if done <= next {
                continue;
            }
            let ends = consumer.fetch_watermarks(&partition.topic, partition.partition, deadline.left());
            if let Some(oldest) = ends
                .ok()
                .map(|(oldest, _)| oldest)
                .filter(|oldest| (next + 1..=done).contains(oldest))
            {
                tracing::info!(%partition, next, oldest, "what was deleted there held no record of ours");
                *start = Start::At(oldest);
                passed.push((partition.clone(), oldest));
            }
        }
        passed
    }

    /// What goes with an offset: who says it, and of which topic.
    fn signature_for(&self, topic: Option<&TopicId>) -> String {
        match topic {
            Some(id) => format!("{} {id}", self.signature),
            None => self.signature.clone(),
        }
    }

    /// Whether we have said so of this topic, and not of another one that had its name.
    fn has_signed(&self, metadata: &str, topic: Option<&TopicId>) -> bool {
        let Some(rest) = metadata.strip_prefix(&self.signature) else {
            return false;
        };
        match (rest.strip_prefix(' '), topic) {
            (Some(of), Some(id)) => *of == *id.0,
            (Some(_), None) => true,
            (None, _) => rest.is_empty(),
        }
    }

    /// Tells the group how far the partitions are, without waiting. Only lag tools and foreign members look at it, so a
    /// failure is no more than a log line.
    pub(in super::super) fn tell_group(&self, consumer: &BaseConsumer<Self>, slots: &[PartitionSlot]) {
        let mut offsets = TopicPartitionList::new();
        for (partition, offset) in self.intake.offsets() {
            let slot = slots.iter().find(|slot| slot.partition == partition && !slot.stale);
            let Some(slot) = slot.filter(|_| offset >= 0) else {
                continue;
            };
            let mut element = offsets.add_partition(&partition.topic, partition.partition);
            element.set_metadata(self.signature_for(slot.topic.as_ref()));
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
