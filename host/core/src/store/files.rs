//! What the store knows of uploaded files: which states name them, and since when no state does.

use std::sync::Arc;

use super::StoreError;

/// The files that the state of one (handler, key) names from this commit on, where they are others than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesWrite {
    /// The handler's name.
    pub handler: Arc<str>,
    /// The key.
    pub key: Arc<str>,
    /// All names, each once.
    pub names: Vec<Arc<str>>,
}

/// The store of the names of uploaded files. Part of the same store as [`Store`](super::Store), whose commits say which
/// files a state names ([`Commit::files`](super::Commit::files)): a file counts as named exactly as long as a committed state
/// names it.
pub trait FileStore: Send + Sync {
    /// Lists files as without a name since then (milliseconds since 1970): those of them that no state names and that are
    /// not listed yet. For a file that is about to be stored, before it is, and for files that were found.
    ///
    /// # Errors
    /// As for a commit.
    fn list_files(&self, names: &[&str], since_millis: i64) -> Result<(), StoreError>;

    /// Takes files off the list that have had no name since `before_millis` or longer, those of the longest time first, at
    /// most `most`. They are the caller's to remove.
    ///
    /// # Errors
    /// As for a commit.
    fn take_unnamed_files(&self, before_millis: i64, most: usize) -> Result<Vec<String>, StoreError>;
}
