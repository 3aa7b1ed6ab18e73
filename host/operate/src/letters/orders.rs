//! What comes of orders about dead letters, as the admin API tells it and as the commands read it.

use serde::{Deserialize, Serialize};

use super::view::LetterLine;
use sandman_core::event::key_hash;
use sandman_core::store::{LetterHead, OrderResult, Ordered};

/// What a letter would come to if it was redriven now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rehearsed {
    /// The letter.
    pub id: u64,
    /// Its handler.
    pub handler: String,
    /// The version that ran it; nothing where none could.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// How it would fail again, for programs; nothing where it would be handled, or cannot be run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How it would fail again, or why it cannot be run, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What would become of the key's state: `keep`, `put` or `delete`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The events that it would publish.
    pub events: Vec<RehearsedEvent>,
    /// How often it was redriven.
    pub redriven: u32,
    /// Whether it would not be run at all, for the reason that is given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_out: bool,
    /// Whether it would be dropped, as the letter that holds its key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dropped: bool,
}

/// An event that a redrive would publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsedEvent {
    /// Where to.
    pub topic: String,
    /// Bytes of key, value and headers.
    pub bytes: usize,
}

impl Rehearsed {
    pub(super) fn of(head: &LetterHead) -> Self {
        Self {
            id: head.id,
            handler: head.handler.to_string(),
            version: None,
            code: None,
            reason: None,
            state: None,
            events: Vec::new(),
            redriven: head.redriven,
            left_out: false,
            dropped: false,
        }
    }

    pub(super) fn dropped(head: &LetterHead) -> Self {
        Self {
            dropped: true,
            ..Self::of(head)
        }
    }

    pub(super) fn left_out(head: &LetterHead, reason: impl Into<String>) -> Self {
        Self {
            left_out: true,
            ..Self::cannot(head, reason.into())
        }
    }

    pub(super) fn cannot(head: &LetterHead, reason: String) -> Self {
        Self {
            reason: Some(reason),
            ..Self::of(head)
        }
    }
}

/// What an order to redrive came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveOrdered {
    /// Names the order.
    pub job: u64,
    /// Letters that are being redriven.
    pub ordered: u64,
    /// Letters that were left out because they were redriven too often; `force` takes them as well.
    pub refused: u64,
    /// Letters that were left out because their key is held; `release` takes them.
    pub held: u64,
    /// Letters that an earlier order names, which are being redriven already.
    #[serde(default)]
    pub already: u64,
}

impl RedriveOrdered {
    pub(super) fn of(job: u64, ordered: Ordered) -> Self {
        let Ordered {
            ordered,
            refused,
            held,
            already,
        } = ordered;
        Self {
            job,
            ordered,
            refused,
            held,
            already,
        }
    }
}

/// What it came to that an order to redrive was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveCancelled {
    /// Letters that stay as they are; nothing of an attempt of theirs that was running counts.
    pub cancelled: u64,
}

/// What was dropped, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LettersDropped {
    /// Letters that are gone.
    pub dropped: u64,
    /// Letters that were left out because their key is held.
    pub held: u64,
    /// Letters that were left out because they are being redriven.
    pub ordered: u64,
}

/// The key of which something was released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReleasedKey {
    /// As it is.
    Text(String),
    /// By its hash, as those know it who may not read data.
    Hash(String),
}

impl ReleasedKey {
    /// Whether it is this key.
    pub(super) fn is(&self, key: &str) -> bool {
        match self {
            Self::Text(text) => text == key,
            Self::Hash(hash) => *hash == key_hash(key),
        }
    }

    /// The key, where it is known.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Hash(_) => None,
        }
    }
}

/// How what was released of a key stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseProgress {
    /// Letters that are still to run.
    pub remaining: u64,
    /// Letters that failed again, and hold the key.
    pub failed: Vec<LetterLine>,
    /// Letters that wait behind them.
    pub waiting: u64,
}

/// How an order to redrive stands: what was ordered is remaining, handled, a duplicate, failed again or taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedriveProgress {
    /// The order, and what was left out of it.
    #[serde(flatten)]
    pub order: RedriveOrdered,
    /// Letters that are still to be redriven.
    pub remaining: u64,
    /// Letters that were handled.
    pub handled: u64,
    /// Letters whose event had been handled before: they went without an invocation.
    pub duplicates: u64,
    /// Letters that failed again.
    pub failed_again: u64,
    /// Letters whose order was taken back.
    pub cancelled: u64,
    /// Those that failed again and are still there; others were dropped since, or are part of a later order.
    pub failed: Vec<LetterLine>,
}

impl RedriveProgress {
    pub(super) fn of(job: u64, result: &OrderResult, failed: Vec<LetterLine>) -> Self {
        Self {
            order: RedriveOrdered::of(job, result.ordered),
            remaining: result.remaining(),
            handled: result.handled,
            duplicates: result.duplicates,
            failed_again: result.failed,
            cancelled: result.cancelled,
            failed,
        }
    }
}
