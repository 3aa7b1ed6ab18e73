//! `sandman diff`: compares the outcomes of two versions of a handler on its recordings.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::client::{self, HostArgs};
use super::recorded::{self, Component, RunAs};
use super::{NOT_RUN, output};
use sandman_core::comparison::{Comparison, DifferenceGroup};
use sandman_core::printable;
use sandman_core::recording::Recording;
use sandman_operate::replay::{compare, impurities};

/// The most recordings on which a version is first compared with itself.
const SAMPLE: usize = 200;

const AFTER: &str = "\
A and B are numbers of versions that the host keeps, or component files. The
handler's recordings are fetched from the host, with the scope read-data, or
read from --recordings FILE, and run on both versions on this machine. With two
files and --recordings, no host is needed.

First, A is run twice on a sample, with `instances` as the handler had it. A
handler is a pure function: a difference there is a bug, and is reported as one.
It is the guest's if it keeps something from one call to the next, otherwise its
runtime's or Sandman's.

Differences are grouped by place and kind, with the number of recordings that
show them and an example. Kinds are `value`, `missing`, `extra`, `extra event`,
`missing event`, `new failure`, `failure gone` and `other failure`; and `slower`
(more than twice the CPU time and 1 ms) and `more memory`, which do not count
for the exit code.

Exit codes:
  0  the outcomes are the same
  1  they differ
  2  the command line was wrong
  3  the host could not be asked, or refuses this to this token
  4  it could not be run: no recordings, or no such version

Examples:
  sandman diff profile 3 4
  sandman diff profile 3 target/sandman/profile.wasm
  sandman diff profile old.wasm new.wasm --recordings profile.jsonl --json | jq '.groups[].path'";

/// Run two versions of a handler on its recordings and compare the outcomes.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct DiffArgs {
    /// The handler, as in [handlers.NAME].
    name: String,

    /// The first version: a number, or a component.
    #[arg(value_name = "A")]
    first: String,

    /// The second version: a number, or a component.
    #[arg(value_name = "B")]
    second: String,

    /// An export of `sandman recordings` to use instead of the host's recordings.
    #[arg(long, value_name = "FILE")]
    recordings: Option<PathBuf>,

    #[command(flatten)]
    host: HostArgs,

    /// Print the groups as JSON.
    #[arg(long)]
    json: bool,
}

/// The differences of two versions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DiffReport {
    handler: String,
    first: String,
    second: String,
    /// Recordings that were run.
    compared: u64,
    /// Recordings whose outcomes differ.
    differing: u64,
    groups: Vec<DifferenceGroup>,
    /// Differences between two runs of the first version: bugs.
    impurities: Vec<DifferenceGroup>,
}

pub(super) fn run(args: &DiffArgs) -> Result<ExitCode> {
    let ran = client::asking(|| diff(args));
    Ok(ran.unwrap_or_else(|error| {
        output::error(&format!("sandman: {}", super::reasons(&error)));
        ExitCode::from(NOT_RUN)
    }))
}

fn diff(args: &DiffArgs) -> Result<ExitCode> {
    let recordings = match &args.recordings {
        Some(file) => recorded::in_file(file)?,
        None => recorded::of_handler(&args.host.client()?, &args.name, None)?,
    };
    let how = RunAs::newest(&recordings)?;
    let first = Component::of(&args.first, &args.host, &args.name)?;
    let second = Component::of(&args.second, &args.host, &args.name)?;
    let version = |component: &Component| component.version(&args.host, &args.name, how);
    let (one, other) = (version(&first)?, version(&second)?);
    let sample = sample(&recordings);
    let impure = impurities(&sample, &one);
    let comparison = compare(&recordings, &one, &other);
    let report = DiffReport {
        handler: args.name.clone(),
        first: first.name,
        second: second.name,
        compared: comparison.compared(),
        differing: comparison.differing(),
        groups: comparison.groups(),
        impurities: impure.groups(),
    };
    match args.json {
        true => output::json(&report)?,
        false => print(&report, &impure, sample.len()),
    }
    Ok(match report.differing == 0 && report.impurities.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// A sample of recordings spread over their whole time, including the newest.
fn sample(recordings: &[Recording]) -> Vec<&Recording> {
    let step = recordings.len().div_ceil(SAMPLE).max(1);
    recordings.iter().rev().step_by(step).collect()
}

fn print(report: &DiffReport, impure: &Comparison, sample: usize) {
    let DiffReport {
        handler,
        first,
        second,
        compared,
        differing,
        groups,
        impurities,
    } = report;
    if impurities.is_empty() {
        output::line(&format!(
            "{first} against itself on {sample} recordings: no difference, as expected"
        ));
    } else {
        output::line(&format!(
            "BUG: {first} differs from itself in {} of {sample} recordings; its outcome does not depend on its input alone",
            impure.differing()
        ));
        impurities.iter().for_each(print_group);
    }
    output::line(&match differing {
        0 => format!("{handler}: {first} and {second} have the same outcomes for {compared} recordings"),
        _ => format!("{handler}: {first} and {second} differ in {differing} of {compared} recordings"),
    });
    groups.iter().for_each(print_group);
}

fn print_group(group: &DifferenceGroup) {
    let DifferenceGroup {
        path,
        kind,
        count,
        example,
    } = group;
    let of = example
        .recording
        .map_or_else(String::new, |id| format!(", such as {id}"));
    output::line(&format!("  {} at {path}: {count} recordings{of}", kind.words()));
    let shown = |text: &str| match text.is_empty() {
        true => "nothing".to_owned(),
        false => printable::line(text, printable::LONGEST).into_owned(),
    };
    output::line(&format!("    - {}", shown(&example.first)));
    output::line(&format!("    + {}", shown(&example.second)));
}
