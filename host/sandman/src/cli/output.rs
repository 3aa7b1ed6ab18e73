//! What the commands print: results to stdout, reasons to stderr.

use std::io::{Write, stderr, stdout};

use anyhow::{Context, Result};
use serde::Serialize;

/// A line on stdout. Whoever closed the pipe does not want it.
pub(super) fn line(text: &str) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// A JSON document on stdout.
pub(super) fn json(value: &impl Serialize) -> Result<()> {
    line(&serde_json::to_string_pretty(value).context("the result cannot be written as JSON")?);
    Ok(())
}

/// A line on stderr.
pub(super) fn error(text: &str) {
    let _ = writeln!(stderr().lock(), "{text}");
}
