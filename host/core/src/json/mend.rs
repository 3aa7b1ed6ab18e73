//! Writes a JSON text so that serde_json can hold all of its values.

/// The replacement for a lone surrogate.
const REPLACEMENT: &str = "\\ufffd";
/// The largest double.
const LARGEST: &str = "1.7976931348623157e308";

/// The text with lone surrogates as U+FFFD and numbers beyond a double as the largest one. Text that is not JSON stays
/// as it is.
pub(super) fn mended(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['"', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        rest = if let Some(inside) = from.strip_prefix('"') {
            out.push('"');
            string(inside, &mut out)
        } else {
            number(from, &mut out)
        };
    }
    out.push_str(rest);
    out
}

/// Copies a string from behind its first quote to its last one; returns what follows.
fn string<'a>(text: &'a str, out: &mut String) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\\']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if let Some(behind) = from.strip_prefix('"') {
            out.push('"');
            return behind;
        }
        rest = escape(from, out);
    }
    out.push_str(rest);
    ""
}

/// Copies one escape, or a pair of surrogates.
fn escape<'a>(text: &'a str, out: &mut String) -> &'a str {
    let length = match (unit(text), text.get(6..).and_then(unit)) {
        (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
        (Some(0xD800..=0xDFFF), _) => {
            out.push_str(REPLACEMENT);
            return text.get(6..).unwrap_or_default();
        }
        (Some(_), _) => 6,
        // A backslash and the character after it.
        (None, _) => 1 + text.chars().nth(1).map_or(0, char::len_utf8),
    };
    let (copied, rest) = text.split_at_checked(length).unwrap_or((text, ""));
    out.push_str(copied);
    rest
}

/// The code unit that an escape, `\u` and four hexadecimal digits, names at the beginning of the text.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// Copies a number, unless no double holds it.
fn number<'a>(text: &'a str, out: &mut String) -> &'a str {
    let of_number = |letter: char| letter.is_ascii_digit() || matches!(letter, '-' | '+' | '.' | 'e' | 'E');
    let end = text.find(|letter| !of_number(letter)).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    match number.parse::<f64>() {
        Ok(value) if value.is_infinite() => {
            out.push_str(if value < 0.0 { "-" } else { "" });
            out.push_str(LARGEST);
        }
        _ => out.push_str(number),
    }
    rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::mended;

    #[test]
    fn only_what_cannot_be_held_is_changed() {
        for (text, expected) in [
            (r#"{"a":[1,-2.5e3,"x"]}"#, r#"{"a":[1,-2.5e3,"x"]}"#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\uD800""#, r#""\ufffd""#),
            (r#""\ud800\ud83d\ude00\udc00""#, r#""\ufffd\ud83d\ude00\ufffd""#),
            (r#""\\ud800 1e999""#, r#""\\ud800 1e999""#),
            ("1e999", "1.7976931348623157e308"),
            ("[-1E+999]", "[-1.7976931348623157e308]"),
            (r#""\"#, r#""\"#),
            (r#""\u12"#, r#""\u12"#),
            (r#""\é""#, r#""\é""#),
        ] {
            assert_eq!(mended(text), expected);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_copied_or_made_readable(text in r#"[\[\]{}:,"\\ude08D0-9+.é-]{0,40}"#) {
            let mended = mended(&text);
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                prop_assert_eq!(serde_json::from_str::<Value>(&mended).ok(), Some(value));
            } else if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok() {
                prop_assert!(serde_json::from_str::<Value>(&mended).is_ok(), "{}", mended);
            }
        }
    }
}
