//! How and why a trigger was given up. The reason is a code that programs compare and that never changes its meaning.
//!
//! The text beside it is for people, and may change with every version; alerts, filters and redrives use the code.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a trigger was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReasonCode {
    /// The record's bytes are not an event.
    Decode,
    /// The event has no key at the place that the handler's `key` names.
    Key,
    /// The handler consumes the event type, but not this version of it.
    Contract,
    /// The payload does not fit the schema of its event type, or cannot be checked within the bounds.
    Schema,
    /// The guest said that another attempt will not help.
    Rejected,
    /// The guest asked for another attempt until there were none left.
    Retries,
    /// The guest returned an invalid outcome.
    Outcome,
    /// An event that the guest emitted does not fit its contract, or is too large.
    Emitted,
    /// It has not failed: it waits behind a letter of its key (`exhausted = "hold-key"`).
    Held,
    /// The guest trapped.
    Trap(TrapKind),
    /// The guest exceeded one of its limits.
    Limit(LimitKind),
}

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
    /// The state that its last attempt saw, JSON text; `None` if there was none, or it never reached a lane.
    pub state: Option<Arc<str>>,
    /// When: milliseconds since 1970.
    pub at_millis: i64,
}

/// How a guest trapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrapKind {
    /// It panicked, with a message.
    Panic,
    /// It executed `unreachable`: a panic without a message, or an abort.
    Unreachable,
    /// Its stack is exhausted.
    Stack,
    /// It read or wrote outside of its memory or tables.
    Memory,
    /// It divided by zero, or a number did not fit.
    Arithmetic,
    /// The host could not make an instance of it.
    Instance,
    /// Anything else.
    Other,
}

/// The limit that a guest exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LimitKind {
    /// `limits.time`.
    Time,
    /// `limits.memory`.
    Memory,
    /// `limits.output`.
    Output,
    /// `limits.events`.
    Events,
    /// The bytes that may be handed to the host in one call.
    Transfer,
}

/// Every code, with its word. `docs/time-travel.md` has the same table, held against this one by a test.
pub const REASON_CODES: &[(ReasonCode, &str)] = &[
    (ReasonCode::Decode, "decode"),
    (ReasonCode::Key, "key"),
    (ReasonCode::Contract, "contract"),
    (ReasonCode::Schema, "schema"),
    (ReasonCode::Rejected, "rejected"),
    (ReasonCode::Retries, "retries"),
    (ReasonCode::Outcome, "outcome"),
    (ReasonCode::Emitted, "emitted"),
    (ReasonCode::Held, "held"),
    (ReasonCode::Trap(TrapKind::Panic), "trap.panic"),
    (ReasonCode::Trap(TrapKind::Unreachable), "trap.unreachable"),
    (ReasonCode::Trap(TrapKind::Stack), "trap.stack"),
    (ReasonCode::Trap(TrapKind::Memory), "trap.memory"),
    (ReasonCode::Trap(TrapKind::Arithmetic), "trap.arithmetic"),
    (ReasonCode::Trap(TrapKind::Instance), "trap.instance"),
    (ReasonCode::Trap(TrapKind::Other), "trap.other"),
    (ReasonCode::Limit(LimitKind::Time), "limit.time"),
    (ReasonCode::Limit(LimitKind::Memory), "limit.memory"),
    (ReasonCode::Limit(LimitKind::Output), "limit.output"),
    (ReasonCode::Limit(LimitKind::Events), "limit.events"),
    (ReasonCode::Limit(LimitKind::Transfer), "limit.transfer"),
];

/// Whether a text is a code, or what all codes of a kind begin with: `trap`.
pub fn is_code(text: &str) -> bool {
    let of_kind = |word: &str| word.split_once('.').is_some_and(|(kind, _)| kind == text);
    REASON_CODES.iter().any(|(_, word)| *word == text || of_kind(word))
}

/// Which codes there are, for somebody who has named another.
pub fn known_codes() -> String {
    let words: Vec<&str> = REASON_CODES.iter().map(|(_, word)| *word).collect();
    format!("there is no such code; there are: {}, trap, limit", words.join(", "))
}

impl ReasonCode {
    /// The word for it, as in headers, in the store and on the command line.
    pub fn word(self) -> &'static str {
        let found = REASON_CODES.iter().find(|(code, _)| *code == self);
        found.map_or("", |(_, word)| word)
    }
}

/// The reason without text of the guest, which may contain user data: for logs, `/health`, the history and callers
/// without the right to read data. The place of a panic stays. All other reasons are texts of the host, which name
/// rules, places and limits, but no values.
pub fn without_guest_text(code: ReasonCode, reason: &str) -> Cow<'_, str> {
    match code {
        ReasonCode::Rejected => Cow::Borrowed("the guest rejected it"),
        ReasonCode::Retries => Cow::Borrowed("the guest asked for another attempt"),
        ReasonCode::Trap(TrapKind::Panic) => match place_of(reason) {
            Some(place) => Cow::Owned(format!("the guest panicked at {place}")),
            None => Cow::Borrowed("the guest panicked"),
        },
        _ => Cow::Borrowed(reason),
    }
}

/// Bytes of a place in a source file.
const PLACE: usize = 200;

/// The place in "… panicked at PLACE: …", if it is one: a file, a line and perhaps a column.
fn place_of(reason: &str) -> Option<&str> {
    let (_, rest) = reason.split_once("panicked at ")?;
    let place = rest.split_once(": ").map_or(rest, |(place, _)| place);
    let is_file = |letter: char| letter.is_ascii_alphanumeric() || "._-/\\:".contains(letter);
    let ends_in_line = place.ends_with(|letter: char| letter.is_ascii_digit()) && place.contains(':');
    (ends_in_line && place.len() <= PLACE && place.chars().all(is_file)).then_some(place)
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A word that is not a code.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not the code of a dead letter")]
pub struct UnknownCode(String);

impl FromStr for ReasonCode {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        let found = REASON_CODES.iter().find(|(_, word)| *word == text);
        found.map(|(code, _)| *code).ok_or_else(|| UnknownCode(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_word_of_its_own_that_leads_back_to_it() {
        for (code, word) in REASON_CODES {
            assert_eq!(word.parse::<ReasonCode>().unwrap(), *code);
            assert_eq!(code.word(), *word);
        }
        assert!("trap".parse::<ReasonCode>().is_err());
    }

    #[test]
    fn what_a_guest_says_is_left_out_and_where_it_panicked_is_not() {
        let panic = ReasonCode::Trap(TrapKind::Panic);
        for (code, reason, told) in [
            (
                panic,
                "the guest panicked at src/lib.rs:43:132: it is inside of `\u{d6}z`: no",
                "the guest panicked at src/lib.rs:43:132",
            ),
            (
                panic,
                "the guest panicked at handler.py:5",
                "the guest panicked at handler.py:5",
            ),
            (panic, "the guest panicked: `\u{d6}z`", "the guest panicked"),
            (panic, "the guest panicked at ada@example.org: 1", "the guest panicked"),
            (
                panic,
                "the guest panicked at the name \u{d6}z:1: 1",
                "the guest panicked",
            ),
            (ReasonCode::Rejected, "no such user \u{d6}z", "the guest rejected it"),
            (ReasonCode::Retries, "\u{d6}z", "the guest asked for another attempt"),
            (ReasonCode::Schema, "does not fit at `/name`", "does not fit at `/name`"),
        ] {
            assert_eq!(without_guest_text(code, reason), told, "{reason}");
        }
    }

    #[test]
    fn the_page_explains_every_code_and_no_other() {
        let page = include_str!("../../../docs/time-travel.md");
        let rows = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let told: Vec<&str> = rows
            .map(|(word, _)| word)
            .skip_while(|word| *word != "decode")
            .take(REASON_CODES.len())
            .collect();
        let words: Vec<&str> = REASON_CODES.iter().map(|(_, word)| *word).collect();
        assert_eq!(told, words);
    }
}
