//! Decodes the bytes of a record to an envelope, or says what is wrong and where.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use thiserror::Error;

use super::Envelope;
use super::envelope::EnvelopeFields;
use crate::json::{JsonMembers, Name};

/// Why the bytes of a record are not an envelope. The text goes into the dead letter.
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
    /// A field has a value of the wrong type.
    #[error("the envelope's field `{field}` must be {expected}, not {found}")]
    WrongType {
        /// The field's name.
        field: &'static str,
        /// The type that it should have.
        expected: &'static str,
        /// The type that it has. The value itself may be personal data.
        found: &'static str,
    },
    /// A field has invalid text, such as a lone surrogate.
    #[error("the envelope's field `{field}` cannot be read: {reason}")]
    Unreadable {
        /// The field's name.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads the envelope in a record's value. Unknown fields are ignored, as the rules for changes of events require.
///
/// # Errors
/// [`DecodeError`] names the field, or the line and column, that is wrong.
pub fn decode(value: Option<&[u8]>) -> Result<Envelope, DecodeError> {
    let bytes = value.filter(|bytes| !bytes.is_empty()).ok_or(DecodeError::Empty)?;
    let text = std::str::from_utf8(bytes).map_err(|error| DecodeError::NotUtf8(error.valid_up_to()))?;
    let wire: Wire<'_> = serde_json::from_str(text).map_err(|error| explain(text, &error))?;
    let required = |field: &'static str, found: &Option<TextSpan<'_>>| match found {
        Some(_) => Ok(()),
        None => Err(DecodeError::Missing(field)),
    };
    required(EVENT_ID, &wire.event_id)?;
    if text_of(&wire.event_id).is_empty() {
        return Err(wrong_type(EVENT_ID, "a string that is not empty", "\"\""));
    }
    required(EVENT_TYPE, &wire.event_type)?;
    required(TIMESTAMP, &wire.timestamp)?;
    required(VERSION, &wire.version)?;
    required(SOURCE, &wire.source)?;
    let payload = wire.payload.flatten().ok_or(DecodeError::Missing(PAYLOAD))?;
    Ok(Envelope::new(&EnvelopeFields {
        event_id: text_of(&wire.event_id),
        event_type: text_of(&wire.event_type),
        timestamp: text_of(&wire.timestamp),
        version: text_of(&wire.version),
        source: text_of(&wire.source),
        correlation_id: wire.correlation_id.as_ref().map_or("", text_of),
        causation_id: wire.causation_id.as_ref().map_or("", text_of),
        metadata: wire.metadata.flatten().map_or("", RawValue::get),
        payload: payload.get(),
    }))
}

const EVENT_ID: &str = "eventId";
const EVENT_TYPE: &str = "eventType";
const TIMESTAMP: &str = "timestamp";
const VERSION: &str = "version";
const SOURCE: &str = "source";
const CORRELATION_ID: &str = "correlationId";
const CAUSATION_ID: &str = "causationId";
const METADATA: &str = "metadata";
const PAYLOAD: &str = "payload";
/// Fields that every envelope has, all of them text.
const REQUIRED: [&str; 5] = [EVENT_ID, EVENT_TYPE, TIMESTAMP, VERSION, SOURCE];
/// Fields that an envelope may have, text as well.
const OPTIONAL: [&str; 2] = [CORRELATION_ID, CAUSATION_ID];

/// The fields of an envelope as they were found. Deserialized by hand: serde's derived code accepts an array for an
/// object, and refuses a name with a lone surrogate even if the field is not needed.
#[derive(Default)]
struct Wire<'a> {
    event_id: Option<TextSpan<'a>>,
    event_type: Option<TextSpan<'a>>,
    timestamp: Option<TextSpan<'a>>,
    version: Option<TextSpan<'a>>,
    source: Option<TextSpan<'a>>,
    correlation_id: Option<Option<TextSpan<'a>>>,
    causation_id: Option<Option<TextSpan<'a>>>,
    metadata: Option<Option<&'a RawValue>>,
    payload: Option<Option<&'a RawValue>>,
}

/// A string, borrowed where it has no escapes.
struct TextSpan<'a>(Cow<'a, str>);

fn text_of<'t>(text: &'t Option<TextSpan<'_>>) -> &'t str {
    text.as_ref().map_or("", |TextSpan(text)| text)
}

impl<'de> Deserialize<'de> for TextSpan<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = TextSpan<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<TextSpan<'de>, E> {
                Ok(TextSpan(text.into()))
            }
            fn visit_str<E>(self, text: &str) -> Result<TextSpan<'de>, E> {
                Ok(TextSpan(text.to_owned().into()))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

impl<'de> Deserialize<'de> for Wire<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self::default())
    }
}

impl<'de> Visitor<'de> for Wire<'de> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event envelope")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            match &*name {
                b"eventId" => once(&mut self.event_id, EVENT_ID, &mut map)?,
                b"eventType" => once(&mut self.event_type, EVENT_TYPE, &mut map)?,
                b"timestamp" => once(&mut self.timestamp, TIMESTAMP, &mut map)?,
                b"version" => once(&mut self.version, VERSION, &mut map)?,
                b"source" => once(&mut self.source, SOURCE, &mut map)?,
                b"correlationId" => once(&mut self.correlation_id, CORRELATION_ID, &mut map)?,
                b"causationId" => once(&mut self.causation_id, CAUSATION_ID, &mut map)?,
                b"metadata" => once(&mut self.metadata, METADATA, &mut map)?,
                b"payload" => once(&mut self.payload, PAYLOAD, &mut map)?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(self)
    }
}

fn once<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    slot: &mut Option<T>,
    name: &'static str,
    map: &mut A,
) -> Result<(), A::Error> {
    if slot.is_some() {
        return Err(A::Error::duplicate_field(name));
    }
    *slot = Some(map.next_value()?);
    Ok(())
}

/// The slow path for invalid envelopes only, because serde's own message does not name the field.
fn explain(text: &str, error: &serde_json::Error) -> DecodeError {
    let JsonMembers(members) = match serde_json::from_str(text) {
        Ok(members) => members,
        // For JSON of another type serde's message has the value, which must not be logged.
        Err(error) if error.is_data() && !text.trim_start().starts_with(['[', '{']) => {
            return DecodeError::NotJson("it is a string, a number, true, false or null".to_owned());
        }
        // For text that is not JSON the message has no value.
        Err(error) => return DecodeError::NotJson(error.to_string()),
    };
    let find = |field: &str| members.iter().find(|(name, _)| **name == *field.as_bytes());
    for field in REQUIRED.into_iter().chain(OPTIONAL) {
        let raw = find(field).map(|(_, raw)| raw.get());
        match raw {
            None | Some("null") if REQUIRED.contains(&field) => return DecodeError::Missing(field),
            None | Some("null") => {}
            Some(raw) if !raw.starts_with('"') => return wrong_type(field, "a string", raw),
            Some(raw) => {
                if let Err(error) = serde_json::from_str::<String>(raw) {
                    let reason = error.to_string();
                    return DecodeError::Unreadable { field, reason };
                }
            }
        }
    }
    DecodeError::NotJson(error.to_string())
}

fn wrong_type(field: &'static str, expected: &'static str, found: &str) -> DecodeError {
    let found = match found.bytes().next() {
        Some(b'"') => "an empty one",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "true or false",
        _ => "a number",
    };
    DecodeError::WrongType { field, expected, found }
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
        assert_eq!(envelope.payload(), r#"{"userId": 1e0 }"#);
        assert_eq!(envelope.correlation_id(), None);
        assert!(envelope.metadata().is_none());
    }

    #[test]
    fn every_fault_is_named() {
        assert_eq!(wrong(r#""eventId":"e1","#, ""), "the envelope has no field `eventId`");
        assert_eq!(
            wrong(r#""1.0""#, "1.0"),
            "the envelope's field `version` must be a string, not a number"
        );
        assert_eq!(
            wrong(r#""correlationId":"""#, r#""correlationId":{}"#),
            "the envelope's field `correlationId` must be a string, not an object"
        );
        assert_eq!(
            wrong(r#"{"userId": 1e0 }"#, "null"),
            "the envelope has no field `payload`"
        );
        assert!(wrong(r#","x":[1]}"#, r#","x":[1}"#).contains("line 2 column"));
        assert_eq!(decode(Some(b"\"ab\xff\"")).unwrap_err(), DecodeError::NotUtf8(3));
        assert_eq!(decode(None).unwrap_err(), DecodeError::Empty);
        assert!(matches!(decode(Some(b"[1]")).unwrap_err(), DecodeError::NotJson(_)));
        let told = decode(Some(b"\"ada\"")).unwrap_err().to_string();
        assert!(!told.contains("ada"), "{told}");
        assert!(
            wrong(r#""version":"1.0""#, r#""version":"\ud800""#)
                .starts_with("the envelope's field `version` cannot be read")
        );
        assert!(wrong(r#""x":[1]"#, r#""source":"twice""#).contains("duplicate field `source`"));
        assert_eq!(
            wrong(r#""eventType":"user.created""#, r#""event\u0054ype":7"#),
            "the envelope's field `eventType` must be a string, not a number"
        );
    }

    #[test]
    fn a_fault_shows_nothing_of_the_value() {
        for (field, value) in [
            ("eventId", "\"\""),
            ("eventId", "{\"a\":\"hush\"}"),
            ("source", "[\"hush\"]"),
            ("version", "4711"),
        ] {
            let text = GOOD.replace(&format!("\"{field}\":"), &format!("\"{field}\":{value},\"x{field}\":"));
            for text in [text.clone(), text.replace("[1]", "[1")] {
                let fault = decode(Some(text.as_bytes())).unwrap_err().to_string();
                assert!(!fault.contains("hush") && !fault.contains("4711"), "{fault}");
            }
        }
    }

    #[test]
    fn an_array_is_no_envelope_though_serde_would_take_it_for_one() {
        let text = r#"["e1","user.created","t","1.0","auth-service",null,null,null,{"userId":"u"}]"#;
        let error = decode(Some(text.as_bytes())).unwrap_err().to_string();
        assert!(
            error.starts_with("the value is not a JSON object: invalid type: sequence"),
            "{error}"
        );
    }

    #[test]
    fn what_nobody_reads_spoils_nothing() {
        let text = GOOD.replace(r#""x":[1]"#, r#""x":["\udc00",1e999],"\ud800":1e999"#);
        let text = text.replace("1e0", r#""\ud83d",  "n":1e999,"m":123456789012345678901"#);
        let envelope = decode(Some(text.as_bytes())).unwrap();
        assert_eq!(
            envelope.payload(),
            r#"{"userId": "\ud83d",  "n":1e999,"m":123456789012345678901 }"#
        );
    }
}
