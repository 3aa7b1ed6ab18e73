//! `sandman deploy`: a component becomes the version that serves, or is refused at a stage.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::client::{self, HostArgs};
use super::output;
use crate::deploy::{Done, Passed, Report};
use crate::load;
use crate::store::Outcome;

const AFTER: &str = "\
The component passes these stages, each shown with its time when it is done:
  received       all of it came, no more than host.component
  digest         its sha256 is known; the active component again is no change
  world          it imports and exports what a handler does, and nothing else
  compiled       in a process of its own, within host.compile_time and host.compile_memory
  instantiated   an instance could be made within the handler's limits
  described      it said what it consumes, emits and serves
  contract       that fits what sandman.toml grants the handler
  stored         the host's store has it
  active         it serves, from the next event of each key on

Nothing pauses: no rebalance, no lost or doubled event, and a key never goes back to the version
before. If a stage fails, the old version goes on serving, and the attempt is in `sandman history`.

Exit codes:
  0  it serves, or did already
  1  it was refused; the stage and the reason are on stderr
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman deploy profile target/sandman/profile.wasm
  sandman deploy profile profile.wasm --host http://127.0.0.1:3902
  sandman deploy profile profile.wasm --json | tail -1 | jq .version";

/// Make a component the version that serves a handler, while traffic flows.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct DeployArgs {
    /// The handler, as in [handlers.NAME].
    name: String,

    /// The component, as `sandman build` makes it.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    host: HostArgs,

    /// Print the host's own lines: a JSON object for each stage, and a last one for the outcome.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &DeployArgs) -> Result<ExitCode> {
    client::asking(|| deploy(args))
}

fn deploy(args: &DeployArgs) -> Result<ExitCode> {
    let component = load::read(&args.file)?;
    let client = args.host.client()?;
    let path = format!("/v1/handlers/{}/versions", args.name);
    let mut response = client.post(&path, ("application/wasm", &component))?;
    let tells = response
        .headers()
        .get("content-type")
        .is_some_and(|kind| kind == "application/x-ndjson");
    if !tells {
        client.refused(&mut response)?;
    }
    let mut done = None;
    for line in client::lines(&mut response) {
        let line = line?;
        if args.json {
            output::line(&line);
        }
        match serde_json::from_str(&line).with_context(|| format!("the host said {line:?}, which is not understood"))? {
            Report::Passed(passed) if !args.json => show(&passed),
            Report::Passed(_) => {}
            Report::Done(end) => done = Some(end),
        }
    }
    let done = done.context("the host did not say how it ended; see `sandman history`")?;
    Ok(end(&done, args.json))
}

fn show(Passed { stage, millis, detail }: &Passed) {
    let line = format!("{:<13}{millis:>9.1} ms   {detail}", stage.word());
    output::line(line.trim_end());
}

/// The last line, and the exit code.
pub(super) fn end(done: &Done, json: bool) -> ExitCode {
    let Done { handler, previous, .. } = done;
    let version = done.version.unwrap_or_default();
    match done.outcome {
        Outcome::Active | Outcome::Unchanged if json => {}
        Outcome::Active => {
            let millis = done.millis;
            output::line(&format!(
                "{handler}: version {version} serves, before it version {previous} ({millis:.1} ms)"
            ));
        }
        Outcome::Unchanged => output::line(&format!("{handler}: version {version} serves already, nothing changed")),
        Outcome::Refused => {
            let stage = done.stage.map_or("", |stage| stage.word());
            let error = done.error.as_deref().unwrap_or_default();
            output::error(&format!(
                "{handler}: refused at `{stage}`: {error}; version {previous} goes on serving"
            ));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
