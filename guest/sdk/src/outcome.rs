//! The outcome of a handler.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Failure;
use crate::locate::describe_fault;
use crate::objects;

/// Creates a permanent failure: the trigger becomes a dead letter with this text as the reason.
pub fn rejected(reason: impl Into<String>) -> Failure {
    Failure::Rejected(reason.into())
}

/// Creates a temporary failure: the host waits and calls again, up to its limit of attempts.
pub fn retry(reason: impl Into<String>) -> Failure {
    Failure::Retry(reason.into())
}

/// The outcome of a handler. The host commits all of it atomically, or none of it.
///
/// It starts with no changes, and changes are added: `Outcome::new().emit(..).put(state)`.
#[derive(Debug, PartialEq)]
pub struct Outcome<S> {
    /// The change of the key's state.
    pub state: Change<S>,
    /// Events to publish, in this order.
    pub events: Vec<Emitted>,
    /// The answer to a request.
    pub reply: Option<Answer>,
}

/// The change of the state of the trigger's key.
#[derive(Debug, PartialEq)]
pub enum Change<S> {
    /// The state is kept.
    Keep,
    /// The state is replaced by this document.
    Put(S),
    /// The state is deleted.
    Delete,
}

impl<S> Change<S> {
    /// The new document, if there is one.
    pub fn document(&self) -> Option<&S> {
        match self {
            Self::Put(state) => Some(state),
            Self::Keep | Self::Delete => None,
        }
    }
}

/// The answer to a request, made by [`Outcome::reply`].
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status, 200 to 599.
    pub status: u16,
    pub(crate) body: Option<Result<String, String>>,
}

impl Answer {
    /// The body as JSON text, if there is one and it could be serialized.
    pub fn body(&self) -> Option<&str> {
        self.body.as_ref()?.as_deref().ok()
    }
}

impl<S> Outcome<S> {
    /// Nothing changes and nothing is published.
    pub fn new() -> Self {
        Self {
            state: Change::Keep,
            events: Vec::new(),
            reply: None,
        }
    }

    /// Replaces the key's state with this document.
    #[must_use]
    pub fn put(mut self, state: S) -> Self {
        self.state = Change::Put(state);
        self
    }

    /// Deletes the key's state.
    #[must_use]
    pub fn delete(mut self) -> Self {
        self.state = Change::Delete;
        self
    }

    /// Publishes an event under the trigger's key. Its type and version must be declared in the handler's
    /// contract. If the payload cannot be serialized as JSON, the call is rejected with an error that names the event type.
    #[must_use]
    pub fn emit<P: Serialize + ?Sized>(self, event_type: &str, version: &str, payload: &P) -> Self {
        self.emit_event(Emitted::new(event_type, version, payload))
    }

    /// Publishes an event with its own key or metadata.
    #[must_use]
    pub fn emit_event(mut self, event: Emitted) -> Self {
        self.events.push(event);
        self
    }

    /// Answers a request with a status and a JSON body.
    #[must_use]
    pub fn reply<B: Serialize + ?Sized>(mut self, status: u16, body: &B) -> Self {
        self.reply = Some(Answer {
            status,
            body: Some(to_json(body)),
        });
        self
    }

    /// Answers a request with a status and no body.
    #[must_use]
    pub fn reply_empty(mut self, status: u16) -> Self {
        self.reply = Some(Answer { status, body: None });
        self
    }
}

impl<S> Default for Outcome<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// An event to publish; the host fills in the rest of the envelope.
#[derive(Clone, Debug, PartialEq)]
pub struct Emitted {
    /// The event type.
    pub event_type: String,
    /// The version of the payload's format.
    pub version: String,
    /// The record's key in Kafka; the trigger's key by default.
    pub key: Option<String>,
    pub(crate) payload: Result<String, String>,
    pub(crate) metadata: Option<Result<String, String>>,
}

impl Emitted {
    /// Creates an event under the trigger's key.
    pub fn new<P: Serialize + ?Sized>(event_type: &str, version: &str, payload: &P) -> Self {
        Self {
            event_type: event_type.to_owned(),
            version: version.to_owned(),
            key: None,
            payload: to_json(payload),
            metadata: None,
        }
    }

    /// Sets the event's own key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the event's metadata, which must be a JSON object.
    #[must_use]
    pub fn metadata<M: Serialize + ?Sized>(mut self, metadata: &M) -> Self {
        self.metadata = Some(to_json(metadata));
        self
    }

    /// The payload as JSON text, if it could be serialized.
    pub fn payload_json(&self) -> Option<&str> {
        self.payload.as_deref().ok()
    }

    /// Reads the payload back, for tests.
    ///
    /// # Errors
    ///
    /// Rejected, with the name of the invalid field.
    pub fn payload<P: DeserializeOwned>(&self) -> Result<P, Failure> {
        let text = self.payload.as_deref().map_err(|fault| rejected(fault.as_str()))?;
        objects::read(text).map_err(|fault| rejected(describe_fault("payload", text, &fault)))
    }
}

fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String, String> {
    serde_json::to_string(value).map_err(|fault| fault.to_string())
}
