//! `sandman rollback`: an earlier version serves again.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::client::{self, HostArgs};
use super::{deploy, output};
use crate::deploy::Done;

const AFTER: &str = "\
Without --to it goes to the version that the active one replaced when it was deployed; once more goes
further back. The earlier version's code is kept, so it serves within milliseconds. `sandman history`
shows what served when; the last versions are kept (host.versions).

Exit codes:
  0  it serves, or did already
  1  it was refused: there is no such version, or it does not fit the configuration any more
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman rollback profile
  sandman rollback profile --to 3";

/// Make an earlier version of a handler serve again, at once.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct RollbackArgs {
    /// The handler, as in [handlers.NAME].
    name: String,

    /// The version, by its number.
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,

    #[command(flatten)]
    host: HostArgs,

    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &RollbackArgs) -> Result<ExitCode> {
    client::asking(|| {
        let client = args.host.client()?;
        let body = match args.to {
            Some(to) => json!({ "to": to }),
            None => json!({}),
        };
        let path = format!("/v1/handlers/{}/rollback", args.name);
        let mut response = client.post(&path, ("application/json", body.to_string().as_bytes()))?;
        // 422 is an outcome: the version cannot serve any more.
        if response.status().as_u16() != 422 {
            client.refused(&mut response)?;
        }
        let done: Done = client::read(&mut response)?;
        if args.json {
            output::json(&done)?;
        }
        Ok(deploy::end(&done, args.json))
    })
}
