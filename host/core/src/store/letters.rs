//! Dead letters in the store: written by the commit that gives a trigger up, kept within a bound, asked for by operators.

use std::sync::Arc;

use crate::event::Record;
use crate::reason::ReasonCode;

use super::StoreError;

/// Names a dead letter; never used twice by one store. Letters of one key are numbered in the order of its lane.
pub type LetterId = u64;

/// How a trigger was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// Why, for programs.
    pub code: ReasonCode,
    /// Why, for people: one printable line, which may hold text of the guest or the sender.
    pub reason: String,
    /// The version that gave it up.
    pub version: u64,
    /// That version's component: its sha256, lower-case hex.
    pub digest: Arc<str>,
    /// How often the guest was called with it; 0 if it never reached the guest.
    pub attempts: u32,
    /// The state that its last attempt met, JSON text; `None` if there was none, or it never reached a lane.
    pub state: Option<Arc<str>>,
    /// When: milliseconds since 1970.
    pub at_millis: i64,
}

/// A dead letter to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLetter {
    /// The handler's name.
    pub handler: Arc<str>,
    /// The key of its lane; `None` for a record that is no event, or has no key.
    pub key: Option<Arc<str>>,
    /// The record as it came.
    pub record: Record,
    /// How it was given up.
    pub given_up: GivenUp,
}

/// What a commit changes of the dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LetterWrite {
    /// A trigger was given up; its record for `<topic>.dlq` is part of the same commit.
    Add(Box<NewLetter>),
}

/// A dead letter without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterHead {
    /// Its number.
    pub id: LetterId,
    /// The handler's name.
    pub handler: Arc<str>,
    /// The key of its lane.
    pub key: Option<Arc<str>>,
    /// The record's topic.
    pub topic: Arc<str>,
    /// The record's partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// How it was given up, the last time; without the state.
    pub given_up: GivenUp,
    /// How often it was redriven.
    pub redriven: u32,
}

/// A dead letter, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLetter {
    /// All but the bytes; with the state.
    pub head: LetterHead,
    /// The record as it came.
    pub record: Record,
}

/// Which letters are meant; what is `None` does not restrict them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// One letter.
    pub id: Option<LetterId>,
    /// Those of a handler.
    pub handler: Option<String>,
    /// Those of a key.
    pub key: Option<String>,
    /// Those of a code, or of all codes that begin with it: `trap` is every `trap.…`.
    pub code: Option<String>,
    /// Those that were given up at this time or later: milliseconds since 1970.
    pub since_millis: Option<i64>,
}

/// How many letters there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LettersSize {
    /// Letters.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The store of the dead letters. Part of the same store as [`Store`](super::Store), whose commits write them: a letter and
/// the progress that passes its record are durable together or not at all.
pub trait LetterStore: Send + Sync {
    /// Letters that the filter means behind `after`, the oldest first, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn letters(&self, filter: &LetterFilter, after: LetterId, most: usize) -> Result<Vec<LetterHead>, StoreError>;

    /// A letter with all that is kept of it.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn letter(&self, id: LetterId) -> Result<Option<KeptLetter>, StoreError>;

    /// How many letters there are.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be used any more.
    fn letters_size(&self) -> Result<LettersSize, StoreError>;
}
