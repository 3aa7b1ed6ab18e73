//! Recordings in the store: batches of lines, limited in size for each handler.

use std::sync::Arc;

use super::StoreError;

/// A recording that is stored in the commit of its invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingWrite {
    /// The handler's name.
    pub handler: Arc<str>,
    /// Bytes of recordings that the handler may keep; the same commit drops the oldest batches beyond that.
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
    /// Their bytes in the store.
    pub bytes: u64,
    /// Bytes of those that the commit dropped or left out because of the handler's limit.
    pub gone: u64,
}

/// The store, for recordings.
pub trait RecordingStore: Send + Sync {
    /// Batches of a handler's recordings with lower numbers than `before`, the newest first, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn recordings(&self, handler: &str, before: Option<u64>, most: usize) -> Result<Vec<RecordingBatch>, StoreError>;

    /// The batch with that number, of any handler.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn recording_batch(&self, number: u64) -> Result<Option<RecordingBatch>, StoreError>;

    /// Keeps only these lines of a batch; without any, the batch is removed. Nothing is written if the batch has
    /// changed since it was read, so that lines that somebody else has removed do not come back. Returns whether it was
    /// written.
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
