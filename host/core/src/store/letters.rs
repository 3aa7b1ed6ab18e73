//! Dead letters in the store: written by the commit that gives a trigger up, limited in size, queried by operators.

use std::sync::Arc;

use crate::event::Record;
use crate::reason::GivenUp;

use super::StoreError;

/// Identifies a dead letter; never used twice by one store. Letters of one key are numbered in the order of its lane.
pub type LetterId = u64;

/// A dead letter to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLetter {
    /// The handler's name.
    pub handler: Arc<str>,
    /// The key of its lane; `None` for a record that is not an event, or has no key.
    pub key: Option<Arc<str>>,
    /// The record as it came.
    pub record: Record,
    /// How it was given up.
    pub given_up: GivenUp,
    /// Whether its key is held.
    pub hold: Hold,
}

impl NewLetter {
    /// About how many bytes it takes in the store.
    pub fn bytes(&self) -> u64 {
        let Self {
            key, record, given_up, ..
        } = self;
        let state = given_up.state.as_deref().map_or(0, str::len);
        let key = key.as_deref().map_or(0, str::len);
        (AROUND + key + record.weight() + given_up.reason.len() + state) as u64
    }
}

/// The overhead of a letter: columns, cells and indexes, rounded up.
const AROUND: usize = 256;

/// Whether a letter holds its key: later triggers wait in the store until an operator releases the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// It does not.
    #[default]
    No,
    /// It does: its trigger was given up.
    Head,
    /// It waits behind one that does; it has not failed itself.
    Behind,
}

/// The pause of a handler, which consumes nothing until somebody resumes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Since when: milliseconds since 1970.
    pub at_millis: i64,
    /// Who ordered it; `sandman` for the host itself.
    pub by: String,
    /// Why, for people.
    pub reason: String,
}

/// A change to the dead letters in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LetterWrite {
    /// A trigger was given up; its record for `<topic>.dlq` is part of the same commit. Or it waits behind one that was.
    Add(Box<NewLetter>),
    /// A letter was redriven, and its outcome is part of the same commit: it is removed.
    Done(LetterId),
    /// A letter was redriven, and its event was handled before: it is removed without an invocation.
    Duplicate(LetterId),
    /// A letter was redriven and failed again: it stays, and so do the letters that wait behind it.
    Failed(LetterId, Box<GivenUp>),
    /// The held letters of this key are to be redriven, in order.
    Release(HeldName),
    /// The first held letter of this key is removed, and the rest is to be redriven.
    DropHead(HeldName),
    /// The handler is paused from now on; `None`: it is resumed.
    Pause(Arc<str>, Option<Pause>),
}

/// A key that is held.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeldName {
    /// The handler's name.
    pub handler: Arc<str>,
    /// The key.
    pub key: Arc<str>,
}

/// How much is held of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldCount {
    /// Letters: the one that holds it, and those that wait behind.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether they are being redriven.
    pub released: bool,
}

/// The held letters of a key in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldKey {
    /// Which key.
    pub name: HeldName,
    /// How much.
    pub held: HeldCount,
}

/// A request to redrive letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedriveOrder {
    /// The lowest number that the order may have: milliseconds since 1970. It gets the next number that no order has.
    pub from: u64,
    /// On which version; `None`: on the one that is active then.
    pub through: Option<u64>,
    /// Letters that were redriven this often are left out.
    pub most_redriven: u32,
    /// How many of the last orders are kept with their results; unfinished ones are always kept.
    pub kept: u64,
}

/// The letters that an order includes and those that it leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ordered {
    /// Letters that are to be redriven.
    pub ordered: u64,
    /// Letters that were left out because they were redriven too often.
    pub refused: u64,
    /// Letters that were left out because their key is held: it is released as a whole.
    pub held: u64,
    /// Letters that were left out because an earlier order includes them and has not finished them.
    pub already: u64,
}

/// The results of an order so far. Counted in the commits that decide them, so that no crash and no restart changes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderResult {
    /// The letters that were included and left out.
    pub ordered: Ordered,
    /// Letters that were handled and removed.
    pub handled: u64,
    /// Letters whose event had been handled before, and that were removed without an invocation.
    pub duplicates: u64,
    /// Letters that failed again, and stayed.
    pub failed: u64,
    /// Letters whose redrive was cancelled, and that stayed.
    pub cancelled: u64,
}

impl OrderResult {
    /// Letters that are still to be redriven.
    pub fn remaining(&self) -> u64 {
        let done = self.handled + self.duplicates + self.failed + self.cancelled;
        self.ordered.ordered.saturating_sub(done)
    }
}

/// A letter that is to be redriven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderedLetter {
    /// Its number.
    pub id: LetterId,
    /// The handler's name.
    pub handler: Arc<str>,
    /// On which version; `None`: on the active one.
    pub through: Option<u64>,
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
    /// The record's own key, if it has no lane.
    pub record_key: Option<Vec<u8>>,
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
    /// Whether its key is held.
    pub hold: Hold,
    /// Whether it is to be redriven.
    pub ordered: bool,
}

/// A complete dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLetter {
    /// All but the bytes; with the state.
    pub head: LetterHead,
    /// The record as it came.
    pub record: Record,
}

/// A filter for letters; `None` does not restrict them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// One letter.
    pub id: Option<LetterId>,
    /// Those of a handler.
    pub handler: Option<String>,
    /// Those of a key; for a letter that never got one, such as a record that is not an event, the record's key counts.
    pub key: Option<String>,
    /// Those of a code, or of all codes that begin with it: `trap` is every `trap.…`.
    pub code: Option<String>,
    /// Those that were given up at this time or later: milliseconds since 1970.
    pub since_millis: Option<i64>,
    /// Those that an order includes: still to be redriven, or failed again since.
    pub job: Option<u64>,
}

/// The result of dropping letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DroppedLetters {
    /// Letters that were removed.
    pub dropped: u64,
    /// Letters that were left out because they are to be redriven.
    pub ordered: u64,
    /// Letters that were left out because their key is held.
    pub held: u64,
}

/// How many letters there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LettersSize {
    /// Letters, those of held keys too.
    pub count: u64,
    /// Bytes of those that neither hold a key nor wait behind such a letter.
    pub bytes: u64,
    /// Bytes of those of held keys.
    pub held_bytes: u64,
}

/// The store of the dead letters. Part of the same store as [`Store`](super::Store), whose commits write them: a letter and
/// the progress that passes its record are durable together or not at all.
pub trait LetterStore: Send + Sync {
    /// Letters that match the filter with numbers above `after`, the oldest first, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn letters(&self, filter: &LetterFilter, after: LetterId, most: usize) -> Result<Vec<LetterHead>, StoreError>;

    /// A complete letter.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn letter(&self, id: LetterId) -> Result<Option<KeptLetter>, StoreError>;

    /// How many letters there are.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be used any more.
    fn letters_size(&self) -> Result<LettersSize, StoreError>;

    /// Marks the letters that match the filter as to be redriven; those of held keys are left out. Returns the order's
    /// number, which is unique even if several hosts order at once.
    ///
    /// # Errors
    /// As for a commit.
    fn order_redrive(&self, filter: &LetterFilter, order: &RedriveOrder) -> Result<(u64, Ordered), StoreError>;

    /// Letters that are to be redriven, except those of held keys, in order, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn ordered(&self, most: usize) -> Result<Vec<OrderedLetter>, StoreError>;

    /// The results of an order; `None` if there was none with this number, or it is no longer kept.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn order_result(&self, job: u64) -> Result<Option<OrderResult>, StoreError>;

    /// Drops the oldest letters until those without a held key are within `bound` bytes; those that are not in Kafka
    /// yet, and those that are to be redriven, stay. Returns how many were dropped.
    ///
    /// # Errors
    /// As for a commit.
    fn shrink_letters(&self, bound: u64) -> Result<u64, StoreError>;

    /// Cancels the redrive of these letters; those of held keys are left out. Returns how many were cancelled.
    ///
    /// # Errors
    /// As for a commit.
    fn cancel_redrive(&self, letters: &[LetterId]) -> Result<u64, StoreError>;

    /// Removes the letters of held keys that match the filter: those of handlers that no host serves, whose keys nobody
    /// can release. Returns how many were removed.
    ///
    /// # Errors
    /// As for a commit.
    fn drop_held_letters(&self, filter: &LetterFilter) -> Result<u64, StoreError>;

    /// Removes the letters that match the filter, except those that are to be redriven and those of held keys. Returns
    /// how many were removed and how many left out.
    ///
    /// # Errors
    /// As for a commit.
    fn drop_letters(&self, filter: &LetterFilter) -> Result<DroppedLetters, StoreError>;

    /// Every key that is held.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn held_keys(&self) -> Result<Vec<HeldKey>, StoreError>;

    /// The held letters of a key, in order, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn held_letters(&self, name: &HeldName, most: usize) -> Result<Vec<LetterId>, StoreError>;

    /// The handlers that are paused, by name.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn pauses(&self) -> Result<Vec<(Arc<str>, Pause)>, StoreError>;
}
