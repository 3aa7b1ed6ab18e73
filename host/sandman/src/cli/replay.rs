//! `sandman replay`: runs a recorded invocation again, on this machine, without Kafka.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde::Serialize;

use super::client::{self, HostArgs};
use super::recorded::{self, Component, RunAs};
use super::recordings::cpu;
use super::{NOT_RUN, output};
use sandman_core::comparison::{DifferenceKind, OutcomeDifference, Rerun, differences};
use sandman_core::event::iso_millis;
use sandman_core::printable;
use sandman_core::recording::{RecordedChange, RecordedOutcome, Recording, RecordingId};
use sandman_core::version::Version;
use sandman_operate::replay::{is_of_time, rerun};

const AFTER: &str = "\
RECORDING is an id like r12-0 from `sandman recordings`. LETTER is the number of
a dead letter from `sandman dlq list`; its last attempt is run. FILE is an
export of `sandman recordings --export`; all its recordings are run. The first
two ask a host, with the scope read-data.

The version that ran is fetched from the host, for a FILE as well; --component
runs another one, and then a FILE needs no host. State, time, attempt, settings
and limits are the recorded ones; --state gives another state. A handler is a
pure function: the same version returns the same outcome, to the byte. If it
does not, that is a bug in the guest's runtime or in Sandman, unless the limit
on CPU time was reached.

Exit codes:
  0  the outcome is the recorded one
  1  it differs
  2  the command line was wrong
  3  the host could not be asked, or refuses this to this token
  4  it could not be run: there is no such recording, or no component for it

Examples:
  sandman replay r12-0
  sandman replay r12-0 --component target/sandman/profile.wasm
  sandman replay profile.jsonl --component target/sandman/profile.wasm --json
  sandman replay 17 --state mended.json";

/// Run a recorded invocation again on this machine and compare the outcomes.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct ReplayArgs {
    /// A recording, a dead letter, or a file of recordings.
    #[arg(value_name = "RECORDING|LETTER|FILE", value_parser = NonEmptyStringValueParser::new())]
    what: String,

    /// The component to run it on, instead of the version that ran it.
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,

    /// The state to run it on, a JSON document, instead of the recorded one.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    #[command(flatten)]
    host: HostArgs,

    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// A recording that was run again.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplayReport {
    recording: Option<RecordingId>,
    handler: String,
    /// The version that ran when it was recorded.
    recorded_version: u64,
    /// The version on which it was run now.
    on: String,
    /// Whether the outcome is the recorded one, to the byte.
    same: bool,
    /// Whether it differs although the component and its whole input are the recorded ones: a bug.
    impure: bool,
    outcome: RecordedOutcome,
    differences: Vec<ReplayDifference>,
    cpu_micros: u64,
    memory_bytes: u64,
}

#[derive(Debug, Serialize)]
struct ReplayDifference {
    path: String,
    kind: DifferenceKind,
    recorded: String,
    now: String,
}

pub(super) fn run(args: &ReplayArgs) -> Result<ExitCode> {
    let ran = client::asking(|| replay(args));
    Ok(ran.unwrap_or_else(|error| {
        output::error(&format!("sandman: {}", super::reasons(&error)));
        ExitCode::from(NOT_RUN)
    }))
}

fn replay(args: &ReplayArgs) -> Result<ExitCode> {
    let recordings = recorded::named(&args.what, &args.host)?;
    if recordings.is_empty() {
        bail!("there is no recording in {}", args.what);
    }
    let state = args.state.as_deref().map(document).transpose()?;
    let mut reports = Vec::with_capacity(recordings.len());
    let mut loaded: Option<(u64, RunAs, Version, String)> = None;
    for recording in &recordings {
        let how = RunAs::of(recording);
        let fits = |(number, known, ..): &(u64, RunAs, Version, String)| {
            *known == how && (args.component.is_some() || *number == recording.version)
        };
        if !loaded.as_ref().is_some_and(fits) {
            let component = match &args.component {
                Some(file) => Component::file(file)?,
                None => kept(args, recording)?,
            };
            let version = component.version(&args.host, &recording.handler, how)?;
            loaded = Some((recording.version, how, version, component.name));
        }
        let Some((_, _, version, name)) = &loaded else { continue };
        let ran = rerun(version, recording, state.as_deref().or(recording.state.as_deref()));
        let is_repeated = state.is_none() && *version.digest == *recording.digest;
        reports.push(report(recording, &ran, (name, is_repeated)));
    }
    let same = reports.iter().all(|report| report.same);
    match (args.json, reports.as_slice()) {
        (true, [report]) => output::json(report)?,
        (true, reports) => output::json(&reports)?,
        (false, [report]) => show(&recordings, report),
        (false, reports) => list(reports),
    }
    Ok(match same {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The version that ran, from the host.
fn kept(args: &ReplayArgs, recording: &Recording) -> Result<Component> {
    let Recording { handler, version, .. } = recording;
    let asked = args.host.client();
    let found = asked.and_then(|client| Component::kept(&client, handler, *version));
    found.map_err(|error| {
        client::in_words(
            error,
            "; the version that ran is requested from it: --component names a file instead",
        )
    })
}

/// The message if the same component gives another outcome for the same input.
const IMPURE: &str =
    "BUG: this is the component that ran, with the same input; its outcome does not depend on its input alone";

/// A JSON document in a file.
fn document(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let read = serde_json::from_str::<serde::de::IgnoredAny>(&text);
    read.with_context(|| format!("--state {} is not JSON", file.display()))?;
    Ok(text)
}

fn report(recording: &Recording, ran: &Rerun, (on, is_repeated): (&str, bool)) -> ReplayReport {
    let found = differences(&recording.outcome, &ran.outcome);
    let is_of_time = is_of_time(&recording.outcome) || is_of_time(&ran.outcome);
    ReplayReport {
        recording: recording.id,
        handler: recording.handler.clone(),
        recorded_version: recording.version,
        on: on.to_owned(),
        same: found.is_empty(),
        impure: is_repeated && !found.is_empty() && !is_of_time,
        outcome: ran.outcome.clone(),
        differences: found.into_iter().map(ReplayDifference::from).collect(),
        cpu_micros: u64::try_from(ran.cpu.as_micros()).unwrap_or(u64::MAX),
        memory_bytes: ran.memory,
    }
}

impl From<OutcomeDifference> for ReplayDifference {
    fn from(difference: OutcomeDifference) -> Self {
        let OutcomeDifference {
            path,
            kind,
            first,
            second,
        } = difference;
        Self {
            path,
            kind,
            recorded: first,
            now: second,
        }
    }
}

fn id(recording: Option<RecordingId>) -> String {
    recording.map_or_else(|| "a recording".to_owned(), |id| id.to_string())
}

fn show(recordings: &[Recording], report: &ReplayReport) {
    if let Some(recording) = recordings.first() {
        output::line(&format!(
            "{}: {} of {}, key {}, from {}, at {}",
            id(report.recording),
            recording.trigger.kind(),
            recording.handler,
            shown(&recording.key),
            recording.trigger.place(),
            iso_millis(recording.context.now_millis),
        ));
        output::line(&format!(
            "recorded on version {}, attempt {}; now on {}",
            recording.version, recording.context.attempt, report.on
        ));
    }
    print_outcome(&report.outcome);
    let micros = Some(report.cpu_micros);
    let memory = report.memory_bytes >> 10;
    output::line(&format!("cost    {} of CPU time, {memory} KiB of memory", cpu(micros)));
    if report.same {
        output::line("the outcome is the recorded one, to the byte");
        return;
    }
    output::line("the outcome differs from the recorded one:");
    if report.impure {
        output::line(IMPURE);
    }
    for difference in &report.differences {
        let ReplayDifference {
            path,
            kind,
            recorded,
            now,
        } = difference;
        output::line(&format!("  {} at {path}", kind.words()));
        output::line(&format!("    recorded  {}", shown(recorded)));
        output::line(&format!("    now       {}", shown(now)));
    }
}

fn print_outcome(outcome: &RecordedOutcome) {
    match outcome {
        RecordedOutcome::Duplicate => output::line("skipped: its event had been handled before"),
        RecordedOutcome::Ignored => output::line("ignored: the version does not consume it"),
        RecordedOutcome::Failed { reason, .. } => {
            output::line(&format!("failed  {}: {}", outcome.word(), shown(reason)));
        }
        RecordedOutcome::Decided { state, events, reply } => {
            output::line(&match state {
                RecordedChange::Keep => "state   stays as it is".to_owned(),
                RecordedChange::Put(document) => format!("state   {}", shown(document)),
                RecordedChange::Delete => "state   is deleted".to_owned(),
            });
            for event in events {
                let text = format!("event   {} {} {}", event.event_type, event.version, event.payload);
                output::line(&shown(&text));
            }
            if let Some(reply) = reply {
                let body = reply.body.as_deref().unwrap_or_default();
                output::line(shown(&format!("reply   {} {body}", reply.status)).trim_end());
            }
        }
    }
}

fn list(reports: &[ReplayReport]) {
    let differ = reports.iter().filter(|report| !report.same);
    for report in differ.clone() {
        let found = report.differences.iter();
        let found: Vec<_> = found
            .map(|difference| format!("{} at {}", difference.kind.words(), difference.path))
            .collect();
        output::line(&format!("{}: differs: {}", id(report.recording), found.join(", ")));
    }
    let (all, differing) = (reports.len(), differ.count());
    output::line(&match differing {
        0 => format!("{all} recordings, the same outcome for each, to the byte"),
        _ => format!("{all} recordings, {differing} with an outcome that differs from the recorded one"),
    });
    if reports.iter().any(|report| report.impure) {
        output::line(IMPURE);
    }
}

fn shown(text: &str) -> std::borrow::Cow<'_, str> {
    printable::line(text, usize::MAX)
}
