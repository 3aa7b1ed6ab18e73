//! The names of uploaded files: their format, and how to find them in a document. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::json;

const EXTENSIONS: [&str; 4] = ["jpg", "jpeg", "png", "gif"];

/// The form field of a file whose name has the host's format, which is also that of DreamScape's earlier service:
/// `avatar` for `avatar-1765535400000-0af3.png`.
pub fn field_of(name: &str) -> Option<&str> {
    let (stem, extension) = name.split_once('.')?;
    let (rest, random) = stem.rsplit_once('-')?;
    let (field, millis) = rest.rsplit_once('-')?;
    let known = EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known));
    let filled = !field.is_empty() && !millis.is_empty() && !random.is_empty();
    let plain =
        millis.bytes().all(|byte| byte.is_ascii_digit()) && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (known && filled && plain).then_some(field)
}

/// Where a file of this name is stored, below the place of all uploads: `avatars/avatar-1765535400000-0af3.png`. `None`
/// for a name in another format.
pub fn path_of(name: &str) -> Option<String> {
    let field = field_of(name)?;
    Some(format!("{field}s/{name}"))
}

/// The files that `after` names if they differ from those that `before` names; otherwise `None`.
pub fn renamed(before: Option<&str>, after: Option<&str>) -> Option<Vec<Arc<str>>> {
    let (before, after) = (names_of(before), names_of(after));
    (before != after).then(|| after.iter().map(|name| name.as_str().into()).collect())
}

fn names_of(document: Option<&str>) -> BTreeSet<String> {
    document.map(names_in).unwrap_or_default()
}

/// Every name of a file in a JSON document, alone or inside a path or a URL.
pub fn names_in(document: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if has_escaped_ascii(document)
        && let Ok(value) = json::lenient(document)
    {
        add_value(&value, &mut names);
    } else {
        add_text(document, &mut names);
    }
    names
}

/// Whether a character that a name may have is perhaps written as `\u00..`: such a document must be parsed.
fn has_escaped_ascii(document: &str) -> bool {
    let escaped = |(at, found): (usize, &str)| {
        let digit = document.as_bytes().get(at + found.len());
        digit.is_some_and(|digit| matches!(digit, b'2'..=b'7'))
    };
    document.match_indices("\\u00").any(escaped)
}

fn add_value(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => add_text(text, names),
        Value::Array(values) => values.iter().for_each(|value| add_value(value, names)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            add_text(name, names);
            add_value(value, names);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Looks for names around each dot that is followed by an extension; a document without one costs a search for dots.
fn add_text(text: &str, names: &mut BTreeSet<String>) {
    for (dot, _) in text.match_indices('.') {
        let (before, after) = text.split_at(dot);
        let follows = |extension: &str| {
            let found = after.get(1..=extension.len());
            found.is_some_and(|found| found.eq_ignore_ascii_case(extension))
        };
        if !EXTENSIONS.into_iter().any(follows) {
            continue;
        }
        let is_outside = |letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'));
        let start = before.rfind(is_outside).map_or(0, |at| {
            at + before
                .get(at..)
                .and_then(|rest| rest.chars().next())
                .map_or(1, char::len_utf8)
        });
        let end = after.find(is_outside).map_or(text.len(), |at| dot + at);
        let word = text.get(start + escape_letters(text, start)..end).unwrap_or_default();
        let word = word.trim_matches('.');
        if field_of(word).is_some() {
            names.insert(word.to_owned());
        }
    }
}

/// How many characters from `start` on belong to an escape that begins before: one after `\` as in `\n`, five as in `\u1234`.
fn escape_letters(text: &str, start: usize) -> usize {
    let before = text.as_bytes().get(..start).unwrap_or_default();
    let slashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
    match (slashes % 2, text.as_bytes().get(start)) {
        (1, Some(b'u')) => 5,
        (1, _) => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "avatar-1765535400000-0af3.png";

    #[test]
    fn names_of_ours_are_told_from_others() {
        assert_eq!(field_of(NAME), Some("avatar"));
        assert_eq!(path_of(NAME).as_deref(), Some("avatars/avatar-1765535400000-0af3.png"));
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
            assert_eq!((field_of(other), path_of(other)), (None, None), "{other}");
        }
    }

    #[test]
    fn a_name_is_found_however_the_document_has_it() {
        for document in [
            r#"{"avatar":"/uploads/avatars/avatar-1765535400000-0af3.png"}"#,
            r#"{"avatar":"https://app.example/uploads/avatars/avatar-1765535400000-0af3.png?size=2#x"}"#,
            r#"{"avatar":"\/uploads\/avatars\/avatar-1765535400000-0af3.png"}"#,
            r#"{"avatar":"/uploads/avatars/\u0061vatar-1765535400000-0af3.png"}"#,
            r#"{"avatar":"/uploads/avatars/avatar-1765535400000-0af3\u002epng"}"#,
            r#"{"files":[{"avatar-1765535400000-0af3.png":"a \"quote\""}]}"#,
            r#"{"avatar":"/uploads/avatars/\u0061vatar-1765535400000-0af3.png","n":1e999,"half":"\ud800"}"#,
            r#""see avatar-1765535400000-0af3.png.""#,
            r#""one a line:\navatar-1765535400000-0af3.png\nand \"quoted\"""#,
            r#""a backslash: \\avatar-1765535400000-0af3.png""#,
            r#""Zoë \u20acavatar-1765535400000-0af3.png""#,
            r#""ëavatar-1765535400000-0af3.png""#,
        ] {
            let names: Vec<_> = names_in(document).into_iter().collect();
            assert_eq!(names, [NAME], "{document}");
        }
        for document in [
            r#"{"avatar":null,"bio":"png. gif. 1.5, see notes.png or x.jpg"}"#,
            r#""avatar-1-2.png.exe""#,
            "",
            ".png",
            "é.png",
        ] {
            assert!(names_in(document).is_empty(), "{document}");
        }
    }

    #[test]
    fn only_a_change_of_names_is_one() {
        let (first, second) = (format!(r#"{{"a":"{NAME}"}}"#), r#"{"a":"photo-1-2.gif"}"#);
        let louder = format!(r#"{{"a":"{NAME}","b":1}}"#);
        assert_eq!(renamed(None, Some("{}")), None);
        assert_eq!(renamed(Some(&first), Some(&louder)), None);
        assert_eq!(renamed(Some(&first), Some(second)), Some(vec!["photo-1-2.gif".into()]));
        assert_eq!(renamed(Some(&first), None), Some(Vec::new()));
        assert_eq!(renamed(None, Some(&first)), Some(vec![NAME.into()]));
    }
}
