//! The partitions that a consumer has, and what it did with each.

use std::sync::Arc;

use rdkafka::{Offset, TopicPartitionList};

use sandman_core::broker::Start;
use sandman_core::event::{TopicId, TopicPartition};

/// What a consumer knows of one of its partitions.
#[derive(Clone, Debug)]
pub(super) struct PartitionSlot {
    pub(super) partition: TopicPartition,
    /// Where consuming started.
    pub(super) start: Start,
    /// The offset after the last record handed over; nothing below it is handed over again.
    pub(super) next: i64,
    pub(super) paused: bool,
    /// The id of the topic at the assignment, if the broker has ids.
    pub(super) topic: Option<TopicId>,
    /// The name belongs to another topic now: nothing more is handed over.
    pub(super) stale: bool,
}

/// The partitions that a consumer has. A record of any other is late and is dropped.
#[derive(Debug, Default)]
pub(super) struct Assignment {
    /// In the order of their numbers, then of their topics.
    slots: Vec<PartitionSlot>,
}

impl Assignment {
    pub(super) fn add(&mut self, partition: TopicPartition, start: Start, topic: Option<TopicId>) {
        self.remove(&partition);
        let next = match start {
            Start::Beginning => 0,
            Start::At(offset) => offset,
        };
        let at = self.place(&partition.topic, partition.partition);
        let slot = PartitionSlot {
            partition,
            start,
            next,
            paused: false,
            topic,
            stale: false,
        };
        self.slots.insert(at.unwrap_or_else(|free| free), slot);
    }

    /// Removes a partition and returns its data, if any.
    pub(super) fn remove(&mut self, partition: &TopicPartition) -> Option<PartitionSlot> {
        let at = self.place(&partition.topic, partition.partition).ok()?;
        Some(self.slots.remove(at))
    }

    pub(super) fn find(&mut self, topic: &str, partition: i32) -> Option<&mut PartitionSlot> {
        let at = self.place(topic, partition).ok()?;
        self.slots.get_mut(at)
    }

    /// The place of a partition, or where it would be.
    fn place(&self, topic: &str, partition: i32) -> Result<usize, usize> {
        // Comparing the number first is cheaper than comparing or hashing a topic's name.
        self.slots.binary_search_by(|slot| {
            let number = slot.partition.partition.cmp(&partition);
            number.then_with(|| (*slot.partition.topic).cmp(topic))
        })
    }

    pub(super) fn slots(&mut self) -> impl Iterator<Item = &mut PartitionSlot> {
        self.slots.iter_mut()
    }

    /// The topic's name belongs to this id now. Returns whether partitions of another topic were assigned under it.
    pub(super) fn named(&mut self, topic: &str, id: &TopicId) -> bool {
        let of_another = |slot: &PartitionSlot| {
            &*slot.partition.topic == topic && slot.topic.as_ref().is_some_and(|taken| taken != id)
        };
        let mut any = false;
        for slot in self.slots.iter_mut().filter(|slot| of_another(slot)) {
            slot.stale = true;
            any = true;
        }
        any
    }

    /// Removes and returns all partitions.
    pub(super) fn clear(&mut self) -> Vec<TopicPartition> {
        self.slots.drain(..).map(|slot| slot.partition).collect()
    }

    pub(super) fn any_paused(&self) -> bool {
        self.slots.iter().any(|slot| slot.paused)
    }
}

/// The topics of a subscription, each name stored once.
#[derive(Debug)]
pub(super) struct SubscribedTopics(Vec<Arc<str>>);

impl SubscribedTopics {
    pub(super) fn new(topics: &[Arc<str>]) -> Self {
        Self(topics.to_vec())
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.0.iter().map(AsRef::as_ref).collect()
    }

    pub(super) fn contain(&self, topic: &str) -> bool {
        self.0.iter().any(|name| &**name == topic)
    }

    fn name(&self, topic: &str) -> Arc<str> {
        self.0
            .iter()
            .find(|name| &***name == topic)
            .map_or_else(|| Arc::from(topic), Arc::clone)
    }

    /// The topics of these partitions, each once.
    pub(super) fn of(partitions: &[TopicPartition]) -> Vec<Arc<str>> {
        let mut topics: Vec<_> = partitions
            .iter()
            .map(|partition| Arc::clone(&partition.topic))
            .collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    /// The partitions of the library's list.
    pub(super) fn partitions(&self, list: &TopicPartitionList) -> Vec<TopicPartition> {
        let partition = |topic: &str, partition: i32| TopicPartition {
            topic: self.name(topic),
            partition,
        };
        list.elements()
            .iter()
            .map(|element| partition(element.topic(), element.partition()))
            .collect()
    }
}

/// The library's list of partitions, without offsets.
pub(super) fn list<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    list
}

/// The library's offset for a start.
pub(super) fn offset(start: Start) -> Offset {
    match start {
        Start::Beginning => Offset::Beginning,
        Start::At(offset) => Offset::Offset(offset),
    }
}
