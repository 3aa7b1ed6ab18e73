//! The changes of one group commit, and its result.

use std::sync::Arc;

use super::{BatchNo, Epoch, FilesWrite, LetterId, LetterWrite, RecordingWrite, RecordingsSize, Revision, Shard};
use crate::event::{OutRecord, TopicPartition};
use crate::outcome::StateChange;
use crate::progress::Progress;
use crate::recent::RecentEvents;

/// A change to the state of one (handler, key), or to its recent events.
#[derive(Clone, Debug)]
pub struct StateWrite {
    /// The handler's name.
    pub handler: Arc<str>,
    /// The key.
    pub key: Arc<str>,
    /// The stored state that it was derived from; `None` if there was none.
    pub base: Option<Revision>,
    /// The change of the document.
    pub change: StateChange,
    /// The key's recent events from now on; `None` leaves them as they are.
    pub recent: Option<RecentEvents>,
}

/// A state that was read and not changed: the commit is valid only if it is still the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRead {
    /// The handler's name.
    pub handler: Arc<str>,
    /// The key.
    pub key: Arc<str>,
    /// The stored state that was seen; `None` where there was none.
    pub base: Option<Revision>,
}

/// Progress of one handler in one partition, as of this commit.
#[derive(Clone, Debug)]
pub struct ProgressWrite {
    /// The handler's name.
    pub handler: Arc<str>,
    /// The partition.
    pub partition: TopicPartition,
    /// What is done.
    pub progress: Progress,
    /// The assignment under which it was done; a commit under an older one than the last is refused.
    pub epoch: Epoch,
}

/// How often one record failed; kept across a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// The record's offset.
    pub offset: i64,
    /// Failed attempts so far, from 1.
    pub failed: u32,
    /// Not to be tried before this time: milliseconds since 1970.
    pub due_millis: i64,
}

/// A change to the attempts of one record.
#[derive(Clone, Debug)]
pub struct AttemptWrite {
    /// The handler's name.
    pub handler: Arc<str>,
    /// The record's partition.
    pub partition: TopicPartition,
    /// The record's offset.
    pub offset: i64,
    /// The assignment under which it was tried, as for [`ProgressWrite::epoch`].
    pub epoch: Epoch,
    /// The new count and due time; `None` forgets the record, which is done.
    pub attempts: Option<Attempts>,
}

/// The answer to a request with an `Idempotency-Key`, kept for repetitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerWrite {
    /// The request's key (the user); idempotency keys of different users are independent.
    pub key: Arc<str>,
    /// The `Idempotency-Key`.
    pub idempotency_key: Arc<str>,
    /// What was asked and answered.
    pub answered: Answered,
}

/// A request with an `Idempotency-Key`, and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// SHA-256 of the request, lower-case hex.
    pub digest: String,
    /// The HTTP status.
    pub status: u16,
    /// The body, JSON text.
    pub body: Option<String>,
}

/// How long an answer is kept for repetitions of its request: 24 hours, in milliseconds.
pub const ANSWER_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// Everything that one group commit changes.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// States, at most one write per (handler, key).
    pub states: Vec<StateWrite>,
    /// States that were read and are not in [`Commit::states`], at most once per (handler, key). Not needed if the
    /// store is not shared, because nobody else can have changed them.
    pub reads: Vec<StateRead>,
    /// For each handler of [`Commit::states`], when the version that is active on this host became active: kept with
    /// the states as [`Stored::since_millis`](super::Stored::since_millis). Not needed if the store is not shared.
    pub since: Vec<(Arc<str>, i64)>,
    /// The uploaded files that states name from now on, if they have changed, at most one entry per (handler, key).
    pub files: Vec<FilesWrite>,
    /// Records to publish, in order; those of one shard together become one batch of its outbox.
    pub outbox: Vec<OutRecord>,
    /// Progress, at most one per (handler, partition).
    pub progress: Vec<ProgressWrite>,
    /// Attempts.
    pub attempts: Vec<AttemptWrite>,
    /// Answers to remember; those older than [`ANSWER_MILLIS`] are removed.
    pub answers: Vec<AnswerWrite>,
    /// Invocations to keep, in order; those of one handler become one batch.
    pub recordings: Vec<RecordingWrite>,
    /// Batches that are in Kafka, at most one entry per shard: they leave the outbox.
    pub published: Vec<ShardPublished>,
    /// Changes to dead letters.
    pub letters: Vec<LetterWrite>,
    /// Keys whose held letters are changed by `letters`. Each is among [`Commit::states`], perhaps without a change,
    /// and gets another revision. Not needed if the store is not shared.
    pub held: Vec<StateKey>,
    /// The most bytes of dead letters that are kept, without those of held keys: if `letters` adds more, the oldest
    /// that are in Kafka are dropped.
    pub letters_bound: u64,
}

impl Commit {
    /// Whether there is nothing to make durable.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
            && self.reads.is_empty()
            && self.files.is_empty()
            && self.outbox.is_empty()
            && self.progress.is_empty()
            && self.attempts.is_empty()
            && self.answers.is_empty()
            && self.recordings.is_empty()
            && self.published.is_empty()
            && self.letters.is_empty()
    }
}

/// Batches of a shard up to this number are in Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardPublished {
    /// The shard.
    pub shard: Shard,
    /// The lease under which they were published. If the shard has another holder by now, an older lease is ignored:
    /// the holder finds the position in the cursor.
    pub epoch: Epoch,
    /// The last of the batches.
    pub batch: BatchNo,
}

/// The result of a successful commit.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// For each of [`Commit::states`], in order: the revision that is stored now, `None` if nothing is stored for the key.
    pub revisions: Vec<Option<Revision>>,
    /// The outbox batches, at most one per shard, in the order of the shards; none if there was nothing to publish.
    pub batches: Vec<CommittedBatch>,
    /// How many dead letters were dropped because of [`Commit::letters_bound`].
    pub letters_gone: u64,
    /// For each handler of [`Commit::recordings`]: how large its recordings are now.
    pub recordings: Vec<RecordingsSize>,
}

/// An outbox batch that a commit created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommittedBatch {
    /// Its shard.
    pub shard: Shard,
    /// Its number.
    pub number: BatchNo,
    /// Its size in the store, in bytes.
    pub bytes: u64,
}

/// The result of a commit that did not fail.
#[derive(Clone, Debug)]
pub enum CommitResult {
    /// It is durable.
    Committed(Committed),
    /// Other hosts were faster: nothing was changed. Everything that the conflict does not name can be committed
    /// without the rest.
    Conflict(CommitConflict),
}

/// The state of one key of one handler, by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StateKey {
    /// The handler's name.
    pub handler: Arc<str>,
    /// The key.
    pub key: Arc<str>,
}

/// Why a commit changed nothing; at least one of the lists has an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitConflict {
    /// States, written or read, that are not at the revision that the commit names: triggers that depend on them have
    /// to run again.
    pub states: Vec<StateKey>,
    /// Partitions, with the handler's name, that have been assigned again, to this host or another.
    pub partitions: Vec<(Arc<str>, TopicPartition)>,
    /// Requests, by their key and their `Idempotency-Key`, that have already been answered: the answer is to be repeated.
    pub answers: Vec<(Arc<str>, Arc<str>)>,
    /// Dead letters whose redrive is part of the commit and that are no longer to be redriven: another host has handled
    /// them, or they have failed there. Nothing is left to do for them.
    pub letters: Vec<LetterId>,
}

impl CommitConflict {
    /// Whether nothing is in conflict.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty() && self.partitions.is_empty() && self.answers.is_empty() && self.letters.is_empty()
    }
}
