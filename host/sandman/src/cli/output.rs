//! What the commands print: results to stdout, reasons to stderr.

use std::io::{Write, stderr, stdout};

use anyhow::{Context, Result};
use serde::Serialize;

use sandman_core::printable;

/// A line on stdout, or several; whatever is in it, nothing in it acts on the terminal.
pub(super) fn line(text: &str) {
    written(&printable::lines(text));
}

/// A line of JSON on stdout, as it came.
pub(super) fn json_line(json: &str) {
    written(&printable::json(json));
}

/// Whoever closed the pipe does not want it.
fn written(text: &str) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// A JSON document on stdout.
pub(super) fn json(value: &impl Serialize) -> Result<()> {
    json_line(&serde_json::to_string_pretty(value).context("the result cannot be written as JSON")?);
    Ok(())
}

/// A line on stderr, or several; whatever is in it, nothing in it acts on the terminal.
pub(super) fn error(text: &str) {
    let _ = writeln!(stderr().lock(), "{}", printable::lines(text));
}
