//! The outcome of a recording, in a form in which two runs can be compared: without the ids that the host generates.

use serde::{Deserialize, Serialize};

use crate::attempt::{AttemptFailure, Attempted, Decision, FailureCause};
use crate::event::{OutRecord, decode};
use crate::outcome::StateChange;

/// The outcome of an invocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecordedOutcome {
    /// The version does not consume the event.
    Ignored,
    /// The handler decided.
    Decided {
        /// What becomes of the state.
        state: RecordedChange,
        /// The events that it published, in order.
        events: Vec<RecordedEmission>,
        /// The answer to a request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<RecordedReply>,
    },
    /// There was no outcome.
    Failed {
        /// What failed.
        cause: FailureCause,
        /// The same, as the code of a dead letter: one of [`REASON_CODES`](crate::reason::REASON_CODES).
        #[serde(default, skip_serializing_if = "String::is_empty")]
        code: String,
        /// The reason, as text.
        reason: String,
    },
    /// A dead letter that was redriven, whose event had been handled before: nothing was run.
    Duplicate,
}

/// The change of a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecordedChange {
    /// It stays.
    Keep,
    /// The new document, JSON text.
    Put(String),
    /// It is deleted.
    Delete,
}

/// An event that was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedEmission {
    /// Its `eventId`, which the host generated; `None` in a replay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The topic it went to.
    pub topic: String,
    /// The record's key.
    pub key: String,
    /// The event type.
    pub event_type: String,
    /// The payload's version.
    pub version: String,
    /// The metadata, JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// The payload, JSON text.
    pub payload: String,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedReply {
    /// The HTTP status.
    pub status: u16,
    /// The body, JSON text.
    pub body: Option<String>,
}

impl RecordedOutcome {
    /// The result of an attempt.
    pub fn of(result: &Result<Attempted, AttemptFailure>) -> Self {
        match result {
            Ok(Attempted::Ignored) => Self::Ignored,
            Ok(Attempted::Decided(Decision { state, records, reply })) => Self::Decided {
                state: match state {
                    StateChange::Keep => RecordedChange::Keep,
                    StateChange::Put(document) => RecordedChange::Put(document.to_string()),
                    StateChange::Delete => RecordedChange::Delete,
                },
                events: records.iter().filter_map(emission).collect(),
                reply: reply.as_ref().map(|reply| RecordedReply {
                    status: reply.status,
                    body: reply.body.clone(),
                }),
            },
            Err(failure) => Self::Failed {
                cause: failure.cause,
                code: failure.code.word().to_owned(),
                reason: failure.reason.clone(),
            },
        }
    }

    /// Whether the handler was run, so that it can be run again.
    pub fn was_run(&self) -> bool {
        *self != Self::Duplicate
    }

    /// The same without what another run cannot repeat: the ids that the host generated, and the topics, which depend
    /// on the configuration.
    #[must_use]
    pub fn repeatable(&self) -> Self {
        let mut same = self.clone();
        if let Self::Decided { events, .. } = &mut same {
            for event in events {
                event.event_id = None;
                event.topic.clear();
            }
        }
        same
    }

    /// The same without what does not count in a comparison: also the code, which adds nothing to cause and reason, and
    /// which older recordings do not have.
    #[must_use]
    pub fn comparable(&self) -> Self {
        let mut same = self.repeatable();
        if let Self::Failed { code, .. } = &mut same {
            code.clear();
        }
        same
    }

    /// What it is, in one word; for a failure, its code.
    pub fn word(&self) -> &str {
        match self {
            Self::Ignored => "ignored",
            Self::Decided { .. } => "decided",
            Self::Failed { cause, code, .. } if code.is_empty() => cause.word(),
            Self::Failed { code, .. } => code,
            Self::Duplicate => "duplicate",
        }
    }
}

/// A published record as it is kept; each of them is an envelope.
fn emission(record: &OutRecord) -> Option<RecordedEmission> {
    let envelope = decode(record.value.as_deref()).ok()?;
    Some(RecordedEmission {
        event_id: Some(envelope.event_id().to_owned()),
        topic: record.topic.to_string(),
        key: String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned(),
        event_type: envelope.event_type().to_owned(),
        version: envelope.version().to_owned(),
        metadata: envelope.metadata().map(str::to_owned),
        payload: envelope.payload().to_owned(),
    })
}
