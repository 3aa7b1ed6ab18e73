//! `sandman recordings`: lists or exports a handler's recorded invocations.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use super::client::{self, HostArgs};
use super::output;
use sandman_core::event::iso_millis;
use sandman_core::printable;
use sandman_core::recording::{Recording, RecordingQuery};

const AFTER: &str = "\
The newest come first. Every failure is recorded, and a sample of the other
invocations: the handler's `record` in sandman.toml says how many per second and
how many bytes are kept. New recordings replace the oldest.

A recording holds what users sent and what is known about them: the token needs
the scope read-data ([admin] read_data), and exported files need the same care.
An export has one recording per line. `sandman replay` and `sandman diff` read
it, and so do the SDKs' tests, for example sandman_sdk::testing::recorded.

Exit codes:
  0  it worked
  1  the host refused: there is no such handler; or a file cannot be written
  2  the command line was wrong
  3  the host could not be asked, or refuses this to this token

Examples:
  sandman recordings profile
  sandman recordings profile --failed --limit 10
  sandman recordings profile --code trap
  sandman recordings profile --key u-1 --json | jq '.[].outcome'
  sandman recordings profile --export profile.jsonl";

/// List or export the recorded invocations of a handler.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct RecordingsArgs {
    /// The handler, as in [handlers.NAME].
    name: String,

    /// Only failures.
    #[arg(long)]
    failed: bool,

    /// Only failures with this code or one that starts with it, as in `sandman dlq list`: trap, limit.time.
    #[arg(long, value_name = "CODE", value_parser = super::dlq::code)]
    code: Option<String>,

    /// Only invocations of this key.
    #[arg(long)]
    key: Option<String>,

    /// Only invocations of this event: an eventId, topic/partition/offset, or a correlation id.
    #[arg(long)]
    event: Option<String>,

    /// The most recordings to list, newest first. Default: 50, or all with --export.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Write them to this file, one per line, oldest first; "-" is standard output.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    export: Option<PathBuf>,

    #[command(flatten)]
    host: HostArgs,

    /// Print the complete recordings as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &RecordingsArgs) -> Result<ExitCode> {
    client::asking(|| {
        let limit = args.limit.or(args.export.as_ref().map(|_| usize::MAX));
        let query = RecordingQuery {
            event: args.event.clone(),
            key: args.key.clone(),
            failed: args.failed,
            code: args.code.clone(),
        };
        let asked = json!({ "handler": args.name, "query": query, "limit": limit });
        let found: Vec<Recording> = args.host.client()?.ask("/v1/recordings/search", &asked)?;
        match &args.export {
            Some(file) => export(file, &found)?,
            None => client::show(args.json, &found, |found| print(found))?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn export(file: &PathBuf, found: &[Recording]) -> Result<()> {
    let mut text = String::new();
    // Duplicates were not run, so there is nothing to compare.
    let runs: Vec<&Recording> = found
        .iter()
        .rev()
        .filter(|recording| recording.outcome.was_run())
        .collect();
    for recording in &runs {
        text.push_str(&recording.line()?);
        text.push('\n');
    }
    if file.as_os_str() == "-" {
        for line in text.lines() {
            output::json_line(line);
        }
        return Ok(());
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    // Nobody else may read user data.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(file).and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("{} cannot be written", file.display()))?;
    let count = runs.len();
    output::line(&format!("{count} recordings in {}", file.display()));
    Ok(())
}

fn print(found: &[Recording]) {
    if found.is_empty() {
        return output::line("no recordings");
    }
    let head = [
        "ID", "AT", "VERSION", "KEY", "TRIGGER", "FROM", "ATTEMPT", "OUTCOME", "CPU",
    ];
    let rows: Vec<_> = found
        .iter()
        .map(|recording| {
            let letter = if recording.dead_letter { ", dead letter" } else { "" };
            [
                recording.id.map(|id| id.to_string()).unwrap_or_default(),
                iso_millis(recording.context.now_millis),
                recording.version.to_string(),
                printable::line(&recording.key, 40).into_owned(),
                recording.trigger.kind(),
                recording.trigger.place(),
                recording.context.attempt.to_string(),
                format!("{}{letter}", recording.outcome.word()),
                cpu(recording.cpu_micros),
            ]
        })
        .collect();
    client::table(head, &rows);
}

/// CPU time, if it was measured.
pub(super) fn cpu(micros: Option<u64>) -> String {
    micros.map_or_else(|| "-".to_owned(), |micros| format!("{:.2} ms", micros as f64 / 1e3))
}
