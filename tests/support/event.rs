//! Records as clients send them.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::consumer::{Header, Seen};

/// A record to send: usually an envelope, as DreamScape's clients publish it.
#[derive(Clone, Debug)]
pub struct Event {
    /// The envelope's `eventId`.
    pub id: String,
    /// The record's key.
    pub key: Option<Vec<u8>>,
    /// The record's value.
    pub value: Option<Vec<u8>>,
    /// The record's headers.
    pub headers: Vec<Header>,
}

impl Event {
    /// An event of a type, version 1.0, with a payload.
    pub fn new(event_type: &str, key: &str, payload: &Value) -> Self {
        let id = Uuid::new_v4().to_string();
        let envelope = json!({
            "eventId": id,
            "eventType": event_type,
            "timestamp": "2025-12-12T10:30:00.000Z",
            "version": "1.0",
            "source": "tests",
            "payload": payload,
        });
        Self {
            id,
            key: Some(key.as_bytes().to_vec()),
            value: Some(envelope.to_string().into_bytes()),
            headers: [
                ("eventType", event_type),
                ("source", "tests"),
                ("version", "1.0"),
                ("correlationId", ""),
                ("timestamp", "2025-12-12T10:30:00.000Z"),
            ]
            .map(|(name, value)| Header::new(name, value))
            .to_vec(),
        }
    }

    /// A record that was read, once more.
    pub fn again(seen: Seen) -> Self {
        Self {
            id: String::new(),
            key: seen.key,
            value: seen.value,
            headers: seen.headers,
        }
    }

    /// What the guest `echo` counts: input number `n` of a key.
    pub fn thing(key: &str, n: u64) -> Self {
        Self::new("thing.happened", key, &json!({ "n": n }))
    }

    /// The same, for which the guest takes `burn` thousand steps.
    pub fn slow_thing(key: &str, n: u64, burn: u64) -> Self {
        Self::new("thing.happened", key, &json!({ "n": n, "burn": burn }))
    }

    /// An order to the guest `hostile`, for example `told("key", "burn", 5)`.
    pub fn told(key: &str, what: &str, n: u64) -> Self {
        Self::told_with(key, what, n, "")
    }

    /// The same, with a text.
    pub fn told_with(key: &str, what: &str, n: u64, text: &str) -> Self {
        Self::new("hostile.told", key, &json!({ "do": what, "n": n, "text": text }))
    }

    /// Bytes that may be no envelope.
    pub fn bytes(key: &str, value: &[u8]) -> Self {
        Self {
            id: String::new(),
            key: Some(key.as_bytes().to_vec()),
            value: Some(value.to_vec()),
            headers: Vec::new(),
        }
    }

    /// The same with another value.
    #[must_use]
    pub fn with_value(self, value: Option<&[u8]>) -> Self {
        Self {
            value: value.map(<[u8]>::to_vec),
            ..self
        }
    }

    /// The same with another key.
    #[must_use]
    pub fn with_key(self, key: Option<&[u8]>) -> Self {
        Self {
            key: key.map(<[u8]>::to_vec),
            ..self
        }
    }
}
