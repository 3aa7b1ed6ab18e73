//! The group's offsets: this store commits its progress to the group, with its identity as metadata, and compares the
//! group's offsets with its own progress.

use std::collections::HashMap;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;

use super::super::assignment::{PartitionSlot, list};
use super::super::wait::Deadline;
use super::{DESCRIBE, Member, id_of};
use sandman_core::broker::{NamedTopic, Start};
use sandman_core::event::{TopicId, TopicPartition};

impl Member {
    /// Partitions that would be read from the start, although the group's offsets say that this store has handled
    /// records that still exist. Only the store's progress counts, so this shows that it has lost some.
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
            let is_ours = self.has_signed(known.metadata(), known.topic(), id.and_then(|(_, id)| id.as_ref()));
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

    /// Progress ends after the last record. Offsets after it without a record, such as transaction markers or aborted
    /// records, are passed only by the read position, which is committed to the group. If retention has deleted them,
    /// the next offset is gone, but no record is lost: the group's offset with this store's identity proves it. Returns
    /// such partitions, which start at their oldest record.
    pub(super) fn passed(
        &self,
        consumer: &BaseConsumer<Self>,
        (partitions, topics): (&[TopicPartition], &[NamedTopic]),
        starts: &mut [Start],
    ) -> Vec<(TopicPartition, i64)> {
        let mut passed = Vec::new();
        let deadline = Deadline::after(DESCRIBE);
        // Without an answer the start stays where it is: if it is gone, consuming stops with an error.
        let Ok(told) = consumer.committed_offsets(list(partitions), deadline.left()) else {
            return passed;
        };
        for (partition, start) in partitions.iter().zip(starts) {
            let told = told.find_partition(&partition.topic, partition.partition);
            let told = told
                .filter(|told| self.has_signed(told.metadata(), &partition.topic, id_of(topics, partition).as_ref()));
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
                tracing::info!(%partition, next, oldest, "the deleted offsets had no record to handle");
                *start = Start::At(oldest);
                passed.push((partition.clone(), oldest));
            }
        }
        passed
    }

    fn signature(&self, topic: &str) -> &str {
        self.served.of_topic(topic).map_or("", |handler| &handler.signature)
    }

    /// The metadata of an offset: the store and the topic.
    fn signature_for(&self, topic: &str, id: Option<&TopicId>) -> String {
        let signature = self.signature(topic);
        match id {
            Some(id) => format!("{signature} {id}"),
            None => signature.to_owned(),
        }
    }

    /// Whether this store has committed the offset for this topic, and not for another one of the same name.
    fn has_signed(&self, metadata: &str, topic: &str, id: Option<&TopicId>) -> bool {
        let Some(rest) = metadata.strip_prefix(self.signature(topic)) else {
            return false;
        };
        match (rest.strip_prefix(' '), id) {
            (Some(of), Some(id)) => *of == *id.0,
            (Some(_), None) => true,
            (None, _) => rest.is_empty(),
        }
    }

    /// Commits the progress of the partitions to the group, without waiting. Only lag tools and other members use it,
    /// so a failure is only logged.
    pub(in super::super) fn tell_group(&self, consumer: &BaseConsumer<Self>, slots: &[PartitionSlot]) {
        let mut offsets = TopicPartitionList::new();
        let slots = slots.iter().filter(|slot| !slot.stale);
        let slots: HashMap<_, _> = slots.map(|slot| (&slot.partition, slot)).collect();
        for (partition, offset) in self.intake.offsets() {
            let Some(slot) = slots.get(&partition).filter(|_| offset >= 0) else {
                continue;
            };
            let mut element = offsets.add_partition(&partition.topic, partition.partition);
            element.set_metadata(self.signature_for(&partition.topic, slot.topic.as_ref()));
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
