//! `sandman rollback`: makes an earlier version active again.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::client::{self, HostArgs};
use super::deploy::{self, When};
use super::{offline, output};
use sandman_operate::deploy::Done;

const AFTER: &str = "\
Without --to, goes back to the version that the active one replaced when it was
deployed; a second rollback goes back one further. The compiled code of the
earlier version is kept, so the switch takes milliseconds. `sandman history`
lists the versions; the host keeps the last ones (host.versions).

A version that declares an older state-version than the active one is refused,
because it may not be able to read the states written since. --force rolls back
anyway; each event of a key with a state that it cannot read becomes a dead
letter.

--offline is for a stopped host: the version serves from the next start on. Run
the command as the host's user, with the host's configuration.

Exit codes:
  0  it serves, or did already
  1  it was refused: there is no such version, it no longer fits the configuration, or
     it cannot read the states written since
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman rollback profile
  sandman rollback profile --to 3
  sandman rollback --offline profile";

/// Go back to an earlier version of a handler, at once.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct RollbackArgs {
    /// The handler, as in [handlers.NAME].
    name: String,

    /// The number of the version.
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,

    #[command(flatten)]
    host: HostArgs,

    /// Roll back even to a version that declares that it cannot read the states written since.
    #[arg(long)]
    force: bool,

    /// Roll back in the store of a stopped host; the version serves from the next start on.
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
        // 422 is a result: the version cannot be served any more.
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
