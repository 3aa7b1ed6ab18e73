//! The bounds of the pipeline.

use std::time::Duration;

use sandman_core::event::DeadLetterTopic;

/// The bounds of the pipeline; all of them hold per host.
#[derive(Clone, Debug)]
pub struct Options {
    /// `source` of the envelopes that are published.
    pub source: String,
    /// Bytes of cached states of idle keys.
    pub cache_bytes: usize,
    /// Records in memory per handler, but for those behind a back-off; at the bound reading is held, and goes on at half of it.
    pub in_flight: usize,
    /// Bytes of records in memory per handler; held likewise.
    pub in_flight_bytes: usize,
    /// Records of one partition that may wait behind back-offs; at the bound this partition alone is held.
    pub parked: usize,
    /// Bytes of the same.
    pub parked_bytes: usize,
    /// Units in one commit.
    pub batch: usize,
    /// Bytes in the outbox at which reading is held.
    pub outbox_bytes: u64,
    /// The pause after a commit that the store could not do.
    pub store_pause: Duration,
    /// How long a consumer waits for room in memory before it pauses, which throws away what it has fetched. Rebalances
    /// and a stop wait as long.
    pub patience: Duration,
    /// What the topics of dead letters are called.
    pub dead_letter_topic: DeadLetterTopic,
    /// Bytes of dead letters in the store.
    pub dead_letters: u64,
    /// Bytes of what is held behind dead letters in the store; at the bound what more comes for held keys stays on Kafka.
    pub held_bytes: u64,
}
