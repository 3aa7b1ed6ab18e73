//! The result of an invocation, for people or as JSON.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::Bench;
use crate::telemetry::CapturedLine;
use sandman_core::attempt::Decision;
use sandman_core::event::{OutRecord, decode};
use sandman_core::outcome::{Reply, StateChange};

/// How an invocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InvokeVerdict {
    /// The handler returned a valid outcome.
    Done,
    /// The handler does not consume the event; the guest was not called.
    Ignored,
    /// Trying again would not help: it would become a dead letter.
    Rejected,
    /// The handler asked for another attempt.
    Retry,
    /// The guest trapped.
    Trap,
    /// The guest exceeded a limit.
    Exceeded,
    /// The guest's outcome is invalid, or violates its contract.
    Invalid,
}

impl InvokeVerdict {
    /// Whether the trigger would be done, without a dead letter.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Done | Self::Ignored)
    }
}

/// The result of an invocation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InvokeReport {
    /// The handler's name.
    pub handler: String,
    /// The component's sha256, lower-case hex.
    pub digest: String,
    /// How it ended.
    pub outcome: InvokeVerdict,
    /// Why there is no outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The change of the key's state.
    pub state: State,
    /// Events to publish, in order.
    pub events: Vec<Emitted>,
    /// The answer to a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<ReplyReport>,
    /// What the guest logged.
    pub logs: Vec<CapturedLine>,
    /// CPU time of the call, in microseconds, including the creation of the instance.
    pub cpu_micros: u64,
    /// The most linear memory that it held, in bytes.
    pub memory_bytes: u64,
}

/// The change of the key's state.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "change", content = "document")]
pub enum State {
    /// It stays.
    Keep,
    /// The new document, as the guest wrote it.
    Put(Json),
    /// It is deleted.
    Delete,
}

/// JSON as the guest wrote it, to the byte; a string if it is invalid.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Json {
    /// It is JSON.
    Raw(Box<RawValue>),
    /// It is not.
    Text(String),
}

impl Json {
    fn of(text: &str) -> Self {
        RawValue::from_string(text.to_owned()).map_or_else(|_| Self::Text(text.to_owned()), Self::Raw)
    }

    /// The text.
    pub fn get(&self) -> &str {
        match self {
            Self::Raw(raw) => raw.get(),
            Self::Text(text) => text,
        }
    }
}

/// An event to publish.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Emitted {
    /// The event type.
    pub event_type: String,
    /// The payload's version.
    pub version: String,
    /// Its own key, if it is not the trigger's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Json>,
    /// The payload.
    pub payload: Json,
}

/// The answer to a request.
#[derive(Debug, Serialize)]
pub struct ReplyReport {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Json>,
}

impl InvokeReport {
    pub(super) fn new(
        bench: &Bench<'_>,
        (outcome, reason): (InvokeVerdict, Option<String>),
        (decision, key): (Decision, &str),
    ) -> Self {
        Self {
            handler: bench.handler.name.to_string(),
            digest: bench.version.digest.to_string(),
            outcome,
            reason,
            state: match decision.state {
                StateChange::Keep => State::Keep,
                StateChange::Put(text) => State::Put(Json::of(&text)),
                StateChange::Delete => State::Delete,
            },
            events: decision
                .records
                .iter()
                .filter_map(|record| emitted(record, key))
                .collect(),
            reply: decision.reply.map(|Reply { status, body }| ReplyReport {
                status,
                body: body.as_deref().map(Json::of),
            }),
            logs: Vec::new(),
            cpu_micros: 0,
            memory_bytes: 0,
        }
    }

    pub(super) fn cost(mut self, cpu: Duration, memory: u64) -> Self {
        self.cpu_micros = u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX);
        self.memory_bytes = memory;
        self
    }

    pub(super) fn said(mut self, logs: Vec<CapturedLine>) -> Self {
        self.logs = logs;
        self
    }

    /// Whether the answer is an error, with which a request changes nothing.
    pub fn is_refusal(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| reply.status >= 400)
    }
}

/// An event as it would be published; `key` is the trigger's.
fn emitted(record: &OutRecord, key: &str) -> Option<Emitted> {
    let envelope = decode(record.value.as_deref()).ok()?;
    let own = record.key.as_deref().filter(|own| *own != key.as_bytes());
    Some(Emitted {
        metadata: envelope.metadata().map(Json::of),
        payload: Json::of(envelope.payload()),
        event_type: envelope.event_type().to_owned(),
        version: envelope.version().to_owned(),
        key: own.map(|own| String::from_utf8_lossy(own).into_owned()),
    })
}
