//! Why an import failed.

use std::io;

use thiserror::Error;

use sandman_core::store::StoreError;

/// Why an import failed. States that were written before stay, and are skipped by the next run.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    File(#[from] io::Error),
    /// The file has changed since the first pass.
    #[error(
        "the file was changed while it was read; {written} states were written; run the import again with the whole file"
    )]
    Changed {
        /// States written before.
        written: u64,
    },
    /// The store failed.
    #[error("{source}; {written} states were written; run the same command again, it continues from there")]
    Store {
        /// States written before.
        written: u64,
        /// The store's error.
        source: StoreError,
    },
}
