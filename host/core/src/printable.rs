//! Makes untrusted text (of guests, senders, clients and brokers) safe to show in logs, terminals, errors, headers and
//! the admin API.
//!
//! Pure. Characters that would affect the display are escaped: control characters (a line break forges a line, an
//! escape sequence moves the cursor), bidirectional controls, line and paragraph separators, and invisible characters.
//! Everything else stays as it is.

use std::borrow::Cow;
use std::fmt::Write;

/// Bytes of the longest text in an error, a log line, a header or a response.
pub const LONGEST: usize = 4 << 10;

/// Marks the end of a text that was cut.
const CUT: &str = "…";

/// A text as one line of at most `bytes`, from 3, the length of the mark for a cut.
pub fn line(text: &str, bytes: usize) -> Cow<'_, str> {
    if text.len() <= bytes && is_plain(text) {
        return Cow::Borrowed(text);
    }
    let room = bytes.saturating_sub(CUT.len());
    let mut out = String::with_capacity(text.len().min(bytes));
    // Where it would be cut if the rest does not fit.
    let mut kept = 0;
    for letter in text.chars() {
        escape(&mut out, letter);
        if out.len() <= room {
            kept = out.len();
        }
        if out.len() > bytes {
            out.truncate(kept);
            out.push_str(CUT);
            break;
        }
    }
    Cow::Owned(out)
}

/// The length in bytes of a text as a line that is not cut.
pub fn length(text: &str) -> usize {
    if is_plain(text) {
        return text.len();
    }
    let mut escaped = String::new();
    let of = |letter: char| {
        escaped.clear();
        escape(&mut escaped, letter);
        escaped.len()
    };
    text.chars().map(of).sum()
}

/// A text of several lines for a terminal: line breaks and tabs stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    let acts = |letter: char| acts(letter) && !matches!(letter, '\n' | '\t');
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\t' => out.push(letter),
            letter => escape(&mut out, letter),
        }
    }
    Cow::Owned(out)
}

/// Escapes such characters in JSON text: they occur only inside strings, where the escapes mean the same.
pub fn json(text: &str) -> Cow<'_, str> {
    let acts = |letter: char| acts(letter) && !matches!(letter, '\n' | '\t' | '\r');
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if !acts(letter) {
            out.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            // Writing into a String does not fail.
            write!(out, "\\u{unit:04x}").ok();
        }
    }
    Cow::Owned(out)
}

/// Whether a text is shown as it is.
pub fn is_plain(text: &str) -> bool {
    // Nearly every text is ASCII, which is checked byte by byte.
    if text.is_ascii() {
        return !text.bytes().any(|byte| byte.is_ascii_control());
    }
    !text.contains(acts)
}

fn escape(out: &mut String, letter: char) {
    match letter {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        letter if acts(letter) => {
            write!(out, "\\u{{{:x}}}", u32::from(letter)).ok();
        }
        letter => out.push(letter),
    }
}

/// Whether a character would affect the display. The joiners of emoji and of scripts are harmless.
fn acts(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            // Bidirectional controls and marks.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // Line and paragraph separators.
            | '\u{2028}' | '\u{2029}'
            // Invisible.
            | '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_acts_is_escaped_and_the_rest_stays() {
        for (text, shown) in [
            ("plain é 日本 👩‍👩‍👧", "plain é 日本 👩‍👩‍👧"),
            ("a\nERROR forged", "a\\nERROR forged"),
            ("\r\t\u{1b}[2J\u{7f}\u{9b}31m", "\\r\\t\\u{1b}[2J\\u{7f}\\u{9b}31m"),
            ("\u{202e}txt.exe\u{2066}", "\\u{202e}txt.exe\\u{2066}"),
            ("a\u{2028}b\u{e0041}", "a\\u{2028}b\\u{e0041}"),
        ] {
            assert_eq!(line(text, 100), shown);
        }
        assert_eq!(lines("a\n\tb\u{1b}\r"), "a\n\tb\\u{1b}\\r");
        assert_eq!(
            json("{\"a\": \"\u{202e}\u{e0041}\"}"),
            "{\"a\": \"\\u202e\\udb40\\udc41\"}"
        );
    }

    #[test]
    fn a_long_text_is_cut_at_a_whole_character() {
        assert_eq!(line("abcdef", 6), "abcdef");
        assert_eq!(line("abcdefg", 6), "abc…");
        assert_eq!(line("ééé", 5), "é…");
        assert_eq!(line("a\n\n\n", 6), "a\\n…");
        assert_eq!(line(&"\u{1b}".repeat(9), 8), "…");
    }

    proptest! {
        #[test]
        fn nothing_acts_in_what_is_shown(
            text in prop_oneof![any::<String>(), "[\u{0}-\u{ff}\u{200b}-\u{206f}\u{2028}é\n]{0,40}"], bytes in 3_usize..60,
        ) {
            let shown = line(&text, bytes);
            prop_assert!(is_plain(&shown), "{:?}", &shown);
            prop_assert!(shown.len() <= bytes, "{} bytes", shown.len());
            prop_assert_eq!(length(&text), line(&text, usize::MAX).len());
            prop_assert!(is_plain(&lines(&text).replace(['\n', '\t'], "")));
            if is_plain(&text) {
                prop_assert!(text.starts_with(shown.trim_end_matches('…')));
            }
        }

        #[test]
        fn json_stays_the_same_value(text in any::<String>()) {
            let written = serde_json::to_string(&text).expect("JSON");
            let shown = json(&written);
            prop_assert!(is_plain(&shown));
            prop_assert_eq!(serde_json::from_str::<String>(&shown).expect("JSON"), text);
        }
    }
}
