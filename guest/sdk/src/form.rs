//! Reads a client's input field by field, so that the response can list all errors at once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::Request;

/// A JSON object sent by a client. Each field is read with a rule; violations are collected with the field's path, and
/// [`Form::finish`] returns all of them. A field that is `null` counts as missing.
///
/// ```
/// use sandman_sdk::form::Form;
///
/// let mut form = Form::parse(Some(r#"{"profile":{"name":"Ada","age":"old"},"news":1}"#))?;
/// let name = form.text("profile.name", |name| Ok(name.to_owned()));
/// let news = form.flag("news");
/// let age = form.value("profile.age", |age| age.as_u64().ok_or("must be a number"));
/// assert_eq!((name.as_deref(), news, age), (Some("Ada"), None, None));
/// assert_eq!(form.finish().unwrap_err(), "news must be true or false; profile.age must be a number");
/// # Ok::<(), String>(())
/// ```
#[derive(Debug)]
pub struct Form {
    root: Map<String, Value>,
    /// Paths of values that JSON has and [`Value`] does not: with half a surrogate, or with a number beyond a double.
    unreadable: BTreeSet<String>,
    faults: Vec<String>,
}

impl Form {
    /// Reads the body of a request.
    ///
    /// # Errors
    ///
    /// Why the body is not a JSON object.
    pub fn of(request: &Request) -> Result<Self, String> {
        Self::parse(request.body.as_deref())
    }

    /// Reads JSON text.
    ///
    /// # Errors
    ///
    /// Why it is not a JSON object.
    pub fn parse(text: Option<&str>) -> Result<Self, String> {
        let mut unreadable = BTreeSet::new();
        let root = text.and_then(|text| members(text, "", &mut unreadable));
        Ok(Self {
            root: root.ok_or("the body must be a JSON object")?,
            unreadable,
            faults: Vec::new(),
        })
    }

    /// Treats every empty string in an object as missing, at any depth, because browsers' forms send empty strings for fields that were
    /// not filled in. Entries of lists are kept.
    #[must_use]
    pub fn without_empty_texts(mut self) -> Self {
        drop_empty_texts(&mut self.root);
        self
    }

    /// Reports every field of a section that is not in this list. The section is a path; an empty path means the whole object.
    pub fn only(&mut self, section: &str, fields: &[&str]) {
        let found = if section.is_empty() {
            Some(&self.root)
        } else {
            find(&self.root, section).ok().and_then(Value::as_object)
        };
        let unknown: Vec<String> = found.into_iter().flatten().map(|(name, _)| name.clone()).collect();
        for name in unknown.iter().filter(|name| !fields.contains(&name.as_str())) {
            let dot = if section.is_empty() { "" } else { "." };
            self.fault::<()>(format!("{section}{dot}{name} is not known"));
        }
    }

    /// Whether there is a value at this path.
    pub fn has(&mut self, path: &str) -> bool {
        self.value(path, |_| Ok(())).is_some()
    }

    /// Reads the value at a path such as `profile.name` with `rule`, whose error says what is expected: `must be …`.
    pub fn value<T>(&mut self, path: &str, rule: impl FnOnce(&Value) -> Result<T, &'static str>) -> Option<T> {
        if let Some(place) = self.unreadable_at(path) {
            return self.fault(format!(
                "{place} must not hold half a surrogate or a number out of range"
            ));
        }
        match find(&self.root, path) {
            Ok(Value::Null) => None,
            Ok(value) => match rule(value) {
                Ok(read) => Some(read),
                Err(must) => self.fault(format!("{path} {must}")),
            },
            Err(section) => self.fault(format!("{section} must be an object")),
        }
    }

    /// Reads a string.
    pub fn text(&mut self, path: &str, rule: impl FnOnce(&str) -> Result<String, &'static str>) -> Option<String> {
        self.value(path, |value| rule(value.as_str().ok_or("must be a text")?))
    }

    /// Reads a boolean.
    pub fn flag(&mut self, path: &str) -> Option<bool> {
        self.value(path, |value| value.as_bool().ok_or("must be true or false"))
    }

    /// Reports a missing field.
    pub fn require(&mut self, path: &str) {
        if matches!(find(&self.root, path), Ok(Value::Null)) && self.unreadable_at(path).is_none() {
            self.fault::<()>(format!("{path} is required"));
        }
    }

    /// Checks that there were no errors.
    ///
    /// # Errors
    ///
    /// All errors in the order of reading, joined by semicolons.
    pub fn finish(self) -> Result<(), String> {
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(self.faults.join("; "))
        }
    }

    /// What cannot be read at this path or around it.
    fn unreadable_at(&self, path: &str) -> Option<String> {
        let covers = |place: &&String| {
            path.strip_prefix(place.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.unreadable.iter().find(covers).cloned()
    }

    /// Notes a fault once, however many fields run into it.
    fn fault<T>(&mut self, fault: String) -> Option<T> {
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
        None
    }
}

/// The members of an object; `null` for what cannot be read, whose paths are noted: nobody may ask for them.
fn members(text: &str, path: &str, unreadable: &mut BTreeSet<String>) -> Option<Map<String, Value>> {
    if let Ok(read) = serde_json::from_str(text) {
        return Some(read);
    }
    let raw: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    let read = raw.into_iter().map(|(name, raw)| {
        let dot = if path.is_empty() { "" } else { "." };
        let at = format!("{path}{dot}{name}");
        let value = serde_json::from_str(raw.get()).ok();
        let value = value.or_else(|| members(raw.get(), &at, unreadable).map(Value::Object));
        let value = value.unwrap_or_else(|| {
            unreadable.insert(at);
            Value::Null
        });
        (name, value)
    });
    Some(read.collect())
}

fn drop_empty_texts(object: &mut Map<String, Value>) {
    object.retain(|_, value| value.as_str() != Some(""));
    for value in object.values_mut() {
        if let Value::Object(inner) = value {
            drop_empty_texts(inner);
        }
    }
}

/// The value at a path, `null` if nothing is there, or the part of the path that is no object.
fn find<'a, 'p>(root: &'a Map<String, Value>, path: &'p str) -> Result<&'a Value, &'p str> {
    let (mut section, mut rest, mut at) = (root, path, 0);
    loop {
        let (name, more) = rest
            .split_once('.')
            .map_or((rest, None), |(name, more)| (name, Some(more)));
        at += name.len();
        let value = section.get(name).unwrap_or(&Value::Null);
        match (value, more) {
            (value, None) => return Ok(value),
            (Value::Null, Some(_)) => return Ok(&Value::Null),
            (Value::Object(inner), Some(more)) => (section, rest, at) = (inner, more, at + 1),
            (_, Some(_)) => return Err(path.get(..at).unwrap_or(path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_is_refused() {
        for text in [None, Some(""), Some("[]"), Some("null"), Some("{\"a\":")] {
            assert_eq!(Form::parse(text).unwrap_err(), "the body must be a JSON object");
        }
    }

    #[test]
    fn null_counts_as_left_out() {
        let mut form = Form::parse(Some(r#"{"a":null,"b":{"c":null}}"#)).unwrap();
        let keep = |text: &str| Ok(text.to_owned());
        assert_eq!(
            (form.text("a", keep), form.text("b.c", keep), form.text("a.x", keep)),
            (None, None, None)
        );
        assert!(form.has("b") && !form.has("a") && !form.has("z"));
        form.finish().unwrap();
    }

    #[test]
    fn empty_texts_may_count_as_left_out() {
        let read = |text: &str| Ok(text.to_owned());
        let body = Some(r#"{"a":"","b":{"c":"","d":" "},"e":["",""]}"#);
        let mut form = Form::parse(body).unwrap().without_empty_texts();
        form.require("a");
        assert_eq!(form.text("b.c", read), None);
        assert_eq!(form.text("b.d", read).as_deref(), Some(" "));
        assert_eq!(form.value("e", |list| Ok(list.as_array().map(Vec::len))), Some(Some(2)));
        assert_eq!(form.finish().unwrap_err(), "a is required");
    }

    #[test]
    fn fields_that_are_not_known_can_be_faults() {
        let mut form = Form::parse(Some(r#"{"a":1,"b":{"c":1,"d":null},"e":7}"#)).unwrap();
        form.only("", &["a", "b"]);
        form.only("b", &["c"]);
        form.only("a", &[]);
        form.only("z.z", &[]);
        assert_eq!(form.finish().unwrap_err(), "e is not known; b.d is not known");
    }

    #[test]
    fn what_cannot_be_read_is_a_fault_only_of_those_who_read_it() {
        let text = r#"{"a":"x","b":{"c":"\ud800","d":true,"list":[1,1e999]},"z":[1e999]}"#;
        let mut form = Form::parse(Some(text)).unwrap();
        assert_eq!(form.text("a", |text| Ok(text.to_owned())).as_deref(), Some("x"));
        assert_eq!(form.flag("b.d"), Some(true));
        form.only("", &["a", "b", "z"]);
        form.require("z");
        form.require("b.c");
        assert_eq!(form.faults, [""; 0]);
        form.text("b.c", |_| Ok(String::new()));
        form.flag("z.more");
        let must = "must not hold half a surrogate or a number out of range";
        assert_eq!(form.finish().unwrap_err(), format!("b.c {must}; z {must}"));
        for text in ["{\"a\":1e999", "[1e999]", "1e999", "{\"a\":1e999} 2"] {
            assert_eq!(
                Form::parse(Some(text)).unwrap_err(),
                "the body must be a JSON object",
                "{text}"
            );
        }
    }

    #[test]
    fn every_fault_is_named_once() {
        let mut form = Form::parse(Some(r#"{"a":[],"b":{"c":{"d":7}},"e":"x"}"#)).unwrap();
        form.flag("a.x");
        form.flag("a.y");
        form.text("b.c.d", |_| Ok(String::new()));
        form.text("e", |_| Err("must be better"));
        form.flag("b.c.d.e");
        form.require("f");
        form.require("a");
        let faults =
            "a must be an object; b.c.d must be a text; e must be better; b.c.d must be an object; f is required";
        assert_eq!(form.finish().unwrap_err(), faults);
    }
}
