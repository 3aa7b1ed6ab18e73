//! How much of a transaction is handed to the producer before it is delivered: at most one request for each partition.
//!
//! The library has one request of a partition under way. While more records wait behind it and are due, its thread polls
//! without a pause, which took a tenth of the host's CPU time when a backlog was published. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::leaders::PartitionCounts;
use sandman_core::event::OutRecord;
use sandman_core::store::kafka_hash;

/// What was handed over since the last flush.
#[derive(Debug)]
pub(super) struct Wave<'a> {
    most: usize,
    partitions: &'a PartitionCounts,
    /// The topics of the transaction, and how many partitions they have.
    topics: Vec<(Arc<str>, u32)>,
    /// The bytes of each partition, by the index of its topic.
    filled: HashMap<(usize, u32), usize>,
}

impl<'a> Wave<'a> {
    /// Requests of up to `most` bytes. A topic that is not in `partitions` counts as one partition.
    pub(super) fn new(most: usize, partitions: &'a PartitionCounts) -> Self {
        Self {
            most,
            partitions,
            topics: Vec::new(),
            filled: HashMap::new(),
        }
    }

    /// Counts a record. Returns whether everything before it must be delivered first.
    pub(super) fn is_over(&mut self, record: &OutRecord) -> bool {
        let partition = self.partition(record);
        let filled = self.filled.entry(partition).or_insert(0);
        let is_over = *filled > 0 && *filled + record.bytes() > self.most;
        *filled += record.bytes();
        if is_over {
            self.filled.clear();
            self.filled.insert(partition, record.bytes());
        }
        is_over
    }

    fn partition(&mut self, record: &OutRecord) -> (usize, u32) {
        // There are few topics, and records usually share their names.
        let is_its = |(topic, _): &(Arc<str>, u32)| Arc::ptr_eq(topic, &record.topic) || *topic == record.topic;
        let (index, count) = match self.topics.iter().enumerate().find(|(_, topic)| is_its(topic)) {
            Some((index, (_, count))) => (index, *count),
            None => {
                let count = self.partitions.get(&record.topic).map_or(1, |count| (*count).max(1));
                self.topics.push((Arc::clone(&record.topic), count));
                (self.topics.len() - 1, count)
            }
        };
        // Without a key it may be any partition.
        (index, record.key.as_deref().map_or(0, |key| kafka_hash(key) % count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandman_core::event::Headers;

    fn record(topic: &str, key: &str, bytes: usize) -> OutRecord {
        OutRecord {
            topic: topic.into(),
            key: Some(key.as_bytes().to_vec()),
            value: Some(vec![0; bytes - key.len()]),
            headers: Headers::default(),
            timestamp_millis: None,
        }
    }

    #[test]
    fn a_partition_gets_one_request_before_everything_is_delivered() {
        let partitions = PartitionCounts::from([("wide".into(), 1000), ("narrow".into(), 1)]);
        let mut wave = Wave::new(100, &partitions);
        // In different partitions of one topic, and in two topics.
        assert!(!wave.is_over(&record("wide", "a", 60)));
        assert!(!wave.is_over(&record("wide", "b", 60)));
        assert!(!wave.is_over(&record("narrow", "a", 60)));
        assert!(!wave.is_over(&record("narrow", "b", 40)), "exactly full");
        assert!(wave.is_over(&record("narrow", "c", 60)));
        assert!(!wave.is_over(&record("wide", "a", 60)), "what was before is delivered");
        assert!(wave.is_over(&record("wide", "a", 60)));
    }

    #[test]
    fn a_record_that_is_larger_than_a_request_goes_by_itself() {
        let partitions = PartitionCounts::new();
        let mut wave = Wave::new(100, &partitions);
        let over = [500, 500, 10].map(|bytes| wave.is_over(&record("unknown", "a", bytes)));
        assert_eq!(over, [false, true, true]);
    }
}
