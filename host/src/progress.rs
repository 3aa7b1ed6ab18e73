//! Progress of a handler in a partition: which offsets are done, past the ones that are not.
//!
//! Kafka's offsets have gaps (transaction markers, compaction), so a record stands for a [`Span`]: from the end of the
//! record received before it to just past itself. Spans of neighbouring records touch, whatever the gaps are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The offsets that one received record accounts for: `start..end`, where `end` is its own offset plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The end of the span before it.
    pub start: i64,
    /// The record's offset plus one.
    pub end: i64,
}

/// What is done in one partition: everything below `next`, and the spans above it that finished early.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    next: i64,
    above: BTreeMap<i64, i64>,
}

impl Progress {
    /// Progress of a partition of which everything below `next` is done, or is not ours.
    pub fn starting_at(next: i64) -> Self {
        Self {
            next,
            above: BTreeMap::new(),
        }
    }

    /// The first offset that is not done: where reading starts.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Whether the offset is done already.
    pub fn contains(&self, offset: i64) -> bool {
        offset < self.next
            || self
                .above
                .range(..=offset)
                .next_back()
                .is_some_and(|(_, end)| offset < *end)
    }

    /// Number of separate runs of done offsets above [`Progress::next`]: what the record of it costs.
    pub fn gaps(&self) -> usize {
        self.above.len()
    }

    /// Marks a span as done, in any order; a span that is done already changes nothing.
    pub fn complete(&mut self, span: Span) {
        let Span { mut start, mut end } = span;
        if end <= self.next {
            return;
        }
        if let Some((&before, &before_end)) = self.above.range(..=start).next_back()
            && before_end >= start
        {
            start = before;
            end = end.max(before_end);
            self.above.remove(&before);
        }
        while let Some((&after, &after_end)) = self.above.range(start..=end).next() {
            end = end.max(after_end);
            self.above.remove(&after);
        }
        if start <= self.next {
            self.next = end;
        } else {
            self.above.insert(start, end);
        }
    }
}
