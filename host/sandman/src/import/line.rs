//! One line of the file: `{"key": "…", "state": {…}}`. Pure.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::reader::Reader;
use sandman_core::contract::{Misfit, StateShape};
use sandman_core::json;

/// Bytes of the longest key, the same as for requests.
pub const LONGEST_KEY: usize = 256;
/// Additional bytes for the key and the text around key and state.
const AROUND: usize = 8 << 10;
/// Mistakes of one state that are reported.
const MISFITS: usize = 5;

/// The rules for a line.
pub(super) struct Rules<'a> {
    pub(super) shape: &'a StateShape,
    pub(super) reader: Option<Reader<'a>>,
    /// Bytes of the longest state.
    pub(super) longest: usize,
}

/// A valid line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) key: String,
    /// The document from the file, or the one that the handler puts.
    pub(super) state: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    key: String,
    state: Box<RawValue>,
}

impl Rules<'_> {
    /// Bytes of the longest line.
    pub(super) fn longest_line(&self) -> usize {
        self.longest.saturating_add(AROUND)
    }

    /// Parses a line, or returns its mistakes.
    pub(super) fn read(&self, text: &[u8]) -> Result<Line, Vec<Misfit>> {
        let Written { key, state } = json::object(text).map_err(|error| vec![unreadable(&error)])?;
        let mut misfits = Vec::new();
        if key.is_empty() || key.len() > LONGEST_KEY || key.chars().any(char::is_control) {
            misfits.push(misfit(
                "key",
                format!("must have 1 to {LONGEST_KEY} bytes and no control characters"),
            ));
        }
        match self.state(&key, &state) {
            Ok(state) if misfits.is_empty() => return Ok(Line { key, state }),
            Ok(_) => {}
            Err(wrong) => misfits.extend(wrong),
        }
        Err(misfits)
    }

    /// The document to store.
    fn state(&self, key: &str, written: &RawValue) -> Result<String, Vec<Misfit>> {
        let written = written.get();
        self.fits_bounds(written)?;
        let state = match self.reader {
            None => written.to_owned(),
            Some(reader) => {
                let problems = |problems: Vec<String>| {
                    let told = problems.into_iter().take(MISFITS);
                    told.map(|problem| misfit("state", problem)).collect::<Vec<_>>()
                };
                let put = reader.read(key, written).map_err(problems)?;
                self.fits_bounds(&put)?;
                put.to_string()
            }
        };
        self.fits_shape(&state)?;
        Ok(state)
    }

    fn fits_bounds(&self, state: &str) -> Result<(), Vec<Misfit>> {
        let longest = self.longest;
        if state.len() > longest {
            let problem = format!("is longer than {longest} bytes, the handler's limits.output");
            return Err(vec![misfit("state", problem)]);
        }
        if state == "null" {
            let problem = "is null: leave out the line of a key without a state".to_owned();
            return Err(vec![misfit("state", problem)]);
        }
        Ok(())
    }

    fn fits_shape(&self, state: &str) -> Result<(), Vec<Misfit>> {
        let value = json::lenient(state).map_err(|error| {
            let place = format!("state{}", json::unreadable(state));
            vec![misfit(&place, error.to_string())]
        })?;
        let placed = |Misfit { place, problem }| misfit(&format!("state{place}"), problem);
        let misfits = self.shape.misfits(&value, state.len(), MISFITS);
        if misfits.is_empty() {
            Ok(())
        } else {
            Err(misfits.into_iter().map(placed).collect())
        }
    }
}

fn misfit(place: &str, problem: String) -> Misfit {
    Misfit {
        place: place.to_owned(),
        problem,
    }
}

/// serde's line number refers to the text, which is one line.
fn unreadable(error: &serde_json::Error) -> Misfit {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    let column = error.column();
    misfit(
        "",
        format!("is not {{\"key\": \"…\", \"state\": {{…}}}}: {what}, column {column}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Line, Vec<String>> {
        let shape = StateShape::default();
        let rules = Rules {
            shape: &shape,
            reader: None,
            longest: 20,
        };
        let told = |misfit: Misfit| format!("{}: {}", misfit.place, misfit.problem);
        let line = rules.read(text.as_bytes());
        line.map_err(|misfits| misfits.into_iter().map(told).collect())
    }

    #[test]
    fn the_state_is_kept_as_it_was_written() {
        let line = read(r#"{ "state": {"b": 1.50, "a": 2}, "key": "ada" }"#).expect("a good line");
        assert_eq!(
            (line.key.as_str(), line.state.as_str()),
            ("ada", r#"{"b": 1.50, "a": 2}"#)
        );
    }

    #[test]
    fn numbers_and_texts_that_the_host_cannot_hold_are_kept() {
        for state in ["98765432109876543210", "1e999", r#"["\ud800"]"#] {
            let line = read(&format!(r#"{{"key": "ada", "state": {state}}}"#));
            assert_eq!(line.map(|line| line.state).as_deref(), Ok(state));
        }
    }

    #[test]
    fn whatever_is_wrong_is_told_with_its_place() {
        for (text, words) in [
            ("{", "column 1"),
            ("[]", "is not {\"key\""),
            (r#"["ada", {}]"#, "invalid type: sequence, expected a JSON object"),
            (r#"{"key": "ada"}"#, "missing field `state`"),
            (r#"{"key": 7, "state": {}}"#, "invalid type"),
            (r#"{"key": "a", "state": {}, "email": ""}"#, "unknown field `email`"),
            (r#"{"key": "a", "key": "b", "state": {}}"#, "duplicate field `key`"),
            (r#"{"key": "", "state": {}}"#, "key: must have 1 to 256 bytes"),
            ("{\"key\": \"a\\n\", \"state\": {}}", "key: must have"),
            (r#"{"key": "a", "state": null}"#, "state: is null"),
            (
                r#"{"key": "a", "state": "012345678901234567890"}"#,
                "state: is longer than 20",
            ),
        ] {
            let told = read(text).expect_err(text).join("; ");
            assert!(told.contains(words), "{text}: {told}");
        }
    }
}
