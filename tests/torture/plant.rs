//! A bug that every host of a run has, to see whether a scenario and the checker find it.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

const KEEP_DOCUMENT: &str = "keep-document";

/// A bug to plant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plant {
    /// One of the host's own, as `SANDMAN_TEST_FAULT` names it.
    Host(String),
    /// The store keeps the old document at one write in eleven for one key in seven. It is planted in the store's file, by a
    /// trigger of SQLite, and shows as soon as a host has to read what the one before it wrote.
    KeepDocument,
}

impl fmt::Display for Plant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host(name) => name,
            Self::KeepDocument => KEEP_DOCUMENT,
        })
    }
}

impl FromStr for Plant {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(match name {
            KEEP_DOCUMENT => Self::KeepDocument,
            other => Self::Host(other.to_owned()),
        })
    }
}
