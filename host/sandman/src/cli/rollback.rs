//! `sandman rollback`: an earlier version serves again.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::client::{self, HostArgs};
use super::deploy::{self, When};
use super::{offline, output};
use sandman_operate::deploy::Done;

const AFTER: &str = "\
Without --to it goes to the version that the active one replaced when it was deployed; once more goes
further back. The earlier version's code is kept, so it serves within milliseconds. `sandman history`
shows what served when; the last versions are kept (host.versions).

A version whose state-version is older than the one that the active version writes is refused: it says
of itself that it cannot read what was written since. --force makes it serve all the same; each event
of a state that it cannot read becomes a dead letter.

--offline is for a host that is stopped: the version serves from the next start on. Run it as the
host's user, with the host's configuration.

Exit codes:
  0  it serves, or did already
  1  it was refused: there is no such version, it does not fit the configuration any more, or it
     cannot read the states that were written since
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman rollback profile
  sandman rollback profile --to 3
  sandman rollback --offline profile";

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

    /// Also a version that says of itself that it cannot read the states that were written since.
    #[arg(long)]
    force: bool,

    /// In the store of a host that is stopped; it serves from the next start on.
    #[arg(long, conflicts_with = "host")]
    offline: bool,

    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &RollbackArgs) -> Result<ExitCode> {
    if args.offline {
        let stopped = offline::Stopped::open(&args.host.file(), &args.name)?;
        return ended(&stopped.rollback(args.force, args.to)?, args.json, When::Later);
    }
    client::asking(|| {
        let client = args.host.client()?;
        let body = json!({ "to": args.to, "force": args.force });
        let path = format!("/v1/handlers/{}/rollback", args.name);
        let mut response = client.post(&path, ("application/json", body.to_string().as_bytes()))?;
        // 422 is an outcome: the version cannot serve any more.
        if response.status().as_u16() != 422 {
            client.refused(&mut response)?;
        }
        ended(&client::read(&mut response)?, args.json, When::Now)
    })
}

fn ended(done: &Done, json: bool, when: When) -> Result<ExitCode> {
    if json {
        output::json(done)?;
    }
    Ok(deploy::end(done, json, when))
}
