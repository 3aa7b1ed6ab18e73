//! Recordings and versions for the commands that run them on this machine: from a file, or from a host.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, HostArgs};
use sandman_core::limits::Limits;
use sandman_core::printable;
use sandman_core::recording::{Recording, RecordingId, RecordingQuery};
use sandman_core::version::Version;
use sandman_operate::load;

/// Reads the recordings in a file, one per line.
pub(super) fn in_file(file: &Path) -> Result<Vec<Recording>> {
    let text = match file.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()).context("standard input cannot be read")?,
        false => fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?,
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = lines.map(|(number, line)| {
        Recording::read(line).with_context(|| format!("{}, line {}", file.display(), number + 1))
    });
    let read: Vec<Recording> = read.collect::<Result<_>>()?;
    Ok(read
        .into_iter()
        .filter(|recording| recording.outcome.was_run())
        .collect())
}

/// Finds recordings by name: `r12-0`, the number of a dead letter, or a file.
pub(super) fn named(name: &str, host: &HostArgs) -> Result<Vec<Recording>> {
    if let Ok(id) = name.parse::<RecordingId>() {
        let recording: Recording = host.client()?.get(&format!("/v1/recordings/{id}"))?;
        if !recording.outcome.was_run() {
            bail!("{id}: nothing was run, because the event had been handled before");
        }
        return Ok(vec![recording]);
    }
    if let Ok(letter) = name.parse::<u64>() {
        return of_letter(&host.client()?, letter);
    }
    if name != "-" && !Path::new(name).exists() {
        bail!(
            "{} is no recording (r12-0, see `sandman recordings`), no dead letter (17, see `sandman dlq list`), and no file; of an \
             event, `sandman explain` names the recordings",
            printable::line(name, printable::LONGEST)
        );
    }
    in_file(Path::new(name))
}

/// The origin of a dead letter.
#[derive(Deserialize)]
struct LetterPlace {
    handler: String,
    topic: String,
    partition: i32,
    offset: i64,
    code: String,
}

/// Why there is no recording of a letter.
fn why(code: &str) -> &'static str {
    match code {
        "decode" | "key" => "its record is not an event with which a guest could be called",
        "held" => "it waits behind the letter that holds its key, and nothing has run it",
        _ => "newer recordings have replaced it, or the handler's `record.rate` was 0",
    }
}

/// The recording of a dead letter's last attempt.
fn of_letter(client: &Client, letter: u64) -> Result<Vec<Recording>> {
    let LetterPlace {
        handler,
        topic,
        partition,
        offset,
        code,
    } = client.get(&format!("/v1/letters/{letter}"))?;
    let place = format!("{topic}/{partition}/{offset}");
    let found = of_handler(client, &handler, Some(&place))?;
    let last = found.into_iter().rev().find(|recording| recording.dead_letter);
    let last = last.with_context(|| {
        format!(
            "there is no recording of the last attempt of dead letter {letter} ({place} of {handler}, {code}): {}; `sandman dlq \
             show {letter}` has its bytes",
            why(&code)
        )
    })?;
    Ok(vec![last])
}

/// The recordings of a handler, the oldest first.
pub(super) fn of_handler(client: &Client, handler: &str, event: Option<&str>) -> Result<Vec<Recording>> {
    let query = RecordingQuery {
        event: event.map(str::to_owned),
        ..RecordingQuery::default()
    };
    let asked = json!({ "handler": handler, "query": query, "limit": usize::MAX });
    let mut found: Vec<Recording> = client.ask("/v1/recordings/search", &asked)?;
    found.reverse();
    found.retain(|recording| recording.outcome.was_run());
    Ok(found)
}

/// A component to run recordings on.
pub(super) struct Component {
    /// Its number; 0 for a file.
    pub(super) number: u64,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// Its name in the output.
    pub(super) name: String,
}

impl Component {
    /// The component of a version, from the host.
    pub(super) fn kept(client: &Client, handler: &str, number: u64) -> Result<Self> {
        let bytes = client.bytes(&format!("/v1/handlers/{handler}/versions/{number}/component"))?;
        Ok(Self {
            number,
            bytes,
            name: format!("version {number}"),
        })
    }

    /// The component in a file.
    pub(super) fn file(file: &Path) -> Result<Self> {
        Ok(Self {
            number: 0,
            bytes: load::read(file)?,
            name: file.display().to_string(),
        })
    }

    /// The component of a version's number, or in a file.
    pub(super) fn of(name: &str, host: &HostArgs, handler: &str) -> Result<Self> {
        match name.parse() {
            Ok(number) => Self::kept(&host.client()?, handler, number),
            Err(_) => Self::file(Path::new(name)),
        }
    }

    /// Loads the component as a version of the handler, to run recordings in this way. What the host has compiled on
    /// this machine is not compiled again.
    pub(super) fn version(&self, host: &HostArgs, handler: &str, how: RunAs) -> Result<Version> {
        let RunAs { limits, reused } = how;
        let compiled = host.compiled();
        let loaded = load::for_replay(
            handler,
            (self.number, &self.bytes),
            (limits, reused),
            compiled.as_deref(),
        );
        loaded.with_context(|| self.name.clone())
    }
}

/// How a guest is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RunAs {
    limits: Limits,
    /// Whether its instances are reused: only then it shows if a guest keeps something in them.
    reused: bool,
}

impl RunAs {
    /// In the same way as this recording.
    pub(super) fn of(recording: &Recording) -> Self {
        let context = &recording.context;
        let (limits, reused) = (context.limits, context.reused);
        Self { limits, reused }
    }

    /// For all recordings: in the same way as the newest.
    pub(super) fn newest(recordings: &[Recording]) -> Result<Self> {
        match recordings.last() {
            Some(recording) => Ok(Self::of(recording)),
            None => bail!("there are no recordings to run"),
        }
    }
}
