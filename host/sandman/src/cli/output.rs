//! The output of the commands: results to stdout, errors to stderr.

use std::io::{Write, stderr, stdout};

use anyhow::{Context, Result};
use serde::Serialize;

use sandman_core::printable;

/// Prints one or more lines on stdout; control characters are escaped.
pub(super) fn line(text: &str) {
    written(&printable::lines(text));
}

/// Prints a line of JSON on stdout, unchanged.
pub(super) fn json_line(json: &str) {
    written(&printable::json(json));
}

/// A closed pipe is not an error.
fn written(text: &str) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints a JSON document on stdout.
pub(super) fn json(value: &impl Serialize) -> Result<()> {
    json_line(&serde_json::to_string_pretty(value).context("the result cannot be written as JSON")?);
    Ok(())
}

/// Prints one or more lines on stderr; control characters are escaped.
pub(super) fn error(text: &str) {
    let _ = writeln!(stderr().lock(), "{}", printable::lines(text));
}
