//! Encodes an envelope as the record that is published, with the value and the headers that DreamScape's clients read.

use std::sync::Arc;

use super::{Header, Headers, OutRecord};

/// The JSON envelope of an event that we publish; its fields are those of [`Envelope`](super::Envelope).
#[derive(Clone, Copy, Debug)]
pub struct NewEnvelope<'a> {
    /// A UUID v4.
    pub event_id: &'a str,
    /// What happened.
    pub event_type: &'a str,
    /// When, ISO 8601 in UTC with milliseconds.
    pub timestamp: &'a str,
    /// Version of the payload's shape.
    pub version: &'a str,
    /// Who publishes it.
    pub source: &'a str,
    /// Carried over from the trigger.
    pub correlation_id: Option<&'a str>,
    /// The `eventId` of the trigger.
    pub causation_id: Option<&'a str>,
    /// A JSON object, as the handler wrote it. It is not checked again.
    pub metadata: Option<&'a str>,
    /// JSON, as the handler wrote it. It is not checked again.
    pub payload: &'a str,
}

impl NewEnvelope<'_> {
    fn write(&self, to: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let texts = [
            ("{\"eventId\":", Some(self.event_id)),
            (",\"eventType\":", Some(self.event_type)),
            (",\"timestamp\":", Some(self.timestamp)),
            (",\"version\":", Some(self.version)),
            (",\"source\":", Some(self.source)),
            (",\"correlationId\":", self.correlation_id),
            (",\"causationId\":", self.causation_id),
        ];
        for (name, text) in texts {
            let Some(text) = text else { continue };
            to.extend_from_slice(name.as_bytes());
            serde_json::to_writer(&mut *to, text)?;
        }
        let json = [(",\"metadata\":", self.metadata), (",\"payload\":", Some(self.payload))];
        for (name, json) in json {
            let Some(json) = json else { continue };
            to.extend_from_slice(name.as_bytes());
            to.extend_from_slice(json.trim_matches(WHITESPACE).as_bytes());
        }
        to.push(b'}');
        Ok(())
    }
}

/// The whitespace that JSON allows around a value.
const WHITESPACE: [char; 4] = [' ', '\n', '\r', '\t'];

/// An event that is ready to be published.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The topic it goes to.
    pub topic: Arc<str>,
    /// The key that decides its partition and its order.
    pub key: &'a str,
    /// The complete envelope.
    pub envelope: NewEnvelope<'a>,
    /// W3C trace context of the work that made it.
    pub traceparent: &'a str,
    /// Additional data of tracing systems.
    pub tracestate: Option<&'a str>,
    /// Its origin, as headers of [`Provenance`](super::Provenance).
    pub provenance: &'a Headers,
}

/// More than the envelope of an ordinary event takes besides its payload, so that the buffer need not grow.
const ROOM: usize = 512;

/// The record of an event. The headers are DreamScape's, all of them strings, `correlationId` empty when there is none, then
/// the trace and the provenance.
///
/// # Errors
/// None in practice: an envelope is strings and JSON text, which always serialise.
pub fn encode(outgoing: &Outgoing<'_>) -> Result<OutRecord, serde_json::Error> {
    let envelope = &outgoing.envelope;
    let headers = [
        Header::text("eventType", envelope.event_type),
        Header::text("source", envelope.source),
        Header::text("version", envelope.version),
        Header::text("correlationId", envelope.correlation_id.unwrap_or_default()),
        Header::text("timestamp", envelope.timestamp),
        Header::text("traceparent", outgoing.traceparent),
    ];
    let state = outgoing.tracestate.map_or(0, str::len);
    let provenance = outgoing.provenance;
    let room = ROOM / 2 + state + provenance.as_bytes().len();
    let mut all = Headers::with_room(headers.len() + 1, room);
    all.extend(headers);
    all.extend(outgoing.tracestate.map(|state| Header::text("tracestate", state)));
    all.append(provenance);
    let mut value = Vec::with_capacity(envelope.payload.len() + ROOM);
    envelope.write(&mut value)?;
    Ok(OutRecord {
        topic: Arc::clone(&outgoing.topic),
        key: Some(outgoing.key.as_bytes().to_vec()),
        value: Some(value),
        headers: all,
        timestamp_millis: None,
    })
}
