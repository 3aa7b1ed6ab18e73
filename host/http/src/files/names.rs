//! The names of our files: how they look, and which of them stand in states. Pure.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use sandman_core::json;

const EXTENSIONS: [&str; 4] = ["jpg", "jpeg", "png", "gif"];

/// The field of a file whose name is as we make them, and as the service before us did: `avatar` for
/// `avatar-1765535400000-0af3.png`.
pub(super) fn field_of(name: &str) -> Option<&str> {
    let (stem, extension) = name.split_once('.')?;
    let (rest, random) = stem.rsplit_once('-')?;
    let (field, millis) = rest.rsplit_once('-')?;
    let known = EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known));
    let filled = !field.is_empty() && !millis.is_empty() && !random.is_empty();
    let plain =
        millis.bytes().all(|byte| byte.is_ascii_digit()) && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (known && filled && plain).then_some(field)
}

/// Names of files that were read somewhere, as hashes of 8 bytes. Two names with one hash are taken for one, which keeps a
/// file too long and never removes one too early.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<u64>);

impl Names {
    /// Adds every name of a file that stands in the document, whatever stands around it: a path, a URL, nothing.
    pub(super) fn add_all_in(&mut self, document: &str) {
        // Behind a backslash a letter may be written in other ways, so such a document is read and not just looked at.
        match json::lenient(document) {
            Ok(value) if document.contains('\\') => self.add_value(&value),
            _ => self.add_text(document),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(&hash(name))
    }

    fn add_value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.add_text(text),
            Value::Array(values) => values.iter().for_each(|value| self.add_value(value)),
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                self.add_text(name);
                self.add_value(value);
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn add_text(&mut self, text: &str) {
        let part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
        let words = text.split(|letter| !part(letter)).map(|word| word.trim_matches('.'));
        let names = words.filter(|word| field_of(word).is_some());
        self.0.extend(names.map(hash));
    }
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ours_are_told_from_others() {
        assert_eq!(field_of("avatar-1765535400000-0af3.png"), Some("avatar"));
        assert_eq!(field_of("my-photo-1765535400000-123456789.JPEG"), Some("my-photo"));
        for other in [
            "",
            "avatar.png",
            "avatar-1.png",
            "-1-2.png",
            "avatar-x-2.png",
            "avatar-1-.png",
            "avatar-1-2.svg",
            "avatar-1-2.png.exe",
            "avatar-1-2_3.png",
            "notes.txt",
        ] {
            assert_eq!(field_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_name_is_found_however_the_document_has_it() {
        let name = "avatar-1765535400000-0af3.png";
        for document in [
            r#"{"avatar":"/uploads/avatars/avatar-1765535400000-0af3.png"}"#,
            r#"{"avatar":"https://app.example/uploads/avatars/avatar-1765535400000-0af3.png?size=2#x"}"#,
            r#"{"avatar":"\/uploads\/avatars\/avatar-1765535400000-0af3.png"}"#,
            r#"{"avatar":"/uploads/avatars/\u0061vatar-1765535400000-0af3.png"}"#,
            r#"{"files":[{"avatar-1765535400000-0af3.png":"a \"quote\""}]}"#,
            r#"{"avatar":"/uploads/avatars/\u0061vatar-1765535400000-0af3.png","n":1e999,"half":"\ud800"}"#,
            r#""see avatar-1765535400000-0af3.png.""#,
        ] {
            let mut names = Names::default();
            names.add_all_in(document);
            assert!(names.has(name), "{document}");
            assert!(!names.has("avatar-1765535400000-0af4.png"), "{document}");
        }
    }
}
