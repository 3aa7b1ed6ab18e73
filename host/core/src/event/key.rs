//! Where the key of an event comes from: the record, or a place in the payload.

use std::fmt;
use std::sync::Arc;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use super::Envelope;
use crate::json::Name;

/// Bytes of the longest key in a payload, the same as for requests.
const LONGEST: usize = 256;

/// Where the key of a handler's events comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EventKey {
    /// The record's key; the event's id for a record without one.
    #[default]
    Record,
    /// The string or number at this place of the payload, whatever the record's key is.
    Payload(Pointer),
}

/// A JSON pointer (RFC 6901) to a value in a payload, for example `/user/id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    tokens: Vec<String>,
}

/// Why an event has no key. The text goes into the dead letter and the log, and holds no value.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// The record's key is not text.
    #[error("the record's key is not UTF-8")]
    NotUtf8,
    /// The payload does not have the place.
    #[error("the payload has nothing at `{0}`, where the handler's `key` is")]
    Nothing(Pointer),
    /// The value there cannot be a key.
    #[error("the payload's `{place}`, where the handler's `key` is, must be a string or a number, not {found}")]
    WrongType {
        /// The place.
        place: Pointer,
        /// What is there instead.
        found: &'static str,
    },
    /// The value there is too short, too long, or not printable.
    #[error(
        "the payload's `{0}`, where the handler's `key` is, must have 1 to {LONGEST} bytes and no control characters"
    )]
    OutOfBounds(Pointer),
}

impl EventKey {
    /// The key of an event.
    ///
    /// # Errors
    /// [`KeyError`] if it has none.
    pub fn of(&self, record_key: Option<&[u8]>, envelope: &Envelope) -> Result<Arc<str>, KeyError> {
        let pointer = match self {
            Self::Payload(pointer) => pointer,
            Self::Record => {
                return match record_key {
                    None => Ok(envelope.event_id().into()),
                    Some(bytes) => std::str::from_utf8(bytes).map(Arc::from).map_err(|_| KeyError::NotUtf8),
                };
            }
        };
        let raw = pointer.find(envelope.payload());
        let raw = raw.ok_or_else(|| KeyError::Nothing(pointer.clone()))?;
        let wrong = |found| KeyError::WrongType {
            place: pointer.clone(),
            found,
        };
        let key: Arc<str> = match raw.bytes().next() {
            Some(b'"') => serde_json::from_str(raw).map_err(|_| wrong("half a surrogate"))?,
            // As it is written: a double would not hold every number.
            Some(b'-' | b'0'..=b'9') => raw.into(),
            Some(b'n') => return Err(wrong("null")),
            Some(b'{') => return Err(wrong("an object")),
            Some(b'[') => return Err(wrong("an array")),
            _ => return Err(wrong("true or false")),
        };
        if key.is_empty() || key.len() > LONGEST || key.chars().any(char::is_control) {
            return Err(KeyError::OutOfBounds(pointer.clone()));
        }
        Ok(key)
    }

    /// Parses the setting of `sandman.toml`; `None` if it is invalid.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None => (text == "record").then_some(Self::Record),
            Some(("payload", pointer)) => Pointer::parse(pointer).map(Self::Payload),
            Some(_) => None,
        }
    }
}

impl Pointer {
    /// Parses a pointer; `None` if it is invalid or refers to the whole payload.
    fn parse(text: &str) -> Option<Self> {
        let token = |token: &str| {
            let escapes = token.split('~').skip(1);
            let is_valid = escapes.clone().all(|behind| behind.starts_with(['0', '1']));
            is_valid.then(|| token.replace("~1", "/").replace("~0", "~"))
        };
        let tokens = text.strip_prefix('/')?.split('/').map(token);
        Some(Self {
            text: text.to_owned(),
            tokens: tokens.collect::<Option<_>>()?,
        })
    }

    /// The names and indices that lead there.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The value at this place. If several members have the same name, the last one counts, as in JavaScript.
    fn find<'a>(&self, json: &'a str) -> Option<&'a str> {
        self.tokens.iter().try_fold(json, |json, token| {
            let mut found = serde_json::Deserializer::from_str(json);
            match json.bytes().next()? {
                b'{' => found.deserialize_map(MemberNamed(token)).ok()?,
                b'[' => found.deserialize_seq(ElementAt(index(token)?)).ok()?,
                _ => None,
            }
            .map(RawValue::get)
        })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The array index of a token: digits without leading zeros.
fn index(token: &str) -> Option<usize> {
    let plain = token == "0" || !token.starts_with(['0', '+']);
    plain.then(|| token.parse().ok())?
}

/// Finds a member of an object.
struct MemberNamed<'t>(&'t str);

impl<'de> Visitor<'de> for MemberNamed<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(Name(name)) = map.next_key()? {
            if *name == *self.0.as_bytes() {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Finds an element of an array.
struct ElementAt(usize);

impl<'de> Visitor<'de> for ElementAt {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut at = 0;
        let mut found = None;
        while let Some(element) = elements.next_element::<&RawValue>()? {
            found = found.or((at == self.0).then_some(element));
            at += 1;
        }
        Ok(found)
    }
}

/// The hash of a key for logs: enough to follow one key through the log, too little to identify the user.
pub fn key_hash(key: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::decode;

    fn envelope(payload: &str) -> Envelope {
        let text = format!(
            r#"{{"eventId":"e1","eventType":"a","timestamp":"t","version":"1.0","source":"s","payload":{payload}}}"#
        );
        decode(Some(text.as_bytes())).unwrap()
    }

    fn at(pointer: &str, payload: &str) -> Result<String, String> {
        let key = EventKey::parse(&format!("payload:{pointer}")).unwrap();
        let key = key.of(Some(b"other"), &envelope(payload));
        key.map(|key| key.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_records_key_is_its_own_or_the_events_id() {
        let envelope = envelope("{}");
        assert_eq!(EventKey::Record.of(Some(b"ada"), &envelope).as_deref(), Ok("ada"));
        assert_eq!(EventKey::Record.of(None, &envelope).as_deref(), Ok("e1"));
        assert_eq!(EventKey::Record.of(Some(b"\xff"), &envelope), Err(KeyError::NotUtf8));
    }

    #[test]
    fn a_key_in_the_payload_is_found_whatever_stands_around_it() {
        for (pointer, payload, key) in [
            ("/userId", r#"{"userId":"ada"}"#, "ada"),
            (
                "/userId",
                r#"{ "x" : [1e999, "\ud800"], "\ud800":1, "userId" : "ad\u0061" }"#,
                "ada",
            ),
            ("/userId", r#"{"userId":"eve","userId":"ada"}"#, "ada"),
            ("/user/id", r#"{"user":{"id":7,"name":"x"}}"#, "7"),
            ("/id", r#"{"id":12345678901234567890123}"#, "12345678901234567890123"),
            ("/id", r#"{"id":-1.50e3}"#, "-1.50e3"),
            ("/ids/1", r#"{"ids":["a","b","c"]}"#, "b"),
            ("/a~1b~0c", r#"{"a/b~c":"x"}"#, "x"),
            ("/~01", r#"{"~1":"x"}"#, "x"),
            ("/", r#"{"":"x"}"#, "x"),
            ("/é", r#"{"\u00e9":"é"}"#, "é"),
            ("/0", r#"["x"]"#, "x"),
        ] {
            assert_eq!(at(pointer, payload).as_deref(), Ok(key), "{pointer} in {payload}");
        }
    }

    #[test]
    fn a_payload_without_a_key_says_where_it_was_looked_for() {
        let nothing = "the payload has nothing at `/user/id`, where the handler's `key` is";
        for payload in ["{}", "7", r#"{"user":7}"#, r#"{"user":[1]}"#, r#"{"user":{}}"#, "[]"] {
            assert_eq!(at("/user/id", payload).unwrap_err(), nothing, "{payload}");
        }
        for index in ["/2", "/01", "/-", "/+1", "/x"] {
            assert!(at(index, r#"["a","b"]"#).unwrap_err().contains("nothing at"), "{index}");
        }
        for (value, found) in [
            ("null", "not null"),
            ("true", "not true or false"),
            ("{\"a\":\"secret\"}", "not an object"),
            ("[\"secret\"]", "not an array"),
            ("\"\\ud800\"", "not half a surrogate"),
        ] {
            let error = at("/id", &format!("{{\"id\":{value}}}")).unwrap_err();
            assert!(error.contains("`/id`") && error.ends_with(found), "{error}");
        }
        for value in [String::new(), "a\\nb".to_owned(), "x".repeat(257)] {
            let error = at("/id", &format!("{{\"id\":\"{value}\"}}")).unwrap_err();
            assert!(error.contains("1 to 256 bytes"), "{error}");
        }
    }

    #[test]
    fn only_pointers_are_taken_for_pointers() {
        assert_eq!(EventKey::parse("record"), Some(EventKey::Record));
        for text in [
            "",
            "key",
            "payload",
            "payload:",
            "payload:userId",
            "payload:/a~2",
            "payload:/a~",
            "record:/a",
        ] {
            assert_eq!(EventKey::parse(text), None, "{text}");
        }
    }
}
