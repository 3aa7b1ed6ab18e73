//! Why a store in a file cannot be opened.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why the store cannot be opened. Each error names the path and says what to do.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The path has no file name, or is a folder.
    #[error("{path} is a folder: [store] url needs the path of a file, for example sqlite:data/sandman.db", path = path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
    },
    /// The folder is missing and cannot be created, or cannot be entered.
    #[error("the store's folder {path} cannot be used: {source}; create it, writable for the user that runs sandman, or change [store] url", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The lock file cannot be written or locked.
    #[error("the store's lock file {path} cannot be used: {source}; let the user that runs sandman write its folder, on a disk that knows file locks", path = path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another host has it open.
    #[error("the store {path} is in use by {holder}, which holds {lock}; stop that host, or give this one its own [store] url and [host] deployment", path = path.display(), lock = lock.display())]
    Locked {
        /// The store.
        path: PathBuf,
        /// The lock file.
        lock: PathBuf,
        /// The process that holds it.
        holder: String,
    },
    /// The file cannot be written.
    #[error("the store {path} cannot be written: {source}; let the user that runs sandman write it and its folder, or change [store] url", path = path.display())]
    ReadOnly {
        /// The store.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The writes of an earlier host cannot be made durable.
    #[error("the log of the store {path} cannot be rewritten: {source}; check the disk, then restart", path = path.display())]
    Log {
        /// The store.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{path} is not a Sandman store: {why}; change [store] url, or move that file away", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Why it is not a store.
        why: String,
    },
    /// A newer version wrote it.
    #[error("the store {path} was written by a newer Sandman: it has format {found}, this one knows up to {known}; run the newer version, or restore a backup from before it", path = path.display())]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its format.
        found: i32,
        /// The newest format that this version reads.
        known: i32,
    },
    /// The file is ours, but broken.
    #[error("the store {path} is damaged: {detail}; move it away with its -wal file and restore a backup", path = path.display())]
    Damaged {
        /// The store.
        path: PathBuf,
        /// SQLite's error.
        detail: String,
    },
    /// A move into it did not come to its end.
    #[error("the store {path} holds only a part of a deployment, because a move to it was interrupted; run the same `sandman move` again, which continues", path = path.display())]
    HalfMoved {
        /// The store.
        path: PathBuf,
    },
    /// Anything else: the disk is full, too many files are open, the file system has no shared memory.
    #[error("the store {path} cannot be opened: {detail}", path = path.display())]
    Failed {
        /// The store.
        path: PathBuf,
        /// SQLite's error.
        detail: String,
    },
}
