//! Wraps text. Pure.

/// Breaks `text` into lines of at most `width` characters, after a space, a comma or a brace if there is one; a longer
/// word is cut. The lines together are the text, except for the spaces at their ends.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut length = 0;
    for word in text.split_inclusive([' ', ',', '{']) {
        let room = word.trim_end().chars().count();
        if length > 0 && length + room > width {
            lines.push(line.trim_end().to_owned());
            (line, length) = (String::new(), 0);
        }
        for letter in word.chars() {
            if length == width && letter != ' ' {
                lines.push(std::mem::take(&mut line));
                length = 0;
            }
            line.push(letter);
            length += 1;
        }
    }
    lines.push(line.trim_end().to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn lines_break_behind_spaces_and_commas_and_fit() {
        assert_eq!(wrap("nothing to do", 80), ["nothing to do"]);
        assert_eq!(wrap("", 80), [""]);
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap(r#"{"a":1,"b":"é"}"#, 8), [r#"{"a":1,"#, r#""b":"é"}"#]);
        assert_eq!(wrap(r#"{"a":1,"b":{"c":2}}"#, 12), [r#"{"a":1,"b":{"#, r#""c":2}}"#]);
    }

    #[test]
    fn a_word_that_is_too_long_is_cut_and_nothing_of_it_lost() {
        let text = r#"{"id":"0123456789abcdef","name":"Ada 2"}"#;
        let lines = wrap(text, 10);
        assert!(lines.iter().all(|line| line.chars().count() <= 10), "{lines:?}");
        assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
    }
}
