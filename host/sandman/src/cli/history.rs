//! `sandman history`: who changed a handler's version, when, and with what result.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::client::{self, HostArgs};
use super::handlers::short;
use sandman_core::printable;
use sandman_operate::control::Entry;

/// Bytes of a detail in a table; --json has all of it.
const DETAIL: usize = 200;

const AFTER: &str = "\
The newest entry comes first. BY is the name of the token: `admin` for
SANDMAN_ADMIN_TOKEN, NAME for SANDMAN_ADMIN__TOKENS__NAME, `local` if the host
has no token, `sandman.toml` for a first version. The history is in the host's
store and survives restarts; the last thousand entries are kept.

Exit codes:
  0  it worked
  1  the host refused: there is no such handler
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman history profile
  sandman history profile --json | jq '.[] | select(.outcome == \"refused\")'";

/// Show the deploys and rollbacks of a handler: who, when, and with what result.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct HistoryArgs {
    /// The handler, as in [handlers.NAME].
    name: String,

    #[command(flatten)]
    host: HostArgs,

    /// Print the entries as JSON: at, by, action, outcome, version, digest, detail.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &HistoryArgs) -> Result<ExitCode> {
    client::asking(|| {
        let path = format!("/v1/handlers/{}/history", args.name);
        let entries: Vec<Entry> = args.host.client()?.get(&path)?;
        client::show(args.json, &entries, |entries| print(entries))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn print(entries: &[Entry]) {
    let head = ["AT", "BY", "ACTION", "OUTCOME", "VERSION", "DIGEST", "DETAIL"];
    let unknown = || "-".to_owned();
    let rows: Vec<_> = entries
        .iter()
        .map(|entry| {
            [
                entry.at.clone(),
                entry.by.clone(),
                entry.action.to_string(),
                entry.outcome.to_string(),
                entry.version.map_or_else(unknown, |version| version.to_string()),
                entry.digest.as_deref().map_or_else(unknown, short),
                printable::line(&entry.detail, DETAIL).into_owned(),
            ]
        })
        .collect();
    client::table(head, &rows);
}
