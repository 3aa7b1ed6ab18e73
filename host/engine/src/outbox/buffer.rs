//! Batches on their way from the committer to the relay while they are still in memory.
//!
//! A shortcut and nothing more: the store has every batch, so any of them may be missing here, and the relay then reads
//! it there. The numbers decide; no number is ever used twice.

use std::collections::VecDeque;

use sandman_core::store::{BatchNo, OutboxBatch};

/// Bytes of batches, as the store counts them, that are kept for the relay: some of its transactions.
const ROOM: u64 = 16 << 20;

#[derive(Debug, Default)]
pub(super) struct OutboxBuffer {
    batches: VecDeque<OutboxBatch>,
    bytes: u64,
}

impl OutboxBuffer {
    /// Keeps the newest batch, if there is room.
    pub(super) fn put(&mut self, batch: OutboxBatch) {
        if self.bytes + batch.bytes <= ROOM {
            self.bytes += batch.bytes;
            self.batches.push_back(batch);
        }
    }

    /// Takes the batches that follow `after` without a gap, up to `max_bytes`, but at least one if it is here. What is
    /// not after it goes.
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
