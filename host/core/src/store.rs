//! The one commit point: states, progress, attempts and the outbox, changed together or not at all.
//!
//! [`Store`] is the port: SQLite implements it for one host, PostgreSQL for a fleet. For the fleet, states have
//! revisions, progress has an assignment epoch and the outbox has shards; SQLite has one of each. [`VersionStore`],
//! [`LetterStore`] and [`FileStore`] are the same store for what is not on the hot path: the versions of the handlers,
//! the dead letters, and the names of uploaded files.

mod commit;
mod files;
mod hosts;
mod letters;
mod recordings;
mod shard;
mod versions;

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::event::{OutRecord, TopicId, TopicPartition};
use crate::progress::Progress;
use crate::recent::RecentEvents;

pub use commit::{
    ANSWER_MILLIS, AnswerWrite, Answered, AttemptWrite, Attempts, Commit, CommitConflict, CommitResult, Committed,
    CommittedBatch, ProgressWrite, ShardPublished, StateKey, StateRead, StateWrite,
};
pub use files::{FileStore, FilesWrite};
pub use hosts::{HostEntry, HostStore, StoreStatistics};
pub use letters::{
    DroppedLetters, HeldCount, HeldKey, HeldName, Hold, KeptLetter, LetterFilter, LetterHead, LetterId, LetterStore,
    LetterWrite, LettersSize, NewLetter, OrderResult, Ordered, OrderedLetter, Pause, RedriveOrder,
};
pub use recordings::{RecordingBatch, RecordingStore, RecordingWrite, RecordingsSize};
pub use shard::{Shard, kafka_hash};
pub use versions::{Action, Activation, Active, KeptVersion, NewVersion, Outcome, VersionStore};

/// Number of a committed outbox batch of one shard: 1 for the first, without gaps, never used twice by one store.
pub type BatchNo = u64;

/// Identifies one version of the state of one key for ever: no other version of any state has the same revision.
/// Opaque: only the store that created it interprets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revision {
    state: u64,
    version: u64,
}

impl Revision {
    /// A revision made of the two numbers by which a store distinguishes versions of states. For stores only.
    pub fn new(state: u64, version: u64) -> Self {
        Self { state, version }
    }

    /// How often the state was written: a number for people, who compare it with those of the same state.
    pub fn writes(self) -> u64 {
        self.version
    }

    /// The two numbers. For stores only.
    pub fn parts(self) -> (u64, u64) {
        (self.state, self.version)
    }
}

/// Identifies an assignment of a partition, or a lease of a shard: a later one has a higher number, whichever host has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// A host's lease of a shard of the outbox, which it publishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ShardLease {
    /// The shard.
    pub shard: Shard,
    /// The lease: a later holder has a higher one.
    pub epoch: Epoch,
}

/// What a host needs to take over a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assigned {
    /// Part of every commit of the partition's progress; higher than that of every earlier assignment.
    pub epoch: Epoch,
    /// What is done; `None` if the handler never committed anything of the partition.
    pub progress: Option<Progress>,
    /// Failed attempts of records that are not done.
    pub attempts: Vec<Attempts>,
}

/// The name that a store gets when it is created: a UUID. The relay's cursor carries it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoreId(pub Arc<str>);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A state as it is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Which version of it this is; an update must name the revision that it was made from.
    pub revision: Revision,
    /// The document, JSON text; `None` for a key that has no state and remembers events.
    pub document: Option<Arc<str>>,
    /// The events that the key has handled last.
    pub recent: RecentEvents,
    /// When the version that wrote it became active, as [`Active::since_millis`]; 0 if no other host serves. A host
    /// whose own version became active earlier must not run anything on it.
    pub since_millis: i64,
    /// How much is held of the key, in a store that hosts share. Each change of it gives the state another revision, so
    /// a host that knows the revision knows this as well. Always `None` in a store of one host, which knows it anyway.
    pub held: Option<HeldCount>,
}

/// How long the recent events of a key without a state are remembered after the last of them: 24 hours, in milliseconds.
/// Those of a key with a state are remembered with it.
pub const RECENT_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// A batch of a shard's outbox.
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

/// How much waits to be published, of one shard or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxSize {
    /// Batches.
    pub batches: u64,
    /// Bytes.
    pub bytes: u64,
    /// The newest batch of the shard ever committed, 0 for none; of all shards the highest number.
    pub last: BatchNo,
    /// The newest batch of the shard known to be on Kafka, 0 for none; of all shards the highest number.
    pub published: BatchNo,
    /// Whether a deployment's cursor has named this store, so that a cluster without that cursor is the wrong one.
    pub claimed: bool,
    /// When the oldest batch that waits was committed: milliseconds since 1970; `None` if none waits.
    pub oldest_millis: Option<i64>,
}

/// Why a call of the store failed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Nothing was changed and trying again may work: the disk is full, or the file is busy.
    #[error("the store cannot write now: {0}")]
    Unavailable(String),
    /// Another process changed the data that this depends on; nothing was changed.
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
    /// The name that this store got when it was created.
    fn id(&self) -> &StoreId;

    /// Whether other hosts write to the same store, so that what was read from it may have changed since.
    fn is_shared(&self) -> bool;

    /// Why it is not known whether the last commit took effect, while that is being found out; until then nothing is committed.
    fn in_doubt(&self) -> Option<String> {
        None
    }

    /// How many shards the outbox has, from 1.
    fn shards(&self) -> u16;

    /// The shards whose relays this host is to run, in their order. Changes while hosts come and go; asked about once a second.
    fn leases(&self) -> Vec<ShardLease>;

    /// The state of a key and its recent events, from the last commit.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn state(&self, handler: &str, key: &str) -> Result<Option<Stored>, StoreError>;

    /// Takes over partitions for a handler and returns what is known of each, in the same order. From then on no commit
    /// under an earlier epoch of them succeeds.
    ///
    /// # Errors
    /// [`StoreError`] if that cannot be read or written; then no partition is taken.
    fn assign(&self, handler: &Arc<str>, partitions: &[TopicPartition]) -> Result<Vec<Assigned>, StoreError>;

    /// Progress of a handler in every partition it ever committed.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn progress(&self, handler: &str) -> Result<Vec<(TopicPartition, Progress)>, StoreError>;

    /// The id of the topic to which the handler's progress under this name belongs; `None` if it was never set.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn topic_id(&self, handler: &str, topic: &str) -> Result<Option<TopicId>, StoreError>;

    /// Sets the id of the topic to which the handler's progress under this name belongs.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    fn adopt_topic(&self, handler: &Arc<str>, topic: &str, id: &TopicId) -> Result<(), StoreError>;

    /// The name now belongs to another topic: forgets the handler's progress and attempts under it.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    fn restart_topic(&self, handler: &Arc<str>, topic: &str, id: &TopicId) -> Result<(), StoreError>;

    /// What was answered to a request of this key with this `Idempotency-Key` in the last [`ANSWER_MILLIS`].
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn answered(&self, key: &str, idempotency_key: &str, now_millis: i64) -> Result<Option<Answered>, StoreError>;

    /// Makes everything in `commit` durable, or nothing. It is nothing if a state is not at the revision that the
    /// commit names, or a partition has been assigned again: [`CommitResult::Conflict`] says which.
    ///
    /// # Errors
    /// After [`StoreError::Unavailable`] and [`StoreError::Conflict`] nothing was changed; after [`StoreError::Failed`]
    /// it is not known, and only reopening the store tells.
    fn commit(&self, commit: &Commit, now_millis: i64) -> Result<CommitResult, StoreError>;

    /// Batches of a shard after `after`, oldest first: at least one if there is any, then up to `max_bytes`.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn outbox(&self, shard: Shard, after: BatchNo, max_bytes: u64) -> Result<Vec<OutboxBatch>, StoreError>;

    /// How much of a shard waits to be published.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn outbox_size(&self, shard: Shard) -> Result<OutboxSize, StoreError>;

    /// How much of all shards waits to be published, as of a second ago at most. Does not wait for the store.
    ///
    /// # Errors
    /// [`StoreError`] if the store has failed.
    fn backlog(&self) -> Result<OutboxSize, StoreError>;

    /// Continues the numbers of the batches of all shards far above the last ones. A host calls this when it starts, before it
    /// commits anything: the store may be a restored backup, and a number that it gave after the backup must not be given
    /// again, because the relay takes a batch up to the cursor's number for a published one.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    fn skip_numbers(&self) -> Result<(), StoreError>;

    /// If [`Store::skip_numbers`] has skipped the number, so that no batch of the shard has it in this store, the last
    /// number before the skipped ones. A cursor with such a number shows that the store is a restored backup.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn skipped(&self, shard: Shard, number: BatchNo) -> Result<Option<BatchNo>, StoreError>;

    /// Forgets all progress and attempts, and empties the outbox, because the Kafka cluster to which they belong is
    /// gone. For the embedded broker, which starts empty each time.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    fn forget_kafka(&self) -> Result<(), StoreError>;

    /// Stores that the deployment's cursor of this shard names this store.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    fn claimed(&self, shard: Shard) -> Result<(), StoreError>;

    /// Takes over a deployment whose cursor of this shard is at `batch`: batch numbers continue above it.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    fn adopt(&self, shard: Shard, batch: BatchNo) -> Result<(), StoreError>;
}

/// All of a deployment's store.
pub trait DeploymentStore: Store + VersionStore + LetterStore + RecordingStore + FileStore + HostStore {}

impl<S: Store + VersionStore + LetterStore + RecordingStore + FileStore + HostStore> DeploymentStore for S {}
