//! `sandman health`: whether a host is ready, for probes that run a command.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::client::{self, HostArgs};
use super::output;
use sandman_core::printable;

const AFTER: &str = "\
Asks the admin listener for /health/ready, or with --live for /health/live. A
host is ready even while Kafka is down, because it still serves requests;
`sandman handlers` and /health tell more.

Exit codes:
  0  the host is ready (with --live: it is running)
  1  it is not
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman health
  sandman health --live
  docker inspect --format '{{.State.Health.Status}}' sandman   # the image's own check";

/// Check whether a host is ready, for the health check of a container.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct HealthArgs {
    /// Check whether it is running at all.
    #[arg(long)]
    live: bool,

    #[command(flatten)]
    host: HostArgs,

    /// Print the host's answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &HealthArgs) -> Result<ExitCode> {
    client::asking(|| {
        let (path, word) = match args.live {
            true => ("/health/live", "live"),
            false => ("/health/ready", "ready"),
        };
        let mut response = args.host.client()?.answer(path)?;
        let good = response.status().is_success();
        let told: Value = client::read(&mut response)?;
        client::show(args.json, &told, |told| match good {
            true => output::line(word),
            false => {
                let reason = told
                    .get("reason")
                    .and_then(Value::as_str)
                    .unwrap_or("it gives no reason");
                let reason = printable::line(reason, printable::LONGEST);
                output::error(&format!("not {word}: {reason}"));
            }
        })?;
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}
