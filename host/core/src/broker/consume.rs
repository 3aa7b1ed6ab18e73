//! The port between a consumer and the engine, which takes its records.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::event::{Record, TopicId, TopicPartition};
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

/// Whether more records of a partition may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// More records of this partition may come.
    Go,
    /// Pause the partition after this record, until [`Intake::resumed`] names it. Records that have already been
    /// fetched may still come until the next poll.
    Pause,
}

/// What to do with the progress of a topic that was deleted and created again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recreation {
    /// The consumer stops with an error.
    #[default]
    Stop,
    /// The progress is forgotten: the new topic is handled from its beginning.
    Restart,
    /// The progress is kept: the new topic has the same records at the same offsets.
    Adopt,
}

/// A topic's name, and which topic has it now; `None` where the broker gives no ids.
pub type NamedTopic = (Arc<str>, Option<TopicId>);

/// The progress of a topic that was deleted and created again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recreated {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The topic to which the progress belongs.
    pub was: TopicId,
    /// The topic that has the name now.
    pub is: TopicId,
    /// The progress in the partitions of the old topic.
    pub progress: Vec<(TopicPartition, i64)>,
}

impl fmt::Display for Recreated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            topic,
            was,
            is,
            progress,
        } = self;
        write!(
            f,
            "topic `{topic}` was deleted and created again (its id was {was} and is {is}): "
        )?;
        for (partition, offset) in progress {
            write!(f, "{partition} was done up to offset {offset}, ")?;
        }
        f.write_str(
            "and going on there would skip what the new one has below that. Set `recreated = \"restart\"` for the handler to \
             handle the new topic from its beginning, or, if it has the records of the old one at their offsets, start \
             once with `sandman run --adopt`",
        )
    }
}

/// Why partitions cannot be taken.
#[derive(Debug, Error)]
pub enum IntakeError {
    /// Progress cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The progress belongs to another topic.
    #[error("{0}")]
    Recreated(Recreated),
    /// Not yet: partitions of the same topic have not been given back.
    #[error("partitions of topic `{0}` are not given back yet")]
    NotYet(Arc<str>),
}

/// Takes what a consumer reads. All calls come from the consumer's thread, one after the other; none may block for
/// long, or the group removes the consumer.
pub trait Intake: Send + Sync + 'static {
    /// Partitions were assigned: says where each starts, in the same order. `topics` are those of the partitions.
    ///
    /// # Errors
    /// [`IntakeError::NotYet`] if the consumer should ask again; any other error ends the consumer.
    fn assigned(&self, partitions: &[TopicPartition], topics: &[NamedTopic]) -> Result<Vec<Start>, IntakeError>;

    /// Partitions are revoked: returns, soon, when nothing from them can be committed any more.
    fn revoked(&self, partitions: &[TopicPartition]);

    /// Takes a record of an assigned partition; offsets of a partition only grow while it is assigned.
    fn record(&self, record: Record) -> Flow;

    /// All records that have been fetched so far were handed over.
    fn caught_up(&self) {}

    /// Paused partitions that may be resumed; each is returned once.
    fn resumed(&self) -> Vec<TopicPartition>;

    /// Partitions whose commits the store refuses because they have been assigned again: the consumer gives them back
    /// and asks for them again. Called every few seconds.
    fn fenced(&self) -> Vec<TopicPartition> {
        Vec::new()
    }

    /// The committed progress of each partition, for the group's offsets; if everything that was read is done, the read
    /// position. Called every few seconds, right after [`Intake::revoked`] (of the partitions just revoked, where they
    /// are still known), and at the end.
    fn offsets(&self) -> Vec<(TopicPartition, i64)>;

    /// The read positions of assigned partitions: every record before the position was handed over, and the other
    /// offsets before it have no record for us (they belong to aborted transactions, are control records, or were
    /// compacted).
    fn read_to(&self, positions: &[(TopicPartition, i64)]);
}
