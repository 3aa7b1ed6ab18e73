//! The results of commands for dead letters, as the admin API sends them and the commands read them.

use serde::{Deserialize, Serialize};

use super::view::LetterLine;
use sandman_core::event::key_hash;
use sandman_core::store::{LetterHead, OrderResult, Ordered};

/// The result that a redrive of a letter would have now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rehearsed {
    /// The letter.
    pub id: u64,
    /// Its handler.
    pub handler: String,
    /// The version that ran it, if any could.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// How it would fail again, for programs; absent if it would be handled, or cannot be run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How it would fail again, or why it cannot be run, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The change of the key's state: `keep`, `put` or `delete`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The events that it would publish.
    pub events: Vec<RehearsedEvent>,
    /// How often it was redriven.
    pub redriven: u32,
    /// Whether it would not be run at all, for the given reason.
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

/// A redrive job and the letters that it leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveOrdered {
    /// The number of the job.
    pub job: u64,
    /// Letters that are being redriven.
    pub ordered: u64,
    /// Letters that were left out because they were redriven too often; `force` takes them as well.
    pub refused: u64,
    /// Letters that were left out because their key is held; `release` takes them.
    pub held: u64,
    /// Letters that are already being redriven by an earlier job.
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

/// The result of cancelling a redrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveCancelled {
    /// Letters that stay unchanged; attempts of them that were running have no effect.
    pub cancelled: u64,
}

/// The result of dropping letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LettersDropped {
    /// Letters that were dropped.
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

/// The progress of a release of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseProgress {
    /// Letters that are still to run.
    pub remaining: u64,
    /// Letters that failed again, and hold the key.
    pub failed: Vec<LetterLine>,
    /// Letters that wait behind them.
    pub waiting: u64,
}

/// The progress of a redrive job: each of its letters is remaining, handled, a duplicate, failed again or cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedriveProgress {
    /// The job, and the letters that it leaves out.
    #[serde(flatten)]
    pub order: RedriveOrdered,
    /// Letters that are still to be redriven.
    pub remaining: u64,
    /// Letters that were handled.
    pub handled: u64,
    /// Letters whose event had been handled before: they were removed without an invocation.
    pub duplicates: u64,
    /// Letters that failed again.
    pub failed_again: u64,
    /// Letters whose redrive was cancelled.
    pub cancelled: u64,
    /// Those that failed again and still exist; others were dropped in the meantime, or are part of a later job.
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
