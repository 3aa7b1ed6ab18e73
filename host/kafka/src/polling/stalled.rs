//! The question whether partitions from which nothing comes have more.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};

use super::super::assignment::list;
use super::super::extents::{offset, offsets_at};
use super::Polling;
use sandman_core::event::TopicPartition;

/// How long the leaders may take to answer: the consumer does not poll meanwhile.
const ANSWER: Duration = Duration::from_secs(1);

impl Polling {
    /// Whether the library has stopped reading a partition, according to these positions and the partition's leader.
    pub(super) fn is_stalled(&mut self, positions: &TopicPartitionList) -> bool {
        let member = self.consumer.context();
        let is_in_order = member.monitor.health().is_connected() && !self.kept.doubts.any();
        if !is_in_order || member.quiet.load(Ordering::Relaxed) {
            return false;
        }
        let reading = {
            let mut assignment = member.assignment.lock();
            let slots = assignment.slots().filter(|slot| !slot.paused && !slot.stale);
            let position = |partition: &TopicPartition| offset(positions, partition).unwrap_or(0);
            slots
                .map(|slot| (slot.partition.clone(), position(&slot.partition).max(slot.next)))
                .collect()
        };
        let due = self.kept.stalls.look(reading, Instant::now());
        if due.is_empty() {
            return false;
        }
        let asked = list(due.iter().map(|(partition, _)| partition));
        let ends = self.ask(&asked, Offset::End);
        let end = |partition: &TopicPartition| offset(ends.as_ref()?, partition);
        let is_behind =
            |(partition, position): &(TopicPartition, i64)| end(partition).is_some_and(|end| end > *position);
        // Everything up to the end may have been deleted.
        let firsts = if due.iter().any(is_behind) {
            self.ask(&asked, Offset::Beginning)
        } else {
            None
        };
        let now = Instant::now();
        let mut any = false;
        for (partition, position) in due {
            let end = end(&partition);
            let first = firsts.as_ref().and_then(|firsts| offset(firsts, &partition));
            // Who does not answer has said nothing.
            let has_more = end.zip(first).is_some_and(|(end, first)| end > position.max(first));
            if self.kept.stalls.answered(&partition, has_more, now) {
                any = true;
                tracing::warn!(
                    group = &*self.group, %partition, position, end,
                    "the client library reads no more records of a partition that has more; rejoining"
                );
            }
        }
        any
    }

    /// The offsets of these partitions at a point. This consumer is told the end of what is committed.
    fn ask(&self, of: &TopicPartitionList, point: Offset) -> Option<TopicPartitionList> {
        offsets_at(&self.consumer, of, point, ANSWER)
            .inspect_err(|error| tracing::debug!(?point, %error, "leaders of quiet partitions do not answer"))
            .ok()
    }
}
