//! What the store keeps of recordings: batches of lines, a bounded ring for each handler.

use std::sync::Arc;

use super::StoreError;

/// A recording that goes into the store with the commit of its invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingWrite {
    /// The handler's name.
    pub handler: Arc<str>,
    /// Bytes of recordings that the handler may keep; the oldest batches beyond it go in the same commit.
    pub keep: u64,
    /// The recording, one line of JSON without its end.
    pub line: Arc<str>,
}

/// The recordings of one handler in one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingBatch {
    /// Its number, which grows.
    pub number: u64,
    /// One recording a line.
    pub lines: String,
}

/// How large the recordings of a handler are after a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingsSize {
    /// The handler.
    pub handler: Arc<str>,
    /// Bytes that the store has of them.
    pub bytes: u64,
    /// Bytes of those that the commit dropped, or left out itself, because the handler keeps no more.
    pub gone: u64,
}

/// The store, for recordings.
pub trait RecordingStore: Send + Sync {
    /// Batches of a handler's recordings with lower numbers than `before`, the newest first, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn recordings(&self, handler: &str, before: Option<u64>, most: usize) -> Result<Vec<RecordingBatch>, StoreError>;

    /// The batch with that number, of whatever handler.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn recording_batch(&self, number: u64) -> Result<Option<RecordingBatch>, StoreError>;

    /// Keeps these lines of a batch only; none: the batch goes. Nothing is written where the batch is not any more as it was
    /// read: what somebody else has taken out of it meanwhile must not come back. Returns whether it was.
    ///
    /// # Errors
    /// As for a commit.
    fn keep_of_recordings(&self, read: &RecordingBatch, lines: &str) -> Result<bool, StoreError>;

    /// Bytes of a handler's recordings.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn recordings_bytes(&self, handler: &str) -> Result<u64, StoreError>;

    /// All handlers that ever committed, whether the configuration names them or not, by name.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn known_handlers(&self) -> Result<Vec<Arc<str>>, StoreError>;
}
