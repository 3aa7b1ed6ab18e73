//! Why an import did not come to its end.

use std::io;

use thiserror::Error;

use sandman_core::store::StoreError;

/// Why an import did not come to its end. What was written before stays, and is skipped by the next run.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    File(#[from] io::Error),
    /// The file is not what the first pass saw.
    #[error(
        "the file was changed while it was read; {written} states are written; run the import again with the whole file"
    )]
    Changed {
        /// States written before.
        written: u64,
    },
    /// The store did not answer, or did not write.
    #[error("{source}; {written} states are written; run the same command again, it goes on from there")]
    Store {
        /// States written before.
        written: u64,
        /// What the store said.
        source: StoreError,
    },
}
