//! The outcome of a recording, in a form that two runs can be compared in: without the ids that the host draws.

use serde::{Deserialize, Serialize};

use crate::attempt::{AttemptFailure, Attempted, Decision, FailureCause};
use crate::event::{OutRecord, decode};
use crate::outcome::StateChange;

/// What came of an invocation.
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
        /// In words.
        reason: String,
    },
}

/// What becomes of a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecordedChange {
    /// It stays.
    Keep,
    /// The new document, JSON text.
    Put(String),
    /// It goes.
    Delete,
}

/// An event that was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedEmission {
    /// Its `eventId`, which the host drew; `None` in a replay.
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
    /// What an attempt came to.
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
                reason: failure.reason.clone(),
            },
        }
    }

    /// The same without what another run cannot repeat: the ids that the host drew, and the topics, which the configuration
    /// names.
    #[must_use]
    pub fn comparable(&self) -> Self {
        let mut same = self.clone();
        if let Self::Decided { events, .. } = &mut same {
            for event in events {
                event.event_id = None;
                event.topic.clear();
            }
        }
        same
    }

    /// What it is, in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ignored => "ignored",
            Self::Decided { .. } => "decided",
            Self::Failed { cause, .. } => cause.word(),
        }
    }
}

/// A published record as it is kept; every one of ours is an envelope.
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
