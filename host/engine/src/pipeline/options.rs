//! The limits of the pipeline.

use std::time::Duration;

use sandman_core::event::DeadLetterTopic;

/// The limits of the pipeline, each per host.
#[derive(Clone, Debug)]
pub struct Options {
    /// `source` of the envelopes that are published.
    pub source: String,
    /// Bytes of cached states of idle keys.
    pub cache_bytes: usize,
    /// Records in memory per handler, without those behind a backoff; at the limit consuming pauses, and resumes at half of it.
    pub in_flight: usize,
    /// Bytes of records in memory per handler; likewise.
    pub in_flight_bytes: usize,
    /// Records of one partition that may wait behind backoffs; at the limit only this partition pauses.
    pub parked: usize,
    /// Bytes of the same.
    pub parked_bytes: usize,
    /// Units in one commit.
    pub batch: usize,
    /// Bytes in the outbox at which consuming pauses.
    pub outbox_bytes: u64,
    /// The pause after a failed commit.
    pub store_pause: Duration,
    /// How long a consumer waits for room in memory before it pauses, which discards fetched records. Rebalances and a
    /// stop are delayed by this time.
    pub patience: Duration,
    /// The names of the topics of dead letters.
    pub dead_letter_topic: DeadLetterTopic,
    /// Bytes of dead letters in the store.
    pub dead_letters: u64,
    /// Bytes of triggers that are held behind dead letters in the store; at the limit, further triggers of held keys
    /// stay in Kafka.
    pub held_bytes: u64,
}
