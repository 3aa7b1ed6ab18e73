//! The handlers' versions in the store: the components, the active version, and the history.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::StoreError;

/// A version that the store keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptVersion {
    /// Its number, from 1, per handler. A component keeps its number, however often it is deployed.
    pub number: u64,
    /// The component's sha256, lower-case hex.
    pub digest: Arc<str>,
    /// The component's size in bytes.
    pub bytes: u64,
    /// When it was stored: milliseconds since 1970.
    pub stored_millis: i64,
    /// The version that was active before it was deployed: the target of a rollback.
    pub replaced: Option<u64>,
}

/// The active version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Active {
    /// Its number.
    pub number: u64,
    /// Since when: milliseconds since 1970. Where several hosts activate versions, each activation of a handler has a later
    /// time than the one before, whatever the hosts' clocks say.
    pub since_millis: i64,
}

/// A version to keep.
#[derive(Clone, Copy, Debug)]
pub struct NewVersion<'a> {
    /// The handler's name.
    pub handler: &'a Arc<str>,
    /// Its number.
    pub number: u64,
    /// The component's sha256, lower-case hex.
    pub digest: &'a str,
    /// The component.
    pub component: &'a [u8],
}

/// What was requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The first start with this handler: its component of `sandman.toml` becomes version 1.
    Start,
    /// A component was sent.
    Deploy,
    /// An earlier version was asked for.
    Rollback,
}

/// The result of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The version serves.
    Active,
    /// It was the active one already.
    Unchanged,
    /// It was refused; the previous version is still active.
    Refused,
}

const ACTIONS: [(Action, &str); 3] = [
    (Action::Start, "start"),
    (Action::Deploy, "deploy"),
    (Action::Rollback, "rollback"),
];
const OUTCOMES: [(Outcome, &str); 3] = [
    (Outcome::Active, "active"),
    (Outcome::Unchanged, "unchanged"),
    (Outcome::Refused, "refused"),
];

impl Action {
    /// The word for it.
    pub fn word(self) -> &'static str {
        word(&ACTIONS, self)
    }
}

impl Outcome {
    /// The word for it.
    pub fn word(self) -> &'static str {
        word(&OUTCOMES, self)
    }
}

fn word<T: Copy + PartialEq>(words: &[(T, &'static str)], wanted: T) -> &'static str {
    let found = words.iter().find(|(known, _)| *known == wanted);
    found.map_or("", |(_, word)| word)
}

fn meaning<T: Copy>(words: &[(T, &'static str)], text: &str) -> Result<T, UnknownWord> {
    let found = words.iter().find(|(_, word)| *word == text);
    found
        .map(|(meaning, _)| *meaning)
        .ok_or_else(|| UnknownWord(text.to_owned()))
}

/// A word that does not occur in a history.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a word of a history")]
pub struct UnknownWord(String);

impl FromStr for Action {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        meaning(&ACTIONS, text)
    }
}

impl FromStr for Outcome {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        meaning(&OUTCOMES, text)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// An entry of a handler's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// The version; `None` for a component that was refused before it had a number.
    pub number: Option<u64>,
    /// The component's SHA-256, lower-case hex, if it was received.
    pub digest: Option<Arc<str>>,
    /// When: milliseconds since 1970.
    pub at_millis: i64,
    /// Who: the name of the token.
    pub by: String,
    /// What was requested.
    pub action: Action,
    /// The result.
    pub outcome: Outcome,
    /// The stage that failed and why; empty if there is nothing to say.
    pub detail: String,
}

/// The store of the handlers' versions. Part of the same store as [`Store`](super::Store): the active version and the
/// states that it wrote are lost together or not at all.
pub trait VersionStore: Send + Sync {
    /// All versions of a handler that are kept, the newest first.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn versions(&self, handler: &str) -> Result<Vec<KeptVersion>, StoreError>;

    /// The active version; `None` for a handler that never had one.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn active(&self, handler: &str) -> Result<Option<Active>, StoreError>;

    /// A component that is kept, by the SHA-256 of its bytes, lower-case hex.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read, or its bytes are not what was kept.
    fn component(&self, digest: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps a version without making it active.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the handler has another version with this number, or this one with another number;
    /// otherwise as for a commit.
    fn keep(&self, version: &NewVersion<'_>, now_millis: i64) -> Result<(), StoreError>;

    /// Makes a kept version the active one, writes the entry of the history, and forgets all versions but the newest
    /// `keep` and the active one; all of it, or nothing. Returns the digests of the components that no handler keeps
    /// any more.
    ///
    /// # Errors
    /// As for a commit; [`StoreError::Conflict`] if the version is not kept.
    fn activate(&self, handler: &Arc<str>, activation: &Activation, keep: usize) -> Result<Vec<String>, StoreError>;

    /// Writes an entry of the history that changes nothing.
    ///
    /// # Errors
    /// As for a commit.
    fn note(&self, handler: &Arc<str>, activation: &Activation) -> Result<(), StoreError>;

    /// The newest `most` entries of a handler's history, the newest first. The last thousand are kept.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn history(&self, handler: &str, most: usize) -> Result<Vec<Activation>, StoreError>;
}
