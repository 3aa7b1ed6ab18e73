//! The one commit point: states, progress, attempts and the outbox, changed together or not at all.
//!
//! [`Store`] is the seam: SQLite implements it for one host; PostgreSQL will for a fleet. For that reason a state carries
//! a revision, progress an assignment epoch and the outbox a shard, although the embedded store has one of each.
//! [`VersionStore`] and [`LetterStore`] are the same store for what is not on the hot path: the versions of the handlers, and
//! the dead letters.

mod letters;
mod versions;

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::event::{OutRecord, TopicId, TopicPartition};
use crate::outcome::StateChange;
use crate::progress::Progress;
use crate::recent::RecentEvents;

pub use letters::{
    GivenUp, KeptLetter, LetterFilter, LetterHead, LetterId, LetterStore, LetterWrite, LettersSize, NewLetter,
};
pub use versions::{Action, Activation, Active, KeptVersion, NewVersion, Outcome, VersionStore};

/// Number of a committed outbox batch: 1 for the first, without gaps, never used twice by one store.
pub type BatchNo = u64;

/// Where a state lives in the store; kept in memory so that an update needs no look-up by key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowId(pub i64);

/// The name a store was given when it was made: a UUID. The relay's cursor carries it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoreId(pub Arc<str>);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A state as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it lives.
    pub row: RowId,
    /// How often it was written; an update must name the revision it stands on.
    pub revision: u64,
    /// The document, JSON text; `None` for a key that has no state and remembers events.
    pub document: Option<Arc<str>>,
    /// The events that the key has handled last.
    pub recent: RecentEvents,
}

/// How long the recent events of a key without a state are remembered after the last of them: 24 hours, in milliseconds.
/// Those of a key with a state are remembered with it.
pub const RECENT_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// A change to the state of one (handler, key), or to its recent events.
#[derive(Clone, Debug)]
pub struct StateWrite {
    /// The handler's name.
    pub handler: Arc<str>,
    /// The key.
    pub key: Arc<str>,
    /// The stored state it stands on; `None` where there was none.
    pub base: Option<(RowId, u64)>,
    /// What becomes of the document.
    pub change: StateChange,
    /// The key's recent events from now on; `None` leaves them as they are.
    pub recent: Option<RecentEvents>,
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
    /// The assignment under which it was done; a store shared by several hosts refuses an older one.
    pub epoch: u64,
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
    /// Records to publish, in order; together they become one outbox batch. Empty makes no batch.
    pub outbox: Vec<OutRecord>,
    /// Progress, at most one per (handler, partition).
    pub progress: Vec<ProgressWrite>,
    /// Attempts.
    pub attempts: Vec<AttemptWrite>,
    /// Answers to remember; those older than [`ANSWER_MILLIS`] are forgotten meanwhile.
    pub answers: Vec<AnswerWrite>,
    /// Batches up to this number are on Kafka: they leave the outbox.
    pub published: Option<BatchNo>,
    /// What becomes of dead letters.
    pub letters: Vec<LetterWrite>,
    /// Bytes of dead letters that are kept: where `letters` adds some beyond it, the oldest that are on Kafka go.
    pub letters_bound: u64,
}

impl Commit {
    /// Whether there is nothing to make durable.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
            && self.outbox.is_empty()
            && self.progress.is_empty()
            && self.attempts.is_empty()
            && self.answers.is_empty()
            && self.published.is_none()
            && self.letters.is_empty()
    }
}

/// What a successful commit made.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// For each of [`Commit::states`], in order: the stored row and revision, `None` where nothing is stored of the key.
    pub rows: Vec<Option<(RowId, u64)>>,
    /// The outbox batch and its size in bytes, if there was anything to publish.
    pub batch: Option<(BatchNo, u64)>,
    /// How many dead letters went because of [`Commit::letters_bound`].
    pub letters_gone: u64,
}

/// A batch of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxBatch {
    /// Its number.
    pub number: BatchNo,
    /// When it was committed: milliseconds since 1970.
    pub committed_millis: i64,
    /// Its records, in order.
    pub records: Vec<OutRecord>,
    /// Its size in the store, in bytes.
    pub bytes: u64,
}

/// How much waits to be published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxSize {
    /// Batches.
    pub batches: u64,
    /// Bytes.
    pub bytes: u64,
    /// The newest batch ever committed, 0 for none.
    pub last: BatchNo,
    /// The newest batch known to be on Kafka, 0 for none.
    pub published: BatchNo,
    /// The cursor of a deployment has named this store: on any other cluster it would miss it.
    pub claimed: bool,
    /// When the oldest batch that waits was committed: milliseconds since 1970; `None` if none waits.
    pub oldest_millis: Option<i64>,
}

/// Why the store did not do what was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Nothing was changed and trying again may work: the disk is full, or the file is busy.
    #[error("the store cannot write now: {0}")]
    Unavailable(String),
    /// Another host or an older run changed what this commit stands on; nothing was changed.
    #[error("the store holds a newer {what} than this host knows: {detail}; another process writes to the same store")]
    Conflict {
        /// What is newer.
        what: &'static str,
        /// Which one.
        detail: String,
    },
    /// The store cannot be used any more: whether the last commit is durable is not known until a restart.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// The one commit point.
pub trait Store: Send + Sync {
    /// The name that this store was given when it was made.
    fn id(&self) -> &StoreId;

    /// The state of a key and its recent events, from the last commit.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn state(&self, handler: &str, key: &str) -> Result<Option<Stored>, StoreError>;

    /// Documents of all handlers' states, each from a commit that was the last when it was read: those behind `after` in
    /// the order of their rows, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn documents(&self, after: RowId, most: usize) -> Result<Vec<(RowId, Arc<str>)>, StoreError>;

    /// Progress of a handler in every partition it ever committed.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn progress(&self, handler: &str) -> Result<Vec<(TopicPartition, Progress)>, StoreError>;

    /// The topic that the handler's progress under this name is about; `None` as long as nobody has said.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn topic_id(&self, handler: &str, topic: &str) -> Result<Option<TopicId>, StoreError>;

    /// Says which topic the handler's progress under this name is about.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    fn adopt_topic(&self, handler: &Arc<str>, topic: &str, id: &TopicId) -> Result<(), StoreError>;

    /// The name stands for another topic now: forgets the handler's progress and attempts under it.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    fn restart_topic(&self, handler: &Arc<str>, topic: &str, id: &TopicId) -> Result<(), StoreError>;

    /// Failed attempts of the records of one partition that are not done.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn attempts(&self, handler: &str, partition: &TopicPartition) -> Result<Vec<Attempts>, StoreError>;

    /// What was answered to a request of this key with this `Idempotency-Key` in the last [`ANSWER_MILLIS`].
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn answered(&self, key: &str, idempotency_key: &str, now_millis: i64) -> Result<Option<Answered>, StoreError>;

    /// Makes everything in `commit` durable, or nothing of it.
    ///
    /// # Errors
    /// After [`StoreError::Unavailable`] and [`StoreError::Conflict`] nothing was changed; after [`StoreError::Failed`]
    /// it is not known, and only opening the store anew tells.
    fn commit(&self, commit: &Commit, now_millis: i64) -> Result<Committed, StoreError>;

    /// Batches after `after`, oldest first: at least one if there is any, then up to `max_bytes`.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn outbox(&self, after: BatchNo, max_bytes: u64) -> Result<Vec<OutboxBatch>, StoreError>;

    /// How much waits to be published.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn outbox_size(&self) -> Result<OutboxSize, StoreError>;

    /// Forgets all progress and attempts, and empties the outbox: the Kafka cluster they speak of is gone. For the
    /// embedded broker, which starts empty each time.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    fn forget_kafka(&self) -> Result<(), StoreError>;

    /// Keeps in mind that the deployment's cursor names this store.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    fn claimed(&self) -> Result<(), StoreError>;

    /// Takes over a deployment whose relay cursor stands at `batch`: batch numbers go on above it.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    fn adopt(&self, batch: BatchNo) -> Result<(), StoreError>;
}
