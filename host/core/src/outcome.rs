//! The input and the outcome of a guest, as types of the host.
//!
//! The sandbox translates these from and to the WIT contract; nothing here knows of WebAssembly.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::reason::{LimitKind, TrapKind};

/// What calls a handler, borrowed from the work in its lane.
#[derive(Clone, Copy, Debug)]
pub enum Trigger<'a> {
    /// An event from a topic.
    Event(EventView<'a>),
    /// An HTTP request on a route.
    Request(RequestView<'a>),
}

/// The event as a guest sees it.
#[derive(Clone, Copy, Debug)]
pub struct EventView<'a> {
    /// The key that orders it: the record's key.
    pub key: &'a str,
    /// The envelope's `eventId`.
    pub event_id: &'a str,
    /// The envelope's `eventType`.
    pub event_type: &'a str,
    /// The envelope's `version`.
    pub version: &'a str,
    /// The envelope's `timestamp`, as it was sent.
    pub timestamp: &'a str,
    /// The envelope's `source`.
    pub source: &'a str,
    /// The envelope's `correlationId`.
    pub correlation_id: Option<&'a str>,
    /// The envelope's `causationId`.
    pub causation_id: Option<&'a str>,
    /// The envelope's `metadata`, JSON text.
    pub metadata: Option<&'a str>,
    /// The envelope's `payload`, JSON text.
    pub payload: &'a str,
}

/// The request as a guest sees it.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    /// The key that orders it.
    pub key: &'a str,
    /// The HTTP method, upper case.
    pub method: &'a str,
    /// The route's pattern, as configured.
    pub route: &'a str,
    /// The path's parameters, in order.
    pub params: &'a [(String, String)],
    /// The query's parameters, decoded, in order.
    pub query: &'a [(String, String)],
    /// The verified token's claims, a JSON object as text.
    pub claims: Option<&'a str>,
    /// The body, JSON text.
    pub body: Option<&'a str>,
    /// Uploaded files that the host has stored.
    pub files: &'a [UploadedFile],
    /// The request's correlation id.
    pub correlation_id: &'a str,
}

/// A file of a multipart upload, as the guest sees it: never its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadedFile {
    /// The form field's name.
    pub field: String,
    /// Where the file is served from.
    pub url: String,
    /// The media type, known by content.
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the content, lower-case hex.
    pub digest: String,
}

/// What a handler sees besides its trigger and state.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The time, which the host reads once for an invocation: milliseconds since 1970.
    pub now_millis: i64,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The handler's own settings, a JSON object as text.
    pub settings: &'a str,
}

/// What a handler decided.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The change of the key's state.
    pub state: StateChange,
    /// Events to publish, in order.
    pub events: Vec<EmittedEvent>,
    /// The answer to a request.
    pub reply: Option<Reply>,
}

/// The change of a key's state.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum StateChange {
    /// Nothing changes.
    #[default]
    Keep,
    /// The new document, JSON text.
    Put(Arc<str>),
    /// The document is deleted.
    Delete,
}

/// An event that a handler wants published; the host fills in the rest of the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmittedEvent {
    /// The event type, which must be granted.
    pub event_type: String,
    /// The payload's version.
    pub version: String,
    /// The payload, JSON text.
    pub payload: String,
    /// The record's key; the trigger's key when left out.
    pub key: Option<String>,
    /// The envelope's metadata, JSON object as text.
    pub metadata: Option<String>,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status, 200 to 599.
    pub status: u16,
    /// The body, JSON text.
    pub body: Option<String>,
}

/// A handler's own refusal: the `failure` of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Trying again will not help: the trigger becomes a dead letter.
    Rejected(String),
    /// Trying again may help.
    Retry(String),
}

/// Why an invocation gave no outcome, as far as the pipeline needs to know. The text says which handler and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The handler said that trying again will not help.
    Rejected(String),
    /// Its outcome is invalid; since it is a pure function, trying again will not help.
    Invalid(String),
    /// The handler asked for another attempt.
    Retry(String),
    /// The guest trapped; counts as a retry.
    Trap(TrapKind, String),
    /// The guest exceeded a limit; counts as a retry.
    Exceeded(LimitKind, String),
}

/// The guest side of the pipeline: one version of a handler, ready to be called from any thread. It guarantees that its
/// outcomes are JSON where they must be: they are not checked again.
pub trait Guest: Send + Sync {
    /// Runs the handler once.
    ///
    /// # Errors
    /// [`Fault`] if there is no outcome.
    fn invoke(&self, trigger: Trigger<'_>, state: Option<&str>, context: Context<'_>) -> Result<Outcome, Fault>;

    /// The most memory that one invocation has used so far, in bytes; 0 where that is not known.
    fn peak_memory(&self) -> u64 {
        0
    }

    /// Linear memory that the last invocation on this thread held, in bytes; 0 where that is not known.
    fn last_memory(&self) -> u64 {
        0
    }

    /// Whether an instance may be called again after a call, so that the guest could keep something in it.
    fn reuses_instances(&self) -> bool {
        false
    }
}
