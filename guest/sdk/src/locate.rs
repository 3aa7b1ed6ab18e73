//! Names the field of a JSON text that serde could not read.
//!
//! serde_json only reports the line and column. The path is found by scanning the text a second time after an error, so
//! that reading a valid text costs nothing extra and a handler does not contain a second deserializer per type.

use serde::de::IgnoredAny;

/// The error with the path of the innermost value that contains it, and without that value: ``payload.address.zip: invalid
/// type: integer, expected a string``. The text may be logged, so it must not contain the sender's data.
pub(crate) fn describe_fault(what: &str, text: &str, fault: &serde_json::Error) -> String {
    let message = fault.to_string();
    let bare = message.rsplit_once(" at line ").map_or(&*message, |(bare, _)| bare);
    // Half a surrogate and a number beyond a double are JSON, though nothing holds them.
    let path = if fault.is_data() || serde_json::from_str::<IgnoredAny>(text).is_ok() {
        path_at(text.as_bytes(), offset_of(text, fault))
    } else {
        String::new()
    };
    format!("{what}{path}: {}", without_value(bare))
}

/// serde's message without the value in it: ``invalid type: string "x", expected u8``.
fn without_value(message: &str) -> String {
    for problem in ["invalid type: ", "invalid value: "] {
        if let Some(found) = message.strip_prefix(problem)
            && let Some((found, expected)) = found.rsplit_once(", expected ")
        {
            let kind = found.split(['"', '`']).next().unwrap_or_default().trim_end();
            return format!("{problem}{kind}, expected {expected}");
        }
    }
    for allowed in ["expected ", "there are no variants"] {
        if let Some(found) = message.strip_prefix("unknown variant `")
            && let Some((_, known)) = found.rsplit_once(&format!("`, {allowed}"))
        {
            return format!("unknown variant, {allowed}{known}");
        }
    }
    message.to_owned()
}

/// serde_json's line and column (in bytes, of the last byte it read) as an offset into the text.
fn offset_of(text: &str, fault: &serde_json::Error) -> usize {
    let lines: usize = text
        .split_inclusive('\n')
        .take(fault.line().saturating_sub(1))
        .map(str::len)
        .sum();
    lines + fault.column()
}

/// The path of the innermost member or element at byte `end` of a well-formed text.
fn path_at(text: &[u8], end: usize) -> String {
    let mut walk = Walk { open: Vec::new() };
    let mut rest = text
        .get(..end.min(text.len()))
        .unwrap_or(text)
        .iter()
        .copied()
        .enumerate();
    while let Some((at, byte)) = rest.next() {
        match byte {
            b'{' => walk.open.push(Step::Key(String::new())),
            b'[' => walk.open.push(Step::Index(0)),
            b'}' | b']' if at + 1 < end => drop(walk.open.pop()),
            b',' => walk.next(),
            b'"' => {
                let start = at;
                let mut stop = text.len();
                let mut escaped = false;
                for (at, byte) in rest.by_ref() {
                    match byte {
                        _ if escaped => escaped = false,
                        b'\\' => escaped = true,
                        b'"' => {
                            stop = at + 1;
                            break;
                        }
                        _ => {}
                    }
                }
                walk.string(text.get(start..stop).unwrap_or_default());
            }
            _ => {}
        }
        // A fault at the closing byte lies in the whole value, not in its last member.
        if matches!(byte, b'}' | b']') && at + 1 == end {
            walk.open.pop();
        }
    }
    walk.path()
}

enum Step {
    Key(String),
    Index(usize),
}

struct Walk {
    open: Vec<Step>,
}

impl Walk {
    fn next(&mut self) {
        match self.open.last_mut() {
            Some(Step::Index(index)) => *index += 1,
            Some(Step::Key(key)) => key.clear(),
            None => {}
        }
    }

    /// A string is a member's name if none has been read since the last brace or comma.
    fn string(&mut self, quoted: &[u8]) {
        if let Some(Step::Key(key)) = self.open.last_mut()
            && key.is_empty()
        {
            *key = serde_json::from_slice(quoted).unwrap_or_default();
        }
    }

    fn path(&self) -> String {
        self.open.iter().map(Step::text).collect()
    }
}

impl Step {
    fn text(&self) -> String {
        match self {
            Self::Key(key) if key.is_empty() => String::new(),
            Self::Key(key) => format!(".{key}"),
            Self::Index(index) => format!("[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::describe_fault;
    use serde::Deserialize;

    #[derive(Deserialize, Debug)]
    #[expect(dead_code, reason = "only read by serde")]
    struct Outer {
        name: String,
        inner: Vec<Inner>,
    }

    #[derive(Deserialize, Debug)]
    #[expect(dead_code, reason = "only read by serde")]
    struct Inner {
        count: u8,
        kind: Option<Kind>,
    }

    #[derive(Deserialize, Debug)]
    #[serde(rename_all = "camelCase")]
    enum Kind {
        One,
        Two,
    }

    fn fault(text: &str) -> String {
        describe_fault("payload", text, &serde_json::from_str::<Outer>(text).unwrap_err())
    }

    #[test]
    fn the_path_names_the_field_that_does_not_fit() {
        assert_eq!(
            fault(r#"{"name":"a,\"}","inner":[{"count":1},{"x":{"y":[1,2]},"count":"many"}]}"#),
            r#"payload.inner[1].count: invalid type: string, expected u8"#
        );
        assert_eq!(
            fault("{\n  \"name\": 7,\n  \"inner\": []\n}"),
            "payload.name: invalid type: integer, expected a string"
        );
        assert_eq!(
            fault(r#"{"name":"a","inner":[{"count":300}]}"#),
            "payload.inner[0].count: invalid value: integer, expected u8"
        );
    }

    #[test]
    fn a_missing_field_is_named_with_the_object_that_lacks_it() {
        assert_eq!(fault(r#"{"name":"a"}"#), "payload: missing field `inner`");
        assert_eq!(
            fault(r#"{"name":"a","inner":[{"count":1},{}]}"#),
            "payload.inner[1]: missing field `count`"
        );
    }

    #[test]
    fn what_json_has_and_nothing_holds_is_named() {
        for (text, place, why) in [
            (r#"{"name":"\ud800","inner":[]}"#, ".name", "hex escape"),
            (r#"{"name":"\ud800 and more","inner":[]}"#, ".name", "hex escape"),
            (
                r#"{"name":"a","inner":[{"count":1},{"count":1e999}]}"#,
                ".inner[1].count",
                "number out of range",
            ),
            (
                r#"{"name":"a","inner":[{"count": -1e999 , "kind":null}]}"#,
                ".inner[0].count",
                "number out of range",
            ),
        ] {
            let fault = fault(text);
            assert!(
                fault.starts_with(&format!("payload{place}: ")) && fault.contains(why),
                "{fault}"
            );
        }
    }

    #[test]
    fn the_value_that_does_not_fit_is_not_shown() {
        for value in [
            r#""hush""#,
            r#""hush, expected u8 at line 7""#,
            r#""hush` \"hush`, expected u8""#,
            r#"["hush"]"#,
            r#"{"hush":"hush"}"#,
        ] {
            for text in [
                format!(r#"{{"name":"a","inner":[{{"count":{value}}}]}}"#),
                format!(r#"{{"name":"a","inner":{value}}}"#),
                format!(r#"{{"name":"a","inner":[{{"count":1,"kind":{value}}}]}}"#),
            ] {
                let fault = fault(&text);
                assert!(
                    !fault.trim_start_matches("payload.inner[0].kind.hush").contains("hush"),
                    "{text}: {fault}"
                );
            }
        }
        assert_eq!(
            fault(r#"{"name":"a","inner":[{"count":1,"kind":"three"}]}"#),
            "payload.inner[0].kind: unknown variant, expected `one` or `two`"
        );
        for (value, kind) in [
            ("true", "boolean"),
            ("-7", "integer"),
            ("1.5", "floating point"),
            ("null", "null"),
        ] {
            let fault = fault(&format!(r#"{{"name":{value},"inner":[]}}"#));
            assert_eq!(fault, format!("payload.name: invalid type: {kind}, expected a string"));
        }
    }

    #[test]
    fn text_that_is_no_json_is_said_to_be_so() {
        assert_eq!(fault(r#"{"name":"#), "payload: EOF while parsing a value");
    }
}
