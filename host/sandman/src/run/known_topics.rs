//! The topics that handlers consume, as last reported by Kafka. Pure: the time is an argument.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sandman_core::broker::Extent;
use sandman_core::event::TopicPartition;
use sandman_kafka::PartitionExtent;

/// Older data no longer counts as known. Longer than an election takes.
const OLD: Duration = Duration::from_secs(30);

/// An extent, and when it was reported.
type ReportedExtent = Option<(Extent, Instant)>;

#[derive(Debug, Default)]
struct Topic {
    partitions: BTreeMap<i32, ReportedExtent>,
    /// Why the last attempt failed.
    fault: Option<String>,
}

/// The partitions of topics with their extents.
#[derive(Debug, Default)]
pub(super) struct KnownTopics(HashMap<Arc<str>, Topic>);

impl KnownTopics {
    /// Records Kafka's response for a topic. If a leader did not answer, the previous extent is kept.
    pub(super) fn note(&mut self, topic: &Arc<str>, told: Result<Vec<PartitionExtent>, String>, now: Instant) {
        let known = self.0.entry(Arc::clone(topic)).or_default();
        let told = match told {
            Ok(told) => told,
            Err(fault) => {
                known.fault = Some(fault);
                return;
            }
        };
        known.fault = None;
        let before = std::mem::take(&mut known.partitions);
        for PartitionExtent { partition, extent } in told {
            let number = partition.partition;
            let earlier = || before.get(&number).copied().flatten();
            let extent = extent.map(|extent| (extent, now)).or_else(earlier);
            known.partitions.insert(number, extent);
        }
    }

    /// Forgets all topics but these.
    pub(super) fn keep(&mut self, topics: &BTreeSet<&Arc<str>>) {
        self.0.retain(|topic, _| topics.contains(topic));
    }

    /// All partitions of these topics.
    pub(super) fn partitions(&self, topics: &[Arc<str>]) -> BTreeSet<TopicPartition> {
        let known = topics.iter().filter_map(|topic| Some((topic, self.0.get(topic)?)));
        known
            .flat_map(|(topic, known)| known.partitions.keys().map(|partition| named(topic, *partition)))
            .collect()
    }

    /// The partitions of a topic with their extents; `None` until Kafka has reported all of them.
    pub(super) fn extents(&self, topic: &Arc<str>) -> Option<Vec<(TopicPartition, Extent)>> {
        let known = self.0.get(topic).filter(|known| !known.partitions.is_empty())?;
        let extents = known.partitions.iter().map(|(partition, told)| {
            let (extent, _) = (*told)?;
            Some((named(topic, *partition), extent))
        });
        extents.collect()
    }

    /// What is currently unknown of these topics, and why; `None` if everything is known.
    pub(super) fn unknown(&self, topics: &[Arc<str>], now: Instant) -> Option<String> {
        let unknown: Vec<_> = topics.iter().filter_map(|topic| self.unknown_of(topic, now)).collect();
        (!unknown.is_empty()).then(|| format!("the ends of partitions are not known: {}", unknown.join("; ")))
    }

    fn unknown_of(&self, topic: &Arc<str>, now: Instant) -> Option<String> {
        let Some(known) = self.0.get(topic) else {
            return Some(format!("of `{topic}` (Kafka was not asked yet)"));
        };
        let why = known.fault.as_deref().unwrap_or("its leader does not answer");
        if known.partitions.is_empty() {
            return Some(format!("of `{topic}` ({why})"));
        }
        let is_old = |told: &ReportedExtent| told.is_none_or(|(_, at)| now.saturating_duration_since(at) > OLD);
        let old = known.partitions.iter().filter(|(_, told)| is_old(told));
        let old: Vec<String> = old.map(|(partition, _)| format!("`{topic}`[{partition}]")).collect();
        (!old.is_empty()).then(|| format!("of {} ({why})", old.join(", ")))
    }
}

fn named(topic: &Arc<str>, partition: i32) -> TopicPartition {
    TopicPartition {
        topic: Arc::clone(topic),
        partition,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ends: &[Option<i64>]) -> Vec<PartitionExtent> {
        let told = |(partition, end): (i32, &Option<i64>)| PartitionExtent {
            partition: named(&"t".into(), partition),
            extent: end.map(|end| Extent { first: 0, end }),
        };
        (0..).zip(ends).map(told).collect()
    }

    #[test]
    fn what_a_leader_does_not_tell_is_known_for_a_while_and_then_not() {
        let (mut topics, topic) = (KnownTopics::default(), Arc::from("t"));
        let all = [Arc::clone(&topic)];
        let ends = |topics: &KnownTopics| {
            let extents = topics.extents(&all[0])?;
            Some(extents.iter().map(|(_, extent)| extent.end).collect::<Vec<_>>())
        };
        let start = Instant::now();
        assert!(
            topics
                .unknown(&all, start)
                .unwrap()
                .contains("`t` (Kafka was not asked")
        );
        topics.note(&topic, Err("no such topic".to_owned()), start);
        assert!(topics.unknown(&all, start).unwrap().contains("`t` (no such topic)"));
        topics.note(&topic, Ok(told(&[Some(3), None])), start);
        assert_eq!(ends(&topics), None, "a partition of which nothing is known");
        assert!(topics.unknown(&all, start).unwrap().contains("`t`[1] (its leader"));
        topics.note(&topic, Ok(told(&[Some(4), Some(9)])), start);
        assert_eq!((ends(&topics), topics.unknown(&all, start)), (Some(vec![4, 9]), None));

        let later = start + OLD;
        topics.note(&topic, Ok(told(&[Some(5), None, Some(0)])), later);
        assert_eq!(ends(&topics), Some(vec![5, 9, 0]), "a partition was added");
        assert_eq!(topics.unknown(&all, later), None);
        let later = later + Duration::from_secs(1);
        assert!(topics.unknown(&all, later).unwrap().contains("of `t`[1] (its"));
        topics.note(&topic, Err("away".to_owned()), later + OLD);
        let unknown = topics.unknown(&all, later + OLD).unwrap();
        assert!(unknown.contains("of `t`[0], `t`[1], `t`[2] (away)"), "{unknown}");
        assert_eq!(ends(&topics), Some(vec![5, 9, 0]), "the last that was known");
        topics.keep(&BTreeSet::new());
        assert!(topics.partitions(&all).is_empty());
    }
}
