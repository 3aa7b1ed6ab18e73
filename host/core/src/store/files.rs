//! The store's record of uploaded files: which states name them, and since when no state does.

use std::sync::Arc;

use super::StoreError;

/// The files that the state of one (handler, key) names from this commit on, if they have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesWrite {
    /// The handler's name.
    pub handler: Arc<str>,
    /// The key.
    pub key: Arc<str>,
    /// All names, each once.
    pub names: Vec<Arc<str>>,
}

/// The store of the names of uploaded files. Part of the same store as [`Store`](super::Store), whose commits contain
/// the files that a state names ([`Commit::files`](super::Commit::files)): a file counts as named exactly as long as a
/// committed state names it.
pub trait FileStore: Send + Sync {
    /// Lists files as unreferenced since the given time (milliseconds since 1970): those that no state names and that
    /// are not listed yet. Called before a file is stored, and for files that were found.
    ///
    /// # Errors
    /// As for a commit.
    fn list_files(&self, names: &[&str], since_millis: i64) -> Result<(), StoreError>;

    /// Removes files from the list that have been unreferenced since `before_millis` or longer, the oldest first, at
    /// most `most`. The caller deletes them.
    ///
    /// # Errors
    /// As for a commit.
    fn take_unnamed_files(&self, before_millis: i64, most: usize) -> Result<Vec<String>, StoreError>;
}
