//! Dead letters in the store: written by the commit that gives a trigger up, kept within a bound, asked for by operators.

use std::sync::Arc;

use crate::event::Record;
use crate::reason::GivenUp;

use super::StoreError;

/// Names a dead letter; never used twice by one store. Letters of one key are numbered in the order of its lane.
pub type LetterId = u64;

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

/// What a letter takes beside its bytes: columns, cells and indexes, rounded up.
const AROUND: usize = 256;

/// Whether a letter holds its key: what comes after it waits beside the lane until an operator releases the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// It does not.
    #[default]
    No,
    /// It does: its trigger was given up.
    Head,
    /// It waits behind one that does; nothing is wrong with it.
    Behind,
}

/// A handler whose intake stands still until somebody resumes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Since when: milliseconds since 1970.
    pub at_millis: i64,
    /// Who ordered it; `sandman` for the host itself.
    pub by: String,
    /// Why, for people.
    pub reason: String,
}

/// What a commit changes of the dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LetterWrite {
    /// A trigger was given up; its record for `<topic>.dlq` is part of the same commit. Or it waits behind one that was.
    Add(Box<NewLetter>),
    /// A letter was redriven, and its outcome is part of the same commit: it goes.
    Done(LetterId),
    /// A letter was redriven, and its event was handled before: it goes without an invocation.
    Duplicate(LetterId),
    /// A letter was redriven and failed again: it stays, and with it what waits behind it.
    Failed(LetterId, Box<GivenUp>),
    /// What is held of this key is to be redriven, in order.
    Release(HeldName),
    /// The first letter that is held of this key goes, and the rest is to be redriven.
    DropHead(HeldName),
    /// The handler's intake stands still from now on; `None`: it goes on.
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

/// What the store holds of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldKey {
    /// Which key.
    pub name: HeldName,
    /// How much.
    pub held: HeldCount,
}

/// Letters that are to be redriven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedriveOrder {
    /// The least number that the order may have: milliseconds since 1970. It gets the next one that no order has.
    pub from: u64,
    /// On which version; `None`: on the one that is active then.
    pub through: Option<u64>,
    /// Letters that were redriven as often are left out.
    pub most_redriven: u32,
    /// So many of the last orders are remembered with what they came to; one that is not done is never forgotten.
    pub kept: u64,
}

/// What an order came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ordered {
    /// Letters that are to be redriven.
    pub ordered: u64,
    /// Letters that were left out because they were redriven too often.
    pub refused: u64,
    /// Letters that were left out because their key is held: it is released as a whole.
    pub held: u64,
    /// Letters that were left out because an earlier order names them, which is not done with them.
    pub already: u64,
}

/// What an order has come to so far. Counted in the commits that decide it, so that no crash and no restart changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderResult {
    /// What was ordered, and what was left out.
    pub ordered: Ordered,
    /// Letters that were handled, and are gone.
    pub handled: u64,
    /// Letters whose event had been handled before, and that are gone without an invocation.
    pub duplicates: u64,
    /// Letters that failed again, and stayed.
    pub failed: u64,
    /// Letters of which the order was taken back, and that stayed.
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
    /// The record's own key, where its lane has none.
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
    /// Those of a key; of a letter that never got one, such as a record that is no event, the record's key counts.
    pub key: Option<String>,
    /// Those of a code, or of all codes that begin with it: `trap` is every `trap.…`.
    pub code: Option<String>,
    /// Those that were given up at this time or later: milliseconds since 1970.
    pub since_millis: Option<i64>,
    /// Those that an order has named: still to be redriven, or failed again since.
    pub job: Option<u64>,
}

/// What it came to that letters were dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DroppedLetters {
    /// Letters that are gone.
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
    /// Bytes of those that hold no key and wait behind none.
    pub bytes: u64,
    /// Bytes of those of held keys.
    pub held_bytes: u64,
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

    /// Marks the letters that the filter means as to be redriven; those of held keys are left out. Answers with the order's
    /// number, which no other order has, also where several hosts order at once.
    ///
    /// # Errors
    /// As for a commit.
    fn order_redrive(&self, filter: &LetterFilter, order: &RedriveOrder) -> Result<(u64, Ordered), StoreError>;

    /// Letters that are to be redriven, but for those of held keys, in order, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn ordered(&self, most: usize) -> Result<Vec<OrderedLetter>, StoreError>;

    /// What an order has come to; `None` if there was none of this number, or it is not remembered any more.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn order_result(&self, job: u64) -> Result<Option<OrderResult>, StoreError>;

    /// Lets the oldest letters go until those of no held key are within `bound` bytes; those that are not on Kafka yet, and
    /// those that are to be redriven, stay. Returns how many went.
    ///
    /// # Errors
    /// As for a commit.
    fn shrink_letters(&self, bound: u64) -> Result<u64, StoreError>;

    /// Takes back that these letters are to be redriven; those of held keys are left out. Returns how many it was.
    ///
    /// # Errors
    /// As for a commit.
    fn cancel_redrive(&self, letters: &[LetterId]) -> Result<u64, StoreError>;

    /// Removes the letters of held keys that the filter means: of handlers that nobody serves, whose keys nobody can release.
    /// Returns how many went.
    ///
    /// # Errors
    /// As for a commit.
    fn drop_held_letters(&self, filter: &LetterFilter) -> Result<u64, StoreError>;

    /// Removes the letters that the filter means, but for those that are to be redriven and those of held keys. Returns
    /// how many went, and how many were left out.
    ///
    /// # Errors
    /// As for a commit.
    fn drop_letters(&self, filter: &LetterFilter) -> Result<DroppedLetters, StoreError>;

    /// Every key that is held.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn held_keys(&self) -> Result<Vec<HeldKey>, StoreError>;

    /// The letters that are held of a key, in order, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn held_letters(&self, name: &HeldName, most: usize) -> Result<Vec<LetterId>, StoreError>;

    /// The handlers whose intake stands still, by name.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn pauses(&self) -> Result<Vec<(Arc<str>, Pause)>, StoreError>;
}
