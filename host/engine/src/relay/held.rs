//! Topics that refuse a record: the records for them wait, in order, and everything else continues.
//!
//! Pure. The cursor has the last batch published to each of them, besides the batch that all the others have reached,
//! so that a crash neither loses nor repeats their records either. The batches stay in the outbox until every topic is
//! past them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sandman_core::event::{OutRecord, fit_dead_letter};
use sandman_core::store::BatchNo;

/// The first and the longest wait between attempts on a topic that refuses a record; each is twice the one before.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The most bytes that a record's framing takes in a batch of its own, besides key, value and headers.
const FRAMING: usize = 512;

/// The topics that are held, and the known limits of record sizes.
#[derive(Debug, Default)]
pub(super) struct Held {
    topics: BTreeMap<Arc<str>, HeldTopic>,
    /// The largest record, in bytes, for topics that have refused one because of its size.
    largest: BTreeMap<Arc<str>, usize>,
}

#[derive(Clone, Debug)]
struct HeldTopic {
    /// The last batch whose records for it are published.
    after: BatchNo,
    /// Whether the cursor in Kafka names it.
    in_cursor: bool,
    /// When it is tried again, and the next wait.
    due: Instant,
    wait: Duration,
    /// What Kafka said.
    reason: String,
}

impl Held {
    /// Whether the records for this topic wait.
    pub(super) fn holds(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// Whether no topic is held and no size is known, so that every record is published unchanged.
    pub(super) fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.largest.is_empty()
    }

    /// The record in a size that its topic accepts: a dead letter that is too large is shrunk.
    pub(super) fn fitted(&self, record: &OutRecord) -> Option<OutRecord> {
        let largest = *self.largest.get(&record.topic)?;
        (record.bytes() > largest).then(|| fit_dead_letter(record, largest))?
    }

    /// Records that a topic accepts no records over this many bytes. Returns whether that is new: if it is not,
    /// shrinking does not help.
    pub(super) fn takes(&mut self, topic: &Arc<str>, bytes: usize) -> bool {
        let bytes = bytes.saturating_sub(FRAMING);
        let known = self.largest.insert(Arc::clone(topic), bytes);
        known.is_none_or(|known| bytes < known)
    }

    /// Holds a topic whose records are published up to `after`, or extends the wait if it is already held.
    pub(super) fn refused(&mut self, topic: &Arc<str>, after: BatchNo, now: Instant, reason: String) {
        let held = self.topics.entry(Arc::clone(topic)).or_insert_with(|| HeldTopic {
            after,
            in_cursor: false,
            due: now,
            wait: FIRST_WAIT,
            reason: String::new(),
        });
        held.due = now + held.wait;
        held.wait = (held.wait * 2).min(LONGEST_WAIT);
        held.reason = reason;
    }

    /// The topic that is to be tried next, and the last batch whose records for it are published.
    pub(super) fn due(&self, now: Instant) -> Option<(Arc<str>, BatchNo)> {
        let due = self.topics.iter().filter(|(_, held)| held.due <= now);
        let first = due.min_by_key(|(_, held)| held.due)?;
        Some((Arc::clone(first.0), first.1.after))
    }

    /// The cursor's held topics when all others are published up to `batch`, and the topic of `moved`, if any, up to its batch.
    pub(super) fn cursor(&self, batch: BatchNo, moved: Option<(&str, BatchNo)>) -> BTreeMap<String, BatchNo> {
        let at = |(topic, held): (&Arc<str>, &HeldTopic)| {
            let after = moved
                .filter(|(moved, _)| **moved == **topic)
                .map_or(held.after, |(_, to)| to);
            (after < batch).then(|| (topic.to_string(), after))
        };
        self.topics.iter().filter_map(at).collect()
    }

    /// A cursor was committed with all topics in it.
    pub(super) fn committed(&mut self) {
        self.topics.values_mut().for_each(|held| held.in_cursor = true);
    }

    /// The records of a held topic are published up to `to`; once it has reached `batch` it is no longer held. Returns
    /// whether that is so.
    pub(super) fn moved(&mut self, topic: &str, to: BatchNo, batch: BatchNo, now: Instant) -> bool {
        if to >= batch {
            self.topics.remove(topic);
            // It may accept more than it did.
            self.largest.remove(topic);
            return true;
        }
        if let Some(held) = self.topics.get_mut(topic) {
            (held.after, held.due, held.wait) = (to, now, FIRST_WAIT);
        }
        false
    }

    /// Takes over the held topics of the cursor in Kafka, also for transactions whose outcome this process does not
    /// know; a topic that no cursor has named yet stays held.
    pub(super) fn reread(&mut self, cursor: BTreeMap<String, BatchNo>, now: Instant) {
        self.topics
            .retain(|topic, held| !held.in_cursor || cursor.contains_key(&**topic));
        for (topic, after) in cursor {
            let held = self.topics.entry(topic.into()).or_insert_with(|| HeldTopic {
                after,
                in_cursor: true,
                due: now,
                wait: FIRST_WAIT,
                reason: "it refused a record before this host started".to_owned(),
            });
            (held.after, held.in_cursor) = (after, true);
        }
    }

    /// The last batch that is published to every topic when those that are not held have reached `batch`.
    pub(super) fn published(&self, batch: BatchNo) -> BatchNo {
        self.topics
            .values()
            .map(|held| held.after)
            .min()
            .map_or(batch, |held| held.min(batch))
    }

    /// All held topics are due.
    #[cfg(test)]
    pub(super) fn hurry(&mut self, now: Instant) {
        self.topics.values_mut().for_each(|held| held.due = now);
    }

    /// The held topics and why.
    pub(super) fn reasons(&self) -> Vec<(Arc<str>, String)> {
        let of = |(topic, held): (&Arc<str>, &HeldTopic)| (Arc::clone(topic), held.reason.clone());
        self.topics.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_topic_moves_on_by_itself_and_the_outbox_waits_for_it() {
        let (mut held, now) = (Held::default(), Instant::now());
        let topic: Arc<str> = "t".into();
        held.refused(&topic, 4, now, "too large".to_owned());
        assert!(held.holds("t") && !held.holds("u"));
        assert_eq!(held.due(now), None);
        let later = now + FIRST_WAIT;
        assert_eq!(held.due(later), Some((Arc::clone(&topic), 4)));
        assert_eq!((held.published(9), held.published(3)), (4, 3));
        assert_eq!(held.cursor(9, None), BTreeMap::from([("t".to_owned(), 4)]));
        assert_eq!(held.cursor(9, Some(("t", 7))), BTreeMap::from([("t".to_owned(), 7)]));
        assert_eq!(held.cursor(9, Some(("t", 9))), BTreeMap::new());
        assert!(!held.moved("t", 7, 9, later));
        assert_eq!((held.published(9), held.due(later)), (7, Some((topic, 7))));
        assert!(held.moved("t", 9, 9, later));
        assert!(!held.holds("t"));
        assert_eq!(held.published(9), 9);
    }

    #[test]
    fn each_refusal_waits_longer_up_to_a_bound() {
        let (mut held, mut now) = (Held::default(), Instant::now());
        let topic: Arc<str> = "t".into();
        for _ in 0..20 {
            held.refused(&topic, 4, now, String::new());
            assert_eq!(held.due(now + Duration::from_millis(999)), None);
            now += LONGEST_WAIT;
            assert!(held.due(now).is_some());
        }
    }

    #[test]
    fn the_cursor_in_kafka_has_the_last_word_of_what_it_once_named() {
        let (mut held, now) = (Held::default(), Instant::now());
        held.refused(&"a".into(), 4, now, String::new());
        held.refused(&"b".into(), 5, now, String::new());
        held.committed();
        held.refused(&"new".into(), 6, now, String::new());
        // A transaction whose outcome was not known has moved `a`, and released `b`.
        held.reread(BTreeMap::from([("a".to_owned(), 7)]), now);
        assert!(held.holds("a") && !held.holds("b") && held.holds("new"));
        assert_eq!(held.published(9), 6);
    }

    #[test]
    fn a_size_is_news_only_if_it_is_smaller() {
        let mut held = Held::default();
        assert!(held.takes(&"t".into(), 2_000));
        assert!(!held.takes(&"t".into(), 2_000));
        assert!(held.takes(&"t".into(), 1_000));
    }
}
