//! Batches that the committer passes to the relay in memory.
//!
//! This is only an optimization: the store has every batch, so any of them may be missing here, and the relay then
//! reads it from the store. Batches are identified by their numbers, which are never used twice.

use std::collections::VecDeque;

use sandman_core::lanes::Millis;
use sandman_core::store::{BatchNo, OutboxBatch};

/// Bytes of batches, as the store counts them, that are kept for the relay: enough for those at which consuming pauses,
/// and for the records that are in memory by then.
const ROOM: u64 = 32 << 20;

/// With more bytes than this the relay is behind: two of its transactions.
const BEHIND: u64 = 8 << 20;

/// How long a relay may take nothing before nothing waits for it any more: batches that it cannot publish are in the store.
const STANDS_STILL: Millis = 1_000;

#[derive(Debug, Default)]
pub(super) struct OutboxBuffer {
    batches: VecDeque<OutboxBatch>,
    bytes: u64,
    /// When the relay last asked for batches.
    asked: Millis,
}

impl OutboxBuffer {
    /// Keeps the newest batch, if there is room.
    pub(super) fn put(&mut self, batch: OutboxBatch) {
        if self.bytes + batch.bytes <= ROOM {
            self.bytes += batch.bytes;
            self.batches.push_back(batch);
        }
    }

    /// Whether there is more than the relay takes soon, and the relay is working. Waiting for it then costs less than
    /// reading batches back from the store.
    pub(super) fn is_behind(&self, now: impl FnOnce() -> Millis) -> bool {
        self.bytes > BEHIND && now().saturating_sub(self.asked) < STANDS_STILL
    }

    /// The relay asks for batches.
    pub(super) fn asked(&mut self, now: Millis) {
        self.asked = now;
    }

    /// Takes the batches that follow `after` without a gap, up to `max_bytes`, but at least one if there is any.
    /// Earlier ones are dropped.
    pub(super) fn take(&mut self, after: BatchNo, max_bytes: u64) -> Vec<OutboxBatch> {
        let mut taken: Vec<OutboxBatch> = Vec::new();
        let (mut last, mut bytes) = (after, 0);
        while let Some(first) = self.batches.front() {
            let passed = first.number <= after;
            let follows = first.number == last + 1 && (taken.is_empty() || bytes + first.bytes <= max_bytes);
            if !passed && !follows {
                break;
            }
            let Some(batch) = self.batches.pop_front() else { break };
            self.bytes -= batch.bytes;
            if follows {
                (last, bytes) = (batch.number, bytes + batch.bytes);
                taken.push(batch);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(number: BatchNo, bytes: u64) -> OutboxBatch {
        OutboxBatch {
            number,
            committed_millis: 0,
            records: Vec::new(),
            bytes,
        }
    }

    fn numbers(batches: &[OutboxBatch]) -> Vec<BatchNo> {
        batches.iter().map(|batch| batch.number).collect()
    }

    #[test]
    fn batches_come_in_order_and_up_to_the_bound() {
        let mut outbox_buffer = OutboxBuffer::default();
        for number in 5..10 {
            outbox_buffer.put(batch(number, 10));
        }
        assert_eq!(numbers(&outbox_buffer.take(4, 25)), [5, 6]);
        assert_eq!(numbers(&outbox_buffer.take(6, 1)), [7]);
        assert_eq!(numbers(&outbox_buffer.take(8, 100)), [9], "8 went another way");
        assert_eq!(outbox_buffer.bytes, 0);
    }

    #[test]
    fn a_relay_that_works_is_waited_for_and_one_that_stands_still_is_not() {
        let mut outbox_buffer = OutboxBuffer::default();
        outbox_buffer.asked(5_000);
        outbox_buffer.put(batch(1, BEHIND));
        assert!(!outbox_buffer.is_behind(|| 5_001));
        outbox_buffer.put(batch(2, 1));
        assert!(outbox_buffer.is_behind(|| 5_001));
        assert!(!outbox_buffer.is_behind(|| 5_000 + STANDS_STILL));
        outbox_buffer.take(0, 1);
        assert!(!outbox_buffer.is_behind(|| 5_001));
    }

    #[test]
    fn a_gap_is_left_to_the_store() {
        let mut outbox_buffer = OutboxBuffer::default();
        outbox_buffer.put(batch(1, 10));
        outbox_buffer.put(batch(2, ROOM));
        outbox_buffer.put(batch(3, 10));
        assert_eq!(numbers(&outbox_buffer.take(0, 100)), [1]);
        assert!(outbox_buffer.take(1, 100).is_empty(), "2 had no room");
        assert_eq!(numbers(&outbox_buffer.take(2, 100)), [3]);
    }
}
