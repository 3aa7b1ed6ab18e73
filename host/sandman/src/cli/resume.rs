//! `sandman resume`: resumes a paused handler.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::client::{self, HostArgs};
use super::output;

const AFTER: &str = "\
A handler with `exhausted = \"pause-handler\"` pauses when a trigger fails for
good; any handler pauses when more than `failing.share` of its last triggers
failed. It then consumes nothing, even after a restart; /health gives the
reason, and the metric sandman_handler_paused is 1. After the resume, the
trigger at which it paused is handled first, with all its attempts.

Exit codes:
  0  it consumes again, or was not paused
  1  the host refused: there is no such handler
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman resume profile";

/// Let a paused handler consume again.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct ResumeArgs {
    /// The handler, as in [handlers.NAME].
    name: String,

    #[command(flatten)]
    host: HostArgs,

    /// Print whether it was paused as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ResumeArgs) -> Result<ExitCode> {
    client::asking(|| {
        let path = format!("/v1/handlers/{}/resume", args.name);
        let done: Value = args.host.client()?.ask(&path, &serde_json::json!({}))?;
        let told = match done.get("resumed").and_then(Value::as_bool) {
            Some(true) => "resumed; `sandman handlers` shows whether it pauses again",
            _ => "it was not paused",
        };
        client::show(args.json, &done, |_| output::line(told))?;
        Ok(ExitCode::SUCCESS)
    })
}
