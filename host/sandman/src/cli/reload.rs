//! `sandman reload`: the host reads its configuration again and applies it.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::client::{self, HostArgs};
use super::output;
use sandman_operate::control::Reloaded;

const AFTER: &str = "\
The host reads its own sandman.toml again, with the environment that it was
started with, and applies the changes without a pause: handlers and routes come
and go; emits, limits, retry, record, replay, settings, instances, tombstones
and dedupe change, and so do host.component and host.versions. The active
versions stay: use `sandman deploy` to change them. Any other change needs a
restart: the keys are listed and nothing is changed, as with a file that has
mistakes. SIGHUP does the same, and the host's log tells the result.

Exit codes:
  0  the changes were applied
  1  nothing changed; the reasons are on stderr
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman check && sandman reload
  sandman reload --json
  kill -HUP $(pidof sandman)";

/// Apply a changed configuration to a running host.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    host: HostArgs,

    /// Print what changed, or why nothing did, as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ReloadArgs) -> Result<ExitCode> {
    client::asking(|| {
        let mut response = args.host.client()?.post("/v1/reload", ("application/json", b""))?;
        if response.status().is_success() {
            let reloaded: Reloaded = client::read(&mut response)?;
            client::show(args.json, &reloaded, print)?;
            return Ok(ExitCode::SUCCESS);
        }
        let told: Value = client::read(&mut response)?;
        if args.json {
            output::json(&told)?;
        } else {
            let why = told.get("error").and_then(Value::as_str).unwrap_or_default();
            output::error(&format!("sandman: nothing changed: {why}"));
        }
        Ok(ExitCode::FAILURE)
    })
}

fn print(reloaded: &Reloaded) {
    let Reloaded {
        added,
        removed,
        changed,
        routes,
    } = reloaded;
    if *reloaded == Reloaded::default() {
        output::line("the configuration has not changed");
    }
    for (what, names) in [("added", added), ("removed", removed), ("changed", changed)] {
        for name in names {
            output::line(&format!("handler {name}: {what}"));
        }
    }
    if *routes {
        output::line("routes: changed");
    }
}
