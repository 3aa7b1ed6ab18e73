//! The JSON envelope that every event travels in.

use serde_json::value::RawValue;

/// A decoded envelope. The payload and the metadata stay the JSON text that was sent: the host never re-writes them.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Unique id of the event; a UUID v4 when we made it.
    pub event_id: String,
    /// What happened, for example `user.created`.
    pub event_type: String,
    /// When it happened, ISO 8601 in UTC with milliseconds when we made it.
    pub timestamp: String,
    /// Version of the payload's shape, for example `1.0`.
    pub version: String,
    /// The service that published it.
    pub source: String,
    /// Ties together everything that one request set off.
    pub correlation_id: Option<String>,
    /// The `eventId` of the event that caused this one.
    pub causation_id: Option<String>,
    /// Free JSON object beside the payload.
    pub metadata: Option<Box<RawValue>>,
    /// The event's own data, JSON text.
    pub payload: Box<RawValue>,
}
