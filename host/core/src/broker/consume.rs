//! The seam between a consumer and what takes its records.

use crate::event::{Record, TopicPartition};
use crate::store::StoreError;

/// Where to start reading a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At its oldest record: the handler never committed anything of it.
    Beginning,
    /// At this offset.
    At(i64),
}

/// The offsets of a partition that the brokers have, transactions without an end included: `first..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The oldest offset that is still there.
    pub first: i64,
    /// The offset after the last one: the high watermark.
    pub end: i64,
}

/// Whether a partition may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// More records of this partition may come.
    Go,
    /// Pause the partition after this record, until [`Intake::resumed`] names it. Records that are under way already may
    /// still come: up to the next poll.
    Pause,
}

/// Takes what a consumer reads. All calls come from the consumer's thread, one after the other; none may block for long,
/// or the group throws the consumer out.
pub trait Intake: Send + Sync + 'static {
    /// Partitions were assigned: says where each starts, in the same order.
    ///
    /// # Errors
    /// [`StoreError`] if progress cannot be read; it ends the consumer.
    fn assigned(&self, partitions: &[TopicPartition]) -> Result<Vec<Start>, StoreError>;

    /// Partitions are taken away: returns, soon, when nothing of them can commit any more.
    fn revoked(&self, partitions: &[TopicPartition]);

    /// Takes a record of an assigned partition; offsets of a partition only grow while it is assigned.
    fn record(&self, record: Record) -> Flow;

    /// All records that have been fetched so far were handed over.
    fn caught_up(&self) {}

    /// Paused partitions that may go on; each is named once.
    fn resumed(&self) -> Vec<TopicPartition>;

    /// The committed progress of each partition, for the group's offsets; where everything is done that was read, up to
    /// where that was. Asked every few seconds, right after [`Intake::revoked`] (of the partitions just revoked, where
    /// they are still known), and at the end.
    fn offsets(&self) -> Vec<(TopicPartition, i64)>;

    /// Up to where assigned partitions were read: every record before that offset was handed over, and the other offsets
    /// before it hold none (they belong to transactions that were taken back, are control records, or were compacted).
    fn read_to(&self, positions: &[(TopicPartition, i64)]);
}
