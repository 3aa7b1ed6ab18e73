//! Why a command of an operator is refused, or a version cannot be served.

use thiserror::Error;

use crate::load::CandidateError;
use sandman_core::store::StoreError;

/// Why a command was refused before anything was done.
#[derive(Debug, Error)]
pub enum Refusal {
    /// No such handler.
    #[error("there is no handler `{name}`; there are: {known}")]
    Unknown {
        /// The name that was given.
        name: String,
        /// The existing names.
        known: String,
    },
    /// Another change is in progress.
    #[error("another deploy, rollback or reload of `{0}` is in progress; try again when it has finished")]
    Busy(String),
    /// The version is not stored.
    #[error("version {number} of `{name}` is not kept; there are: {kept}")]
    NotKept {
        /// The handler.
        name: String,
        /// The version that was asked for.
        number: u64,
        /// The stored versions.
        kept: String,
    },
    /// A version that letters cannot be redriven through.
    #[error("letters cannot be redriven on version {number}: {why}")]
    Through {
        /// The version.
        number: u64,
        /// Why not.
        why: String,
    },
    /// Letters of a handler that the configuration does not name, so nothing could run them.
    #[error(
        "there are letters of `{0}` among them, which the configuration does not name; choose others with --handler, or configure it again"
    )]
    NotConfigured(String),
    /// No such letter.
    #[error("there is no dead letter {0}")]
    NoLetter(u64),
    /// There is no redrive job with this number.
    #[error("there is no redrive job {0}; the results of the last 1000 are kept")]
    NoOrder(u64),
    /// A key that is held by a handler that the configuration does not name.
    #[error(
        "`{0}` holds this key, and the configuration does not name it: configure it again, or drop what it holds with `sandman dlq drop --handler {0}`"
    )]
    HeldByGone(String),
    /// There is no version to go back to.
    #[error(
        "no version of `{name}` that is kept served before version {active}; name one with --to, there are: {kept}"
    )]
    NothingBefore {
        /// The handler.
        name: String,
        /// The active version.
        active: u64,
        /// The stored versions.
        kept: String,
    },
    /// No version is active, so there is nothing to replace while the host is stopped.
    #[error(
        "nothing has served `{0}` from this store yet; the first start takes the component that sandman.toml names"
    )]
    NeverServed(String),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the active version cannot be served under another configuration.
#[derive(Debug, Error)]
pub enum AgainError {
    /// It does not fit.
    #[error(transparent)]
    Candidate(#[from] CandidateError),
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}
