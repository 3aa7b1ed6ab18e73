//! Why a trigger was given up, as a code that programs compare and that never changes its meaning.
//!
//! The text beside it is for people, and may change with every version; alerts, filters and redrives go by the code.

use std::fmt;
use std::str::FromStr;

/// Why a trigger was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReasonCode {
    /// The record's bytes are no event.
    Decode,
    /// The event has no key where the handler is to find one.
    Key,
    /// The handler consumes the event type, but not this version of it.
    Contract,
    /// The payload does not fit the schema of its event type, or cannot be checked within the bounds.
    Schema,
    /// The guest said that another attempt will not help.
    Rejected,
    /// The guest asked for another attempt until there were none left.
    Retries,
    /// The guest returned something that is no outcome.
    Outcome,
    /// An event that the guest emitted does not fit its contract, or is too large.
    Emitted,
    /// Nothing is wrong with it: it waits behind a letter of its key (`exhausted = "hold-key"`).
    Held,
    /// The guest trapped.
    Trap(TrapKind),
    /// The guest went over one of its limits.
    Limit(LimitKind),
}

/// How a guest trapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrapKind {
    /// It panicked, and said why.
    Panic,
    /// It reached code that it says it never reaches: a panic without a message, an abort.
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

/// Which limit a guest went over.
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

impl ReasonCode {
    /// The word for it, as in headers, in the store and on the command line.
    pub fn word(self) -> &'static str {
        let found = REASON_CODES.iter().find(|(code, _)| *code == self);
        found.map_or("", |(_, word)| word)
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A word that stands for no code.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no code of a dead letter")]
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
