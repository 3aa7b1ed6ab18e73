//! `sandman handlers`: the handlers with their active versions and their status.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::client::{self, HostArgs};
use super::output;
use sandman_core::printable;
use sandman_operate::control::HandlerReport;

const AFTER: &str = "\
ok/s and failed/s are invocations per second over the last minute. LAG is the
number of records in Kafka that are not completed yet. PARKED is the number of
triggers that wait behind a backoff. MEMORY is the peak of one invocation of
this version, and its limit. In a fleet, a line follows for each host that
serves another version.

Exit codes:
  0  it worked
  1  the host refused
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman handlers
  sandman handlers --json | jq '.[] | {name, version, lag}'";

/// Show the handlers of a running host and their active versions.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct HandlersArgs {
    #[command(flatten)]
    host: HostArgs,

    /// Print everything as JSON: name, version, digest, activatedAt, rates, lag, inFlight, parked, memory, hosts.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &HandlersArgs) -> Result<ExitCode> {
    client::asking(|| {
        let handlers: Vec<HandlerReport> = args.host.client()?.get("/v1/handlers")?;
        client::show(args.json, &handlers, |handlers| print(handlers))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn print(handlers: &[HandlerReport]) {
    let head = [
        "NAME",
        "VERSION",
        "DIGEST",
        "ACTIVATED",
        "OK/S",
        "FAILED/S",
        "LAG",
        "PARKED",
        "MEMORY",
        "STATUS",
    ];
    let rows: Vec<_> = handlers
        .iter()
        .map(|handler| {
            [
                handler.name.clone(),
                handler.version.to_string(),
                short(&handler.digest),
                handler.activated_at.clone(),
                format!("{:.1}", handler.rates.ok),
                format!("{:.1}", handler.rates.failed),
                handler.lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string()),
                handler.parked.to_string(),
                format!("{} of {}", kib(handler.memory.peak), kib(handler.memory.limit)),
                status(handler),
            ]
        })
        .collect();
    client::table(head, &rows);
    handlers.iter().for_each(notes);
}

/// Prints remarks below the table.
fn notes(handler: &HandlerReport) {
    let HandlerReport {
        name,
        paused,
        held_keys,
        degraded,
        ..
    } = handler;
    if let Some(reason) = paused {
        let text = format!("{name} is paused: {reason}; `sandman resume {name}` resumes it");
        output::line(&printable::line(&text, printable::LONGEST));
    }
    if let (Some(reason), None) = (degraded, paused) {
        let text = format!("{name} is degraded: {reason}");
        output::line(&printable::line(&text, printable::LONGEST));
    }
    if *held_keys > 0 {
        output::line(&format!(
            "{name} holds keys: `sandman dlq list --handler {name}` shows them"
        ));
    }
    for other in handler
        .hosts
        .iter()
        .filter(|other| other.version != handler.version || other.error.is_some())
    {
        let (host, name, version) = (&other.host, &handler.name, other.version);
        let why = other.error.as_deref().unwrap_or("it has not followed yet");
        output::line(&format!("{name}: host {host} serves version {version}: {why}"));
    }
}

/// Its status in one word.
fn status(handler: &HandlerReport) -> String {
    match (&handler.paused, handler.held_keys) {
        (Some(_), _) => "PAUSED".to_owned(),
        _ if handler.degraded.is_some() => "DEGRADED".to_owned(),
        (None, 0) => "serves".to_owned(),
        (None, 1) => "1 key held".to_owned(),
        (None, held) => format!("{held} keys held"),
    }
}

/// The beginning of a digest, enough to tell versions apart.
pub(super) fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

fn kib(bytes: u64) -> String {
    format!("{} KiB", bytes.div_ceil(1_024))
}
