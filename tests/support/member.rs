//! A stranger in a handler's consumer group: it takes partitions away and gives them back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::Result;
use crate::broker::client;
use crate::wait::{PATIENCE, eventually};

const POLL: Duration = Duration::from_millis(100);

/// Reads what it is given, commits nothing, and leaves when dropped.
pub struct ForeignMember {
    held: Arc<AtomicUsize>,
    leave: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ForeignMember {
    pub(crate) fn join(brokers: &str, group: &str, topics: &[&str], strategy: &str) -> Result<Self> {
        Self::join_as(brokers, group, topics, &[("partition.assignment.strategy", strategy)])
    }

    /// Joins with other settings of the client library, such as the name of a static member.
    pub(crate) fn join_as(brokers: &str, group: &str, topics: &[&str], settings: &[(&str, &str)]) -> Result<Self> {
        let mut config = client(brokers);
        config.set("group.id", group).set("enable.auto.commit", "false");
        // By the newer protocol the broker decides these.
        if !settings.iter().any(|(name, _)| *name == "group.protocol") {
            config
                .set("session.timeout.ms", "6000")
                .set("heartbeat.interval.ms", "500");
        }
        for (name, value) in settings {
            config.set(*name, *value);
        }
        let consumer: BaseConsumer = config.create().context("no foreign member")?;
        consumer
            .subscribe(topics)
            .context("the foreign member cannot subscribe")?;
        let held = Arc::new(AtomicUsize::new(0));
        let leave = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (held, leave) = (Arc::clone(&held), Arc::clone(&leave));
            move || {
                while !leave.load(Ordering::Relaxed) {
                    let _ = consumer.poll(POLL);
                    let count = consumer.assignment().map_or(0, |assigned| assigned.count());
                    held.store(count, Ordering::Relaxed);
                }
            }
        });
        Ok(Self {
            held,
            leave,
            thread: Some(thread),
        })
    }

    /// Waits until it holds partitions.
    ///
    /// # Errors
    /// If it is given none in time.
    pub fn holds_some(&self) -> Result<usize> {
        eventually("the foreign member is given partitions", || {
            let held = self.held.load(Ordering::Relaxed);
            Ok((held > 0).then_some(held))
        })
    }

    /// Waits until it holds as many partitions as `wanted` accepts.
    ///
    /// # Errors
    /// If it does not in time.
    pub fn holds(&self, what: &str, wanted: impl Fn(usize) -> bool) -> Result {
        eventually(&format!("the foreign member holds {what}"), || {
            Ok(wanted(self.held.load(Ordering::Relaxed)).then_some(()))
        })
    }

    /// Leaves the group.
    pub fn leave(self) {}
}

impl Drop for ForeignMember {
    fn drop(&mut self) {
        self.leave.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Commits for a group that these records, of this topic, are done.
pub(crate) fn commit(brokers: &str, group: &str, topic: &str, records: &[(i32, i64)]) -> Result {
    let consumer: BaseConsumer = client(brokers).set("group.id", group).create().context("no consumer")?;
    let mut done = TopicPartitionList::new();
    for (partition, offset) in records {
        done.add_partition_offset(topic, *partition, Offset::Offset(offset + 1))?;
    }
    consumer
        .commit(&done, CommitMode::Sync)
        .context("the group's offsets cannot be committed")
}

/// The sum of a group's committed offsets over the partitions of a topic.
pub(crate) fn committed(brokers: &str, group: &str, topic: &str, partitions: i32) -> Result<i64> {
    let consumer: BaseConsumer = client(brokers).set("group.id", group).create().context("no consumer")?;
    let mut asked = TopicPartitionList::new();
    asked.add_partition_range(topic, 0, partitions - 1);
    let answer = consumer
        .committed_offsets(asked, PATIENCE)
        .context("no committed offsets")?;
    // A partition without an offset counts nothing.
    Ok(answer
        .elements()
        .iter()
        .filter_map(|element| element.offset().to_raw())
        .filter(|offset| *offset > 0)
        .sum())
}
