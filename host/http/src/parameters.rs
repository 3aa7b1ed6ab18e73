//! Parses structured header values: lists, and values with parameters, `value; name=value; name="quoted value"`, as in
//! `Content-Type` and `Content-Disposition` (RFC 9110, 7578). Pure.

use axum::http::{HeaderMap, HeaderName};

use super::routes::percent_decode;

/// Names of UTF-8 and its subsets.
const UTF_8: [&str; 4] = ["utf-8", "utf8", "us-ascii", "ascii"];

/// A parsed value. Names are lower case; if one occurs twice, the first counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parameters {
    /// The value before the parameters, lower case.
    pub(super) value: String,
    list: Vec<(String, String)>,
}

impl Parameters {
    /// Parses a header's value. Invalid parts are left out; bytes that are not UTF-8 become U+FFFD.
    pub(super) fn parse(value: &[u8]) -> Self {
        let text = String::from_utf8_lossy(value);
        let mut pieces = pieces(&text).into_iter();
        let value = pieces.next().unwrap_or_default().trim().to_ascii_lowercase();
        let pairs = pieces.filter_map(|piece| piece.split_once('='));
        let list = pairs.map(|(name, value)| (name.trim().to_ascii_lowercase(), unquoted(value.trim())));
        let list = list.collect();
        Self { value, list }
    }

    /// The parameter of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.list.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The parameter of this name, also in the form `name*=UTF-8''percent-encoded` (RFC 5987); U+FFFD if it has another
    /// encoding.
    pub(super) fn decoded(&self, name: &str) -> Option<String> {
        if let Some(plain) = self.get(name) {
            return Some(plain.to_owned());
        }
        let extended = self.get(&format!("{name}*"))?;
        let mut parts = extended.splitn(3, '\'');
        let decoded = match (parts.next(), parts.next(), parts.next()) {
            (Some(charset), Some(_), Some(text)) if is_utf8(charset) => percent_decode(text),
            _ => None,
        };
        Some(decoded.unwrap_or_else(|| '\u{FFFD}'.to_string()))
    }

    /// Whether there is such a parameter in any form: `name`, `name*` (RFC 5987) or `name*0` and so on (RFC 2231).
    pub(super) fn has(&self, name: &str) -> bool {
        let is = |known: &str| known == name || known.strip_prefix(name).is_some_and(|rest| rest.starts_with('*'));
        self.list.iter().any(|(known, _)| is(known))
    }

    /// Whether the described content is UTF-8 as far as is known: `charset` is missing or names it.
    pub(super) fn is_utf8(&self) -> bool {
        self.get("charset").is_none_or(is_utf8)
    }
}

/// The entries of a list header, in one line or several; entries must not contain a comma.
pub(super) fn entries<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    let values = headers.get_all(name).into_iter();
    let entries = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty())
}

/// Whether a charset of this name is UTF-8. Some clients put it in the wrong quotes, or leave it empty.
pub(super) fn is_utf8(charset: &str) -> bool {
    let name = charset.trim_matches(['\'', ' ']);
    name.is_empty() || UTF_8.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Splits the text at semicolons outside of quotes.
fn pieces(text: &str) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let outside = |letter: char| {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ => {}
        }
        letter == ';' && !quoted
    };
    text.split(outside).collect()
}

/// Unquotes a value. A backslash escapes a quote or another backslash; otherwise it is part of the text, because
/// browsers have sent Windows paths.
fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut text = String::with_capacity(inner.len());
    let mut letters = inner.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('\\', Some('"' | '\\')) => text.extend(letters.next()),
            _ => text.push(letter),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Parameters {
        Parameters::parse(text.as_bytes())
    }

    #[test]
    fn names_have_any_case_and_values_may_be_quoted() {
        let read = parsed("Form-Data; Name = \"a;b\\\"c\" ; FILENAME=x y; =;;odd; name=second");
        assert_eq!(read.value, "form-data");
        assert_eq!(read.get("name"), Some("a;b\"c"));
        assert_eq!(read.get("filename"), Some("x y"));
        assert!(!read.has("odd"));
        assert_eq!(parsed("").value, "");
        assert_eq!(parsed("a; b=\"C:\\d\\\\e\"").get("b"), Some("C:\\d\\e"));
        assert_eq!(parsed("a; b=\"open; c=d").get("b"), Some("open; c=d"));
        assert_eq!(parsed("a; b=\"").get("b"), Some(""));
    }

    #[test]
    fn extended_values_are_decoded() {
        let name = |text: &str| parsed(text).decoded("name");
        assert_eq!(name("a; name*=UTF-8''m%C3%A9"), Some("mé".to_owned()));
        assert_eq!(name("a; Name*=utf-8'fr'a'b"), Some("a'b".to_owned()));
        assert_eq!(name("a; name*=UTF-8''x; name=plain"), Some("plain".to_owned()));
        for unknown in ["iso-8859-1''%E9", "UTF-8''%E9", "UTF-8''%4", "UTF-8'x", "x"] {
            assert_eq!(
                name(&format!("a; name*={unknown}")),
                Some("\u{FFFD}".to_owned()),
                "{unknown}"
            );
        }
        assert_eq!(name("a; name2=x; names*=y"), None);
        for there in ["name=", "name*=x", "name*0=x", "NAME*1*=x"] {
            assert!(parsed(&format!("a; {there}")).has("name"), "{there}");
        }
        assert!(!parsed("a; name2=x; names*=y").has("name"));
    }

    #[test]
    fn what_is_a_part_of_utf_8_is_utf_8() {
        for good in [
            "",
            "; charset=UTF-8",
            "; charset=\"utf8\"",
            "; charset='utf-8'",
            "; charset=US-ASCII",
            "; charset=",
        ] {
            assert!(parsed(&format!("application/json{good}")).is_utf8(), "{good}");
        }
        for bad in ["utf-16", "iso-8859-1", "\"UTF-32\"", "utf-8x", "binary"] {
            assert!(!parsed(&format!("application/json; charset={bad}")).is_utf8(), "{bad}");
        }
    }
}
