//! The search for the partition whose next record is gone: the library does not name it.

use std::time::Duration;

use rdkafka::consumer::Consumer;

use super::super::consume_error::ConsumeError;
use super::super::identity::topic_ids;
use super::super::rebalance::{DESCRIBE, is_embedded};
use super::super::wait::Deadline;
use super::Polling;
use sandman_core::broker::Start;
use sandman_core::event::TopicPartition;

/// How long the search may take.
const SEARCH: Duration = Duration::from_secs(5);

impl Polling {
    /// The library says that an offset is gone, but not of which partition. `None` if we no longer have one, or the
    /// topic was created again: that is another error at its next assignment.
    pub(super) fn lost_offset(&self, reason: &str) -> Option<ConsumeError> {
        let deadline = Deadline::after(SEARCH);
        let slots: Vec<(TopicPartition, i64, Start)> = {
            let mut assignment = self.member().assignment.lock();
            assignment
                .slots()
                .map(|slot| (slot.partition.clone(), slot.next, slot.start))
                .collect()
        };
        if slots.is_empty() || self.is_another_topic(deadline) {
            return None;
        }
        let (mut lost, mut topic) = (Vec::new(), None);
        for (partition, next, start) in slots {
            let ends = self
                .consumer
                .fetch_watermarks(&partition.topic, partition.partition, deadline.left());
            if let Ok((low, high)) = ends
                && (next < low || next > high)
                && (start != Start::Beginning || next > 0)
            {
                lost.push(format!("{partition} offset {next} (it has {low} to {high})"));
                topic.get_or_insert(partition.topic);
            }
        }
        let lost = if lost.is_empty() {
            reason.to_owned()
        } else {
            lost.join(", ")
        };
        let reason = format!(
            "the next record to read is gone: {lost}. Retention or somebody deleted it, or the brokers lost it; going on \
             would lose events silently. Restore the topic, or, if the loss is accepted, give the handler a new name in \
             sandman.toml, under which it starts at the oldest record"
        );
        Some(ConsumeError::OffsetGone { topic, reason })
    }

    /// Whether a name belongs to another topic than at the assignment: if it does, its partitions are given back.
    fn is_another_topic(&self, deadline: Deadline) -> bool {
        let member = self.member();
        let is_stale = || member.assignment.lock().slots().any(|slot| slot.stale);
        if is_stale() || is_embedded(&self.consumer) {
            return is_stale();
        }
        let names = member.topics.names();
        if let Ok(ids) = topic_ids(self.consumer.client(), &names, deadline.slice(DESCRIBE)) {
            for (name, id) in names.iter().zip(ids) {
                id.into_iter().for_each(|id| member.renamed(name, id));
            }
        }
        is_stale()
    }
}
