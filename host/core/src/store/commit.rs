//! What one group commit changes, and what became of it.

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
    /// The stored state that it was made from; `None` where there was none.
    pub base: Option<Revision>,
    /// What becomes of the document.
    pub change: StateChange,
    /// The key's recent events from now on; `None` leaves them as they are.
    pub recent: Option<RecentEvents>,
}

/// A state that was read and not changed: what was decided counts only if it is still the same.
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
    /// The assignment under which it was done; an older one than the last is refused.
    pub epoch: Epoch,
}

/// How often one record failed, kept over a restart.
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

/// The answer to a request with an `Idempotency-Key`, kept so that a repetition is answered again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerWrite {
    /// The request's key (the user); idempotency keys of different users do not meet.
    pub key: Arc<str>,
    /// The `Idempotency-Key`.
    pub idempotency_key: Arc<str>,
    /// What was asked and answered.
    pub answered: Answered,
}

/// What was asked under an `Idempotency-Key`, and answered.
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
    /// States that were read and are not in [`Commit::states`], at most once per (handler, key). Needless where the store
    /// is not shared: nobody else can have changed them.
    pub reads: Vec<StateRead>,
    /// For each handler of [`Commit::states`], since when the version serves that is active on this host: kept with them as
    /// [`Stored::since_millis`](super::Stored::since_millis). Needless where the store is not shared.
    pub since: Vec<(Arc<str>, i64)>,
    /// The uploaded files that states name from now on, where they are others than before, at most one per (handler, key).
    pub files: Vec<FilesWrite>,
    /// Records to publish, in order; those of one shard together become one batch of its outbox.
    pub outbox: Vec<OutRecord>,
    /// Progress, at most one per (handler, partition).
    pub progress: Vec<ProgressWrite>,
    /// Attempts.
    pub attempts: Vec<AttemptWrite>,
    /// Answers to remember; those older than [`ANSWER_MILLIS`] are forgotten meanwhile.
    pub answers: Vec<AnswerWrite>,
    /// Invocations to keep, in order; those of one handler become one batch.
    pub recordings: Vec<RecordingWrite>,
    /// What is on Kafka, at most once per shard: it leaves the outbox.
    pub published: Vec<ShardPublished>,
    /// What becomes of dead letters.
    pub letters: Vec<LetterWrite>,
    /// Keys of which `letters` changes what is held. Each is among [`Commit::states`], perhaps with nothing to change, and gets
    /// another revision. Needless where the store is not shared.
    pub held: Vec<StateKey>,
    /// Bytes of dead letters that are kept, but for those of held keys: where `letters` adds some beyond it, the oldest that
    /// are on Kafka go.
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

/// Batches of a shard up to this number are on Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardPublished {
    /// The shard.
    pub shard: Shard,
    /// The lease under which they were published. Where the shard has another holder, what an older one says is passed
    /// over: the holder finds it in the cursor.
    pub epoch: Epoch,
    /// The last of the batches.
    pub batch: BatchNo,
}

/// What a successful commit made.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// For each of [`Commit::states`], in order: the revision that is stored now, `None` where nothing is stored of the key.
    pub revisions: Vec<Option<Revision>>,
    /// The outbox batches, at most one per shard, in the order of the shards; none if there was nothing to publish.
    pub batches: Vec<CommittedBatch>,
    /// How many dead letters went because of [`Commit::letters_bound`].
    pub letters_gone: u64,
    /// For each handler of [`Commit::recordings`]: how large its recordings are now.
    pub recordings: Vec<RecordingsSize>,
}

/// An outbox batch that a commit made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommittedBatch {
    /// Its shard.
    pub shard: Shard,
    /// Its number.
    pub number: BatchNo,
    /// Its size in the store, in bytes.
    pub bytes: u64,
}

/// How a commit ended that the store could decide.
#[derive(Clone, Debug)]
pub enum CommitResult {
    /// It is durable.
    Committed(Committed),
    /// Others were faster: nothing was changed. What the conflict does not name can be committed without the rest.
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
    /// States, written or read, that are not at the revision that the commit names: what was decided from them has to be
    /// decided again.
    pub states: Vec<StateKey>,
    /// Partitions, with the handler's name, that were assigned anew, to this host or another.
    pub partitions: Vec<(Arc<str>, TopicPartition)>,
    /// Requests, by their key and their `Idempotency-Key`, that were answered already: the answer is to be repeated.
    pub answers: Vec<(Arc<str>, Arc<str>)>,
    /// Dead letters whose redrive is part of the commit and that are not to be redriven any more: another host has handled
    /// them, or they have failed there. Nothing is left to do about them.
    pub letters: Vec<LetterId>,
}

impl CommitConflict {
    /// Whether nothing is in conflict.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty() && self.partitions.is_empty() && self.answers.is_empty() && self.letters.is_empty()
    }
}
