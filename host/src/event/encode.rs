//! An envelope to the record that is published: the value and the headers that DreamScape's clients read.

use std::sync::Arc;

use super::{Envelope, Header, OutRecord};

/// An event that is ready to be published.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The topic it goes to.
    pub topic: Arc<str>,
    /// The key that decides its partition and its order.
    pub key: &'a str,
    /// The complete envelope.
    pub envelope: &'a Envelope,
    /// W3C trace context of the work that made it.
    pub traceparent: &'a str,
}

/// The record of an event. The headers are DreamScape's, all of them strings, `correlationId` empty when there is none.
///
/// # Errors
/// None in practice: an envelope is strings and JSON text, which always serialise.
pub fn encode(outgoing: &Outgoing<'_>) -> Result<OutRecord, serde_json::Error> {
    let envelope = outgoing.envelope;
    Ok(OutRecord {
        topic: Arc::clone(&outgoing.topic),
        key: Some(outgoing.key.as_bytes().to_vec()),
        value: Some(serde_json::to_vec(envelope)?),
        headers: vec![
            Header::text("eventType", &envelope.event_type),
            Header::text("source", &envelope.source),
            Header::text("version", &envelope.version),
            Header::text("correlationId", envelope.correlation_id.as_deref().unwrap_or_default()),
            Header::text("timestamp", &envelope.timestamp),
            Header::text("traceparent", outgoing.traceparent),
        ],
    })
}
