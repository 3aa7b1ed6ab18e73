//! Reads JSON by rules that serde_json does not have: a struct is read only from an object, and a value that is not
//! needed causes no error. Pure.

mod mend;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Error, Value};

/// Reads a struct from a JSON object. serde also reads a struct from an array, by the order of its fields; this
/// function does not.
///
/// # Errors
/// If the text is not JSON, not an object, or does not fit.
pub fn object<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Error> {
    if text.trim_ascii_start().first() != Some(&b'{') {
        serde_json::from_slice::<AnyObject>(text)?;
    }
    serde_json::from_slice(text)
}

/// Like [`serde_json::from_str`], for a text whose values are inspected and not passed on: a lone surrogate is read as
/// U+FFFD, and a number beyond a double as the largest one.
///
/// # Errors
/// If the text is not JSON, or nested deeper than serde_json reads.
pub fn lenient(text: &str) -> Result<Value, Error> {
    serde_json::from_str(text).or_else(|_| serde_json::from_str(&mend::mended(text)))
}

/// Where [`lenient`] fails: a JSON pointer to the member that is nested too deeply; empty if no single member is the cause.
pub fn unreadable(text: &str) -> String {
    let Ok(JsonMembers(members)) = serde_json::from_str(text) else {
        return String::new();
    };
    // As deep as it is in the text.
    let fails = |raw: &RawValue| lenient(&format!("[{}]", raw.get())).is_err();
    let found = members.iter().find(|(_, raw)| fails(raw));
    found.map_or_else(String::new, |(name, _)| {
        let name = String::from_utf8_lossy(name).replace('~', "~0").replace('/', "~1");
        format!("/{name}")
    })
}

/// The members of an object, in order.
#[derive(Debug)]
pub struct JsonMembers<'a>(pub Vec<(Cow<'a, [u8]>, &'a RawValue)>);

impl<'de> Deserialize<'de> for JsonMembers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self(Vec::new()))
    }
}

impl<'de> Visitor<'de> for JsonMembers<'de> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some((Name(name), raw)) = map.next_entry()? {
            self.0.push((name, raw));
        }
        Ok(self)
    }
}

/// Any JSON object.
struct AnyObject;

impl<'de> Deserialize<'de> for AnyObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for AnyObject {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Name<'de>, IgnoredAny>()?.is_some() {}
        Ok(self)
    }
}

/// A struct inside another value, read by the rule of [`object`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        object(raw.get().as_bytes()).map(Self).map_err(D::Error::custom)
    }
}

/// The name of a member, as bytes: a name with a lone surrogate is not valid text, and rarely matters.
#[derive(Debug)]
pub struct Name<'a>(pub Cow<'a, [u8]>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(NameVisitor(PhantomData))
    }
}

struct NameVisitor<'a>(PhantomData<&'a ()>);

impl<'de> Visitor<'de> for NameVisitor<'de> {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_borrowed_bytes<E>(self, name: &'de [u8]) -> Result<Name<'de>, E> {
        Ok(Name(name.into()))
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Name<'de>, E> {
        Ok(Name(name.to_vec().into()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        a: u8,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Outer {
        b: Option<Object<Inner>>,
    }

    #[test]
    fn an_array_is_not_a_struct() {
        let read = |text: &str| object::<Outer>(text.as_bytes()).map_err(|error| error.to_string());
        assert_eq!(
            read(r#" {"b":{"a":1}}"#),
            Ok(Outer {
                b: Some(Object(Inner { a: 1 }))
            })
        );
        assert_eq!(read(r#"{"b":null}"#), Ok(Outer { b: None }));
        for (text, words) in [
            ("[null]", "expected a JSON object"),
            (r#"{"b":[1]}"#, "expected a JSON object"),
            ("7", "expected a JSON object"),
            ("{", "EOF"),
            ("", "EOF"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        // What serde itself makes of it.
        assert_eq!(serde_json::from_str::<Inner>("[1]").ok(), Some(Inner { a: 1 }));
    }

    #[test]
    fn what_serde_json_cannot_hold_is_read_all_the_same() {
        let text = r#"{"a":"x\ud800y","b":[1e999,-1e999,2],"\udfff":true,"c":"\ud83d\ude00\\u"}"#;
        assert!(serde_json::from_str::<Value>(text).is_err());
        let expected = json!({
            "a": "x\u{fffd}y", "b": [f64::MAX, f64::MIN, 2], "\u{fffd}": true, "c": "\u{1f600}\\u",
        });
        assert_eq!(lenient(text).unwrap(), expected);
        assert!(lenient("{").is_err());
    }

    #[test]
    fn a_member_that_cannot_be_read_is_named() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let text = |levels: usize| format!(r#"{{"a":1e999,"b/c~":{},"d":2}}"#, deep(levels));
        assert!(lenient(&text(126)).is_ok());
        assert!(lenient(&text(127)).is_err());
        assert_eq!(unreadable(&text(127)), "/b~1c~0");
        assert_eq!(unreadable(&deep(200)), "");
    }

    #[test]
    fn names_are_read_whatever_they_hold() {
        let JsonMembers(members) = serde_json::from_str(r#"{"a":1,"\u0062":2,"\ud800":3}"#).unwrap();
        let names: Vec<_> = members.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, [&b"a"[..], b"b", b"\xed\xa0\x80"]);
    }
}
