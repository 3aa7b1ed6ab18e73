//! A bug that every host of a run has, to see whether a scenario and the checker find it.

use std::convert::Infallible;
use std::str::FromStr;

/// A bug to plant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plant {
    /// One of the host's own, as `SANDMAN_TEST_FAULT` names it.
    Host(String),
    /// The store keeps the old document at one write in eleven for one key in seven. It is planted in the store's file, by a
    /// trigger of SQLite, and shows as soon as a host has to read what the one before it wrote.
    KeepDocument,
}

impl FromStr for Plant {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(match name {
            "keep-document" => Self::KeepDocument,
            other => Self::Host(other.to_owned()),
        })
    }
}
