//! Bytes of a record to an envelope, or what is wrong with them and where.

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::Envelope;

/// Why the bytes of a record are no envelope. The text goes into the dead letter.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// The record has no value (a tombstone) or an empty one.
    #[error("the record has no value; an event envelope in JSON was expected")]
    Empty,
    /// The value is not text.
    #[error("the value is not UTF-8: the first bad byte is at position {0}")]
    NotUtf8(usize),
    /// The value is not JSON, or not an object.
    #[error("the value is not a JSON object: {0}")]
    NotJson(String),
    /// A field that every envelope has is absent or null.
    #[error("the envelope has no field `{0}`")]
    Missing(&'static str),
    /// A field is there, but holds something else than it should.
    #[error("the envelope's field `{field}` must be {expected}, not {found}")]
    WrongType {
        /// The field's name.
        field: &'static str,
        /// What it should hold.
        expected: &'static str,
        /// The beginning of what it holds.
        found: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    event_id: String,
    event_type: String,
    timestamp: String,
    version: String,
    source: String,
    correlation_id: Option<String>,
    causation_id: Option<String>,
    metadata: Option<Box<RawValue>>,
    payload: Option<Box<RawValue>>,
}

/// Reads the envelope in a record's value. Unknown fields are ignored, as the events' rules of evolution demand.
///
/// # Errors
/// [`DecodeError`] names the field, or the line and column, that is wrong.
pub fn decode(value: Option<&[u8]>) -> Result<Envelope, DecodeError> {
    let bytes = value.filter(|bytes| !bytes.is_empty()).ok_or(DecodeError::Empty)?;
    let text = std::str::from_utf8(bytes).map_err(|error| DecodeError::NotUtf8(error.valid_up_to()))?;
    let wire: Wire = serde_json::from_str(text).map_err(|error| explain(text, &error))?;
    if wire.event_id.is_empty() {
        return Err(wrong_type("eventId", "a string that is not empty", "\"\""));
    }
    Ok(Envelope {
        event_id: wire.event_id,
        event_type: wire.event_type,
        timestamp: wire.timestamp,
        version: wire.version,
        source: wire.source,
        correlation_id: wire.correlation_id.filter(|id| !id.is_empty()),
        causation_id: wire.causation_id.filter(|id| !id.is_empty()),
        metadata: wire.metadata,
        payload: wire.payload.ok_or(DecodeError::Missing("payload"))?,
    })
}

/// The slow way to the same answer, taken only for a bad envelope: serde's own message does not name the field.
fn explain(text: &str, error: &serde_json::Error) -> DecodeError {
    let Ok(fields) = serde_json::from_str::<std::collections::HashMap<&str, &RawValue>>(text) else {
        return DecodeError::NotJson(error.to_string());
    };
    for field in ["eventId", "eventType", "timestamp", "version", "source"] {
        match fields.get(field).map(|raw| raw.get()) {
            None | Some("null") => return DecodeError::Missing(field),
            Some(raw) if !raw.starts_with('"') => return wrong_type(field, "a string", raw),
            Some(_) => {}
        }
    }
    for field in ["correlationId", "causationId"] {
        if let Some(raw) = fields.get(field).map(|raw| raw.get())
            && raw != "null"
            && !raw.starts_with('"')
        {
            return wrong_type(field, "a string", raw);
        }
    }
    DecodeError::NotJson(error.to_string())
}

fn wrong_type(field: &'static str, expected: &'static str, found: &str) -> DecodeError {
    DecodeError::WrongType {
        field,
        expected,
        found: found.chars().take(40).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"eventId":"e1","eventType":"user.created","timestamp":"2025-12-12T10:30:00.000Z",
        "version":"1.0","source":"auth-service","correlationId":"","metadata":null,"payload":{"userId": 1e0 },"x":[1]}"#;

    fn wrong(from: &str, to: &str) -> String {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD);
        decode(Some(text.as_bytes())).unwrap_err().to_string()
    }

    #[test]
    fn the_payload_stays_the_text_that_was_sent() {
        let envelope = decode(Some(GOOD.as_bytes())).unwrap();
        assert_eq!(envelope.payload.get(), r#"{"userId": 1e0 }"#);
        assert_eq!(envelope.correlation_id, None);
        assert!(envelope.metadata.is_none());
    }

    #[test]
    fn every_fault_is_named() {
        assert_eq!(wrong(r#""eventId":"e1","#, ""), "the envelope has no field `eventId`");
        assert_eq!(
            wrong(r#""1.0""#, "1.0"),
            "the envelope's field `version` must be a string, not 1.0"
        );
        assert_eq!(
            wrong(r#""correlationId":"""#, r#""correlationId":{}"#),
            "the envelope's field `correlationId` must be a string, not {}"
        );
        assert_eq!(
            wrong(r#"{"userId": 1e0 }"#, "null"),
            "the envelope has no field `payload`"
        );
        assert!(wrong(r#","x":[1]}"#, r#","x":[1}"#).contains("line 2 column"));
        assert_eq!(decode(Some(b"\"ab\xff\"")).unwrap_err(), DecodeError::NotUtf8(3));
        assert_eq!(decode(None).unwrap_err(), DecodeError::Empty);
        assert!(matches!(decode(Some(b"[1]")).unwrap_err(), DecodeError::NotJson(_)));
    }
}
