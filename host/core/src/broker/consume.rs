//! The seam between a consumer and what takes its records.

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

/// Whether a partition may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// More records of this partition may come.
    Go,
    /// Pause the partition after this record, until [`Intake::resumed`] names it. Records that are under way already may
    /// still come: up to the next poll.
    Pause,
}

/// What becomes of progress that is about a topic which was deleted and made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recreation {
    /// The consumer stops, loudly.
    #[default]
    Stop,
    /// It is forgotten: the new topic is handled from its beginning.
    Restart,
    /// It counts for the new topic, which has the same records at the same offsets.
    Adopt,
}

/// A topic's name, and which topic has it now; `None` where the broker gives no ids.
pub type NamedTopic = (Arc<str>, Option<TopicId>);

/// The progress that is about a topic which was deleted and made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recreated {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The topic that the progress is about.
    pub was: TopicId,
    /// The topic that has the name now.
    pub is: TopicId,
    /// How far the partitions of the old one were done.
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
            "topic `{topic}` was deleted and made anew (its id was {was} and is {is}): "
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
    /// The progress is about another topic.
    #[error("{0}")]
    Recreated(Recreated),
    /// Not now: partitions of the same topic are not given back yet.
    #[error("partitions of topic `{0}` are not given back yet")]
    NotYet(Arc<str>),
}

/// Takes what a consumer reads. All calls come from the consumer's thread, one after the other; none may block for long,
/// or the group throws the consumer out.
pub trait Intake: Send + Sync + 'static {
    /// Partitions were assigned: says where each starts, in the same order. `topics` are those of the partitions.
    ///
    /// # Errors
    /// [`IntakeError::NotYet`] if they are to be asked for again; any other ends the consumer.
    fn assigned(&self, partitions: &[TopicPartition], topics: &[NamedTopic]) -> Result<Vec<Start>, IntakeError>;

    /// Partitions are taken away: returns, soon, when nothing of them can commit any more.
    fn revoked(&self, partitions: &[TopicPartition]);

    /// Takes a record of an assigned partition; offsets of a partition only grow while it is assigned.
    fn record(&self, record: Record) -> Flow;

    /// All records that have been fetched so far were handed over.
    fn caught_up(&self) {}

    /// Paused partitions that may go on; each is named once.
    fn resumed(&self) -> Vec<TopicPartition>;

    /// Partitions whose commits the store refuses, since they were assigned anew: they are to be given back, and asked for
    /// again. Asked every few seconds.
    fn fenced(&self) -> Vec<TopicPartition> {
        Vec::new()
    }

    /// The committed progress of each partition, for the group's offsets; where everything is done that was read, up to
    /// where that was. Asked every few seconds, right after [`Intake::revoked`] (of the partitions just revoked, where
    /// they are still known), and at the end.
    fn offsets(&self) -> Vec<(TopicPartition, i64)>;

    /// Up to where assigned partitions were read: every record before that offset was handed over, and the other offsets
    /// before it hold none (they belong to transactions that were taken back, are control records, or were compacted).
    fn read_to(&self, positions: &[(TopicPartition, i64)]);
}
