//! `sandman resume`: a handler that has paused goes on.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::client::{self, HostArgs};
use super::output;

const AFTER: &str = "\
A handler pauses where a trigger fails for good and it has `exhausted = \"pause-handler\"`, or where more
than `failing.share` of its last triggers failed. It then takes in nothing, also after a restart; /health
says why, and so does sandman_handler_paused. The trigger at which it paused is handled first, with all its
attempts.

Exit codes:
  0  it goes on, or did not stand still
  1  the host refused: there is no such handler
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman resume profile";

/// Let a handler that has paused take in events again.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct ResumeArgs {
    /// The handler, as in [handlers.NAME].
    name: String,

    #[command(flatten)]
    host: HostArgs,

    /// Print whether it stood still as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ResumeArgs) -> Result<ExitCode> {
    client::asking(|| {
        let path = format!("/v1/handlers/{}/resume", args.name);
        let done: Value = args.host.client()?.ask(&path, &serde_json::json!({}))?;
        let told = match done.get("resumed").and_then(Value::as_bool) {
            Some(true) => "it goes on; `sandman handlers` tells whether it pauses again",
            _ => "it was not paused",
        };
        client::show(args.json, &done, |_| output::line(told))?;
        Ok(ExitCode::SUCCESS)
    })
}
