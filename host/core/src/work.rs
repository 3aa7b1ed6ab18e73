//! A trigger as it waits in a lane: the event with its original bytes, or the request with everything from HTTP.

use std::sync::Arc;

use crate::event::{Envelope, Record, TraceContext};
use crate::lanes::{HandlerIx, PartitionIx, Work};
use crate::outcome::{EventView, RequestView, Trigger, UploadedFile};
use crate::progress::Span;
use crate::store::LetterId;
use crate::version::Version;

/// An event from a topic, decoded.
#[derive(Debug)]
pub struct EventWork {
    /// The handler it is for.
    pub handler: HandlerIx,
    /// The partition it came from.
    pub partition: PartitionIx,
    /// The offsets it accounts for.
    pub span: Span,
    /// The key of its lane.
    pub key: Arc<str>,
    /// Its envelope.
    pub envelope: Envelope,
    /// The record as it came: a dead letter must hold these bytes.
    pub record: Record,
}

impl EventWork {
    /// The event as the guest sees it.
    pub fn trigger(&self) -> Trigger<'_> {
        Trigger::Event(event_view(&self.key, &self.envelope))
    }
}

/// An event of this key as a guest sees it.
pub fn event_view<'a>(key: &'a str, envelope: &'a Envelope) -> EventView<'a> {
    EventView {
        key,
        event_id: envelope.event_id(),
        event_type: envelope.event_type(),
        version: envelope.version(),
        timestamp: envelope.timestamp(),
        source: envelope.source(),
        correlation_id: envelope.correlation_id(),
        causation_id: envelope.causation_id(),
        metadata: envelope.metadata(),
        payload: envelope.payload(),
    }
}

/// A dead letter that is redriven: a trigger of its own, which accounts for no record of a partition.
#[derive(Debug)]
pub struct LetterWork {
    /// The letter.
    pub id: LetterId,
    /// Whether its key is held: it runs only while the key is being released.
    pub hold: bool,
    /// The version to run it on; `None`: the one that is active for its key at that time.
    pub through: Option<Arc<Version>>,
    /// Its event. `partition` and `span` are not used.
    pub event: EventWork,
}

/// Names a request that waits for its answer, unique in this process.
pub type RequestId = u64;

/// A request on a route, ready for the lanes.
#[derive(Clone, Debug, Default)]
pub struct RequestWork {
    /// The route's handlers, in its order.
    pub handlers: Vec<HandlerIx>,
    /// The key of its lanes.
    pub key: Arc<str>,
    /// The HTTP method, upper case.
    pub method: String,
    /// The route's pattern, as configured.
    pub route: String,
    /// The path's parameters, decoded.
    pub params: Vec<(String, String)>,
    /// The query's parameters, decoded.
    pub query: Vec<(String, String)>,
    /// The verified token's claims, a JSON object as text.
    pub claims: Option<String>,
    /// The body, JSON text.
    pub body: Option<String>,
    /// Uploaded files, stored already.
    pub files: Vec<UploadedFile>,
    /// Taken from the client, or generated.
    pub correlation_id: String,
    /// The trace that the client's request belongs to.
    pub trace: Option<TraceContext>,
    /// The client's `Idempotency-Key`, if it sent one.
    pub idempotency: Option<Idempotency>,
}

/// Identifies repetitions of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The header's value; it identifies a request among those of the same key.
    pub key: String,
    /// SHA-256 of method, route, key and body, lower-case hex.
    pub digest: String,
}

/// The answer to a request. Sent after its commit, never before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The handlers' reply: committed, or, with a status of 400 or above, refused by a handler, and nothing committed.
    Reply {
        /// The HTTP status.
        status: u16,
        /// The body, JSON text.
        body: Option<String>,
    },
    /// The answer that the same request was given before.
    Replayed {
        /// The HTTP status.
        status: u16,
        /// The body, JSON text.
        body: Option<String>,
    },
    /// The `Idempotency-Key` was used for another request.
    IdempotencyMismatch,
    /// The outbox or the number of waiting requests is at its limit; the client should try again later.
    Busy,
    /// The store cannot commit, or a handler failed in a way that another try may help; nothing was committed.
    Unavailable(String),
    /// A handler broke its contract; nothing was committed. The text is for the log.
    Failed(String),
}

impl RequestWork {
    /// The request as the guest sees it.
    pub fn trigger(&self) -> Trigger<'_> {
        Trigger::Request(RequestView {
            key: &self.key,
            method: &self.method,
            route: &self.route,
            params: &self.params,
            query: &self.query,
            claims: self.claims.as_deref(),
            body: self.body.as_deref(),
            files: &self.files,
            correlation_id: &self.correlation_id,
        })
    }
}

/// Work as the pipeline's lanes hold it.
#[derive(Debug)]
pub enum Input {
    /// An event.
    Event(EventWork),
    /// A request; its client waits under this id.
    Request(RequestId, RequestWork),
    /// A dead letter.
    Letter(Box<LetterWork>),
}

impl Work for Input {
    fn partition(&self) -> Option<PartitionIx> {
        match self {
            Self::Event(event) => Some(event.partition),
            Self::Request(..) | Self::Letter(_) => None,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Event(event) => event.record.weight(),
            Self::Request(..) => 0,
            Self::Letter(letter) => letter.event.record.weight(),
        }
    }

    fn goes_first(&self) -> bool {
        matches!(self, Self::Letter(letter) if letter.hold)
    }

    fn runs_again(&self) -> bool {
        !matches!(self, Self::Request(..))
    }
}
