//! The filter of dead letters in commands.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use crate::cli::output;
use sandman_core::event::millis_of_iso;
use sandman_core::reason::{is_code, known_codes};
use sandman_engine::clock;
use sandman_operate::letters::LetterQuery;

/// Which letters are meant.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct FilterArgs {
    /// Only letters of this handler.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(super) handler: Option<String>,

    /// Only letters of this key.
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    pub(super) key: Option<String>,

    /// Only letters with this code or one that starts with it: trap, limit.time, schema.
    #[arg(long, value_name = "CODE", value_parser = code)]
    pub(super) code: Option<String>,

    /// Only letters given up (again, if they were redriven) since then: 30m, 2h, 7d, or a time like 2026-01-31T08:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(super) since: Option<Since>,
}

/// Reports that a command does not say which letters: a usage error.
pub(super) fn names_nothing() -> ExitCode {
    output::error("sandman: say which letters: a number, --handler, --key, --code, --since, or --all");
    ExitCode::from(2)
}

impl FilterArgs {
    /// The query for the host.
    pub(super) fn query(&self, id: Option<u64>) -> LetterQuery {
        LetterQuery {
            id,
            handler: self.handler.clone(),
            key: self.key.clone(),
            code: self.code.clone(),
            since_millis: self.since.map(|Since(millis)| millis),
            job: None,
        }
    }
}

/// Milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Since(i64);

const UNITS: [(&str, i64); 4] = [("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

fn since(text: &str) -> Result<Since> {
    let before = UNITS.iter().find_map(|(unit, millis)| {
        let number: i64 = text.strip_suffix(unit)?.parse().ok().filter(|number| *number >= 0)?;
        Some(clock::wall_millis() - number.checked_mul(*millis)?)
    });
    let since = before.or_else(|| millis_of_iso(text));
    since
        .map(Since)
        .context("a time is 30m, 2h, 7d, or an instant with its zone such as 2026-01-31T08:00:00Z")
}

/// Parses a code, or the beginning of codes.
pub(in crate::cli) fn code(text: &str) -> Result<String> {
    is_code(text).then(|| text.to_owned()).with_context(known_codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_while_ago_or_an_instant() {
        assert_eq!(since("1970-01-01T00:00:07Z").unwrap(), Since(7_000));
        let Since(hour) = since("1h").unwrap();
        assert!((clock::wall_millis() - hour - 3_600_000).abs() < 60_000);
        for wrong in ["", "h", "-1h", "1w", "yesterday", "9223372036854775807d", "2026-01-31"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn codes_and_their_families_are_known() {
        for good in ["trap", "limit", "trap.panic", "schema"] {
            assert!(code(good).is_ok(), "{good}");
        }
        assert!(code("tra").unwrap_err().to_string().contains("trap.panic"));
    }
}
