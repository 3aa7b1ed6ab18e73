//! Progress of a handler in a partition: which offsets are done, including those beyond others that are not.
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
    /// Progress of a partition in which everything below `next` is done, or is not to be read.
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

    /// How many offsets of `from..to` are not done.
    pub fn left(&self, from: i64, to: i64) -> u64 {
        let from = from.max(self.next);
        let within = |start: i64, end: i64| end.min(to).saturating_sub(start.max(from)).max(0);
        let done: i64 = self.above.iter().map(|(start, end)| within(*start, *end)).sum();
        u64::try_from(within(from, to) - done).unwrap_or_default()
    }

    /// Number of separate runs of done offsets above [`Progress::next`], which decides its size in the store.
    pub fn gaps(&self) -> usize {
        self.above.len()
    }

    /// Whether it is valid: its runs are separate, in order, and above [`Progress::next`].
    pub fn is_sound(&self) -> bool {
        let mut last = self.next;
        self.above.iter().all(|(start, end)| {
            let apart = last < *start && start < end;
            last = *end;
            apart
        })
    }

    /// Marks a span as done, in any order; a span that is done already, or holds no offset, changes nothing.
    pub fn complete(&mut self, span: Span) {
        let Span { mut start, mut end } = span;
        if end <= self.next || end <= start {
            return;
        }
        // The usual case, since most triggers end in the order in which they came: no run above begins before `next`.
        if start <= self.next {
            self.next = end;
            while let Some(run) = self.above.first_entry()
                && *run.key() <= self.next
            {
                self.next = self.next.max(run.remove());
            }
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
        self.above.insert(start, end);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn span(start: i64, end: i64) -> Span {
        Span { start, end }
    }

    /// Spans of neighbouring records, as a consumer makes them from offsets with gaps, in any order.
    fn received() -> impl Strategy<Value = (i64, Vec<Span>)> {
        (0i64..1_000, proptest::collection::vec(0i64..5, 0..40)).prop_flat_map(|(first, gaps)| {
            let spans = gaps.into_iter().scan(first, |start, gap| {
                let whole = span(*start, *start + gap + 1);
                *start = whole.end;
                Some(whole)
            });
            (Just(first), Just(spans.collect::<Vec<_>>()).prop_shuffle())
        })
    }

    /// What `progress` says must be what the set of done offsets says.
    fn check(progress: &Progress, first: i64, done: &BTreeSet<i64>) {
        let is_done = |offset: i64| offset < first || done.contains(&offset);
        let next = (first..).find(|offset| !is_done(*offset)).unwrap();
        assert_eq!(progress.next(), next);
        assert!(progress.is_sound());
        let last = done.last().map_or(first, |last| last + 2);
        for offset in first - 3..last {
            assert_eq!(progress.contains(offset), is_done(offset), "offset {offset}");
            let left = (offset..last).filter(|offset| !is_done(*offset)).count();
            assert_eq!(progress.left(offset, last), left as u64, "from {offset}");
            let left = (first..offset).filter(|offset| !is_done(*offset)).count();
            assert_eq!(progress.left(first, offset), left as u64, "to {offset}");
        }
        let runs = (next..last)
            .filter(|offset| is_done(*offset) && !is_done(offset - 1))
            .count();
        assert_eq!(progress.gaps(), runs);
    }

    proptest! {
        #[test]
        fn spans_of_records_in_any_order_equal_a_set_of_offsets((first, spans) in received()) {
            let (mut progress, mut done) = (Progress::starting_at(first), BTreeSet::new());
            check(&progress, first, &done);
            let end = spans.iter().map(|span| span.end).max().unwrap_or(first);
            for span in spans {
                progress.complete(span);
                done.extend(span.start..span.end);
                check(&progress, first, &done);
            }
            prop_assert_eq!(progress, Progress::starting_at(end));
        }

        #[test]
        fn any_spans_even_overlapping_ones_equal_a_set_of_offsets(
            first in 0i64..20,
            spans in proptest::collection::vec((0i64..60, -3i64..12), 0..30),
        ) {
            let (mut progress, mut done) = (Progress::starting_at(first), BTreeSet::new());
            for (start, length) in spans {
                progress.complete(span(start, start + length));
                done.extend(start.max(first)..start + length);
                check(&progress, first, &done);
            }
        }

        #[test]
        fn the_record_of_it_says_the_same((first, spans) in received(), keep in 0usize..40) {
            let mut progress = Progress::starting_at(first);
            for span in spans.into_iter().take(keep) {
                progress.complete(span);
            }
            let bytes = postcard::to_stdvec(&progress).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Progress>(&bytes).unwrap(), progress);
        }
    }

    #[test]
    fn a_record_again_or_from_before_the_start_changes_nothing() {
        let mut progress = Progress::starting_at(10);
        for again in [span(3, 5), span(9, 10), span(12, 12), span(15, 12)] {
            progress.complete(again);
        }
        assert_eq!(progress, Progress::starting_at(10));
        progress.complete(span(12, 14));
        let before = progress.clone();
        progress.complete(span(12, 14));
        progress.complete(span(13, 14));
        assert_eq!(progress, before);
    }
}
