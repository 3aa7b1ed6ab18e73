//! `pattern`: regular expressions whose search takes time in proportion to the text and the pattern, and memory to the pattern.

use regex_automata::meta::Regex;
use regex_automata::util::syntax;

/// Bytes of one compiled pattern.
const NFA_BYTES: usize = 512 << 10;
/// Nested parentheses.
const NESTING: u32 = 64;
/// Approximate bytes of one state of a compiled pattern.
const STATE: usize = 48;
/// States that are visited in the time of one step.
const STATES_PER_STEP: u64 = 8;

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    states: u64,
}

impl Pattern {
    /// Compiles a pattern in JavaScript's syntax, or says why it cannot.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        // No engine with a cache of states: one for each pattern and thread would add up.
        let config = Regex::config()
            .nfa_size_limit(Some(NFA_BYTES))
            .onepass_size_limit(Some(NFA_BYTES))
            .hybrid(false)
            .dfa(false)
            .backtrack(false);
        let regex = Regex::builder()
            .configure(config)
            .syntax(syntax::Config::new().nest_limit(NESTING))
            .build(&translated(text))
            .map_err(|error| match (error.size_limit(), error.syntax_error()) {
                (Some(most), _) => format!("it takes more than {most} bytes when compiled"),
                (None, Some(regex_syntax::Error::Parse(error))) => error.kind().to_string(),
                (None, Some(error)) => error.to_string(),
                (None, None) => error.to_string(),
            })?;
        let states = u64::try_from(regex.memory_usage() / STATE).unwrap_or(u64::MAX);
        Ok(Self { regex, states })
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.regex.memory_usage()
    }

    /// The steps that a search of a text may take.
    pub(super) fn steps(&self, text: &str) -> u64 {
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        1 + length.saturating_mul(self.states) / STATES_PER_STEP
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// The pattern in the syntax of our engine: classes with another meaning in JavaScript are written out.
fn translated(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_class = false;
    let mut chars = text.chars().peekable();
    while let Some(letter) = chars.next() {
        match letter {
            '\\' => match chars.next() {
                // Digits and words are those of ASCII.
                Some('d') => out.push_str("[0-9]"),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str("[A-Za-z0-9_]"),
                Some('W') => out.push_str("[^A-Za-z0-9_]"),
                Some('b') if in_class => out.push_str("\\x08"),
                Some('b') => out.push_str("(?-u:\\b)"),
                Some('0') => out.push_str("\\x00"),
                // In JavaScript the byte order mark is whitespace.
                Some('s') => out.push_str("[\\s\\x{feff}]"),
                Some('S') => out.push_str("[^\\s\\x{feff}]"),
                Some(escaped) => out.extend(['\\', escaped]),
                None => out.push('\\'),
            },
            '[' if in_class => out.push_str("\\["),
            '[' => {
                let negated = chars.next_if_eq(&'^').is_some();
                // The empty class and its negation; for our engine the bracket would be the first character of the class.
                if chars.next_if_eq(&']').is_some() {
                    out.push_str(if negated { "[\\s\\S]" } else { "[^\\s\\S]" });
                } else {
                    in_class = true;
                    out.push_str(if negated { "[^" } else { "[" });
                }
            }
            '.' if !in_class => out.push_str("[^\\n\\r\\x{2028}\\x{2029}]"),
            ']' => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => out.extend(['\\', letter]),
            _ => out.push(letter),
        }
    }
    out
}
