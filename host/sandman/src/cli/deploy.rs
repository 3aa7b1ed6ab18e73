//! `sandman deploy`: a component becomes the active version, or is refused at a stage.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::client::{self, HostArgs};
use super::{offline, output};
use sandman_core::store::Outcome;
use sandman_operate::deploy::{Done, Passed, Report};
use sandman_operate::load;

const AFTER: &str = "\
The component passes these stages, each shown with its time when it is done:
  received       all of it arrived, and it is no larger than host.component
  digest         its SHA-256 is known; the active component again is no change
  world          it imports and exports what a handler does, and nothing else
  compiled       in a child process, within host.compile_time and host.compile_memory
  instantiated   an instance was created within the handler's limits
  described      it told what it consumes, emits and serves
  contract       its contract fits what sandman.toml grants the handler
  replayed       recorded triggers show no new failure; see `replay` of the handler
  stored         it is in the host's store
  active         it serves, from the next event of each key on

Nothing pauses: there is no rebalance and no lost or duplicated event, and a key
never goes back to the version before. If a stage fails, the old version keeps
serving and the attempt is listed by `sandman history`. Once the host has
received the component, Ctrl-C ends this command but not the deploy.

A component that declares an older state-version than the active one is refused
at `contract`, because it may not be able to read the current states. --force
deploys it anyway.

At `replayed`, recorded invocations run on the component for at most ten
seconds, at low priority, and the outcomes are compared with those of the active
version. The handler's `replay` decides: a new failure refuses the component
(\"failures\", the default), any difference does (\"strict\"), or nothing is
replayed (\"off\"). --accept-diffs deploys it anyway. `sandman diff` shows each
difference.

--offline is for a stopped host, in particular one that does not start because
the active version no longer fits a changed configuration. The component passes
the same stages and serves from the next start on. Run the command as the host's
user, with the host's configuration.

Exit codes:
  0  it serves, or did already
  1  it was refused: the stage and the reason are on stderr; or it serves, but not on
     every host of the deployment: stderr lists those that keep another version, and why
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman deploy profile target/sandman/profile.wasm
  sandman deploy profile profile.wasm --host http://127.0.0.1:3902
  sandman deploy profile profile.wasm --accept-diffs
  sandman deploy profile profile.wasm --json | tail -1 | jq .version
  sandman deploy --offline profile profile.wasm --config /etc/sandman/sandman.toml";

/// Deploy a component as the new version of a handler, under traffic.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct DeployArgs {
    /// The handler, as in [handlers.NAME].
    name: String,

    /// The component, as built by `sandman build`.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    host: HostArgs,

    /// Deploy even a component that declares that it cannot read the current states.
    #[arg(long)]
    force: bool,

    /// Deploy even if outcomes differ from the recorded ones.
    #[arg(long)]
    accept_diffs: bool,

    /// Deploy into the store of a stopped host; the version serves from the next start on.
    #[arg(long, conflicts_with = "host")]
    offline: bool,

    /// Print one JSON object for each stage, and a last one for the outcome.
    #[arg(long)]
    json: bool,
}

/// From when on a version is active, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// At once, on a running host.
    Now,
    /// From the next start on.
    Later,
}

pub(super) fn run(args: &DeployArgs) -> Result<ExitCode> {
    if args.offline {
        return deploy_offline(args);
    }
    client::asking(|| deploy(args))
}

fn deploy_offline(args: &DeployArgs) -> Result<ExitCode> {
    let component = load::read(&args.file)?;
    let stopped = offline::Stopped::open(&args.host.file(), &args.name)?;
    let mut told = Ok(());
    let mut tell = |report: Report| match &report {
        _ if args.json => match serde_json::to_string(&report) {
            Ok(line) => output::json_line(&line),
            Err(error) => told = Err(error),
        },
        Report::Passed(passed) => show(passed),
        Report::Done(_) => {}
    };
    let done = stopped.deploy((args.force, args.accept_diffs), &component, &mut tell)?;
    tell(Report::Done(done.clone()));
    told?;
    Ok(end(&done, args.json, When::Later))
}

fn deploy(args: &DeployArgs) -> Result<ExitCode> {
    let component = load::read(&args.file)?;
    let client = args.host.client()?;
    let (force, accept_diffs) = (args.force, args.accept_diffs);
    let path = format!(
        "/v1/handlers/{}/versions?force={force}&accept-diffs={accept_diffs}",
        args.name
    );
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
            output::json_line(&line);
        }
        match serde_json::from_str(&line).with_context(|| format!("the host said {line:?}, which is not understood"))? {
            Report::Passed(passed) if !args.json => show(&passed),
            Report::Passed(_) => {}
            Report::Done(end) => done = Some(end),
        }
    }
    let done = done.context("the host did not report the result; see `sandman history`")?;
    Ok(end(&done, args.json, When::Now))
}

fn show(Passed { stage, millis, detail }: &Passed) {
    let line = format!("{:<13}{millis:>9.1} ms   {detail}", stage.word());
    output::line(line.trim_end());
}

/// The last line, and the exit code.
pub(super) fn end(done: &Done, json: bool, when: When) -> ExitCode {
    let Done { handler, previous, .. } = done;
    let version = done.version.unwrap_or_default();
    let (serves, goes_on) = match when {
        When::Now => ("serves", "continues to serve"),
        When::Later => ("serves from the next start on", "stays the active one"),
    };
    match done.outcome {
        Outcome::Active if !elsewhere(done, json) => return ExitCode::FAILURE,
        Outcome::Active | Outcome::Unchanged if json => {}
        Outcome::Active => {
            let millis = done.millis;
            output::line(&format!(
                "{handler}: version {version} {serves}, replacing version {previous} ({millis:.1} ms)"
            ));
        }
        Outcome::Unchanged => output::line(&format!(
            "{handler}: version {version} {serves} already, nothing changed"
        )),
        Outcome::Refused => {
            let stage = done.stage.map_or("", |stage| stage.word());
            let error = done.error.as_deref().unwrap_or_default();
            output::error(&format!(
                "{handler}: refused at `{stage}`: {error}; version {previous} {goes_on}"
            ));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Prints which hosts do not serve the version. Returns whether all do.
fn elsewhere(done: &Done, json: bool) -> bool {
    let behind: Vec<_> = done
        .hosts
        .iter()
        .filter(|host| Some(host.version) != done.version)
        .collect();
    for host in behind.iter().filter(|_| !json) {
        let (name, version) = (&host.host, host.version);
        let why = host.error.as_deref().unwrap_or("it has not followed yet");
        let handler = &done.handler;
        output::error(&format!(
            "{handler}: active, but host {name} still serves version {version}: {why}; see `sandman hosts`"
        ));
    }
    behind.is_empty()
}
