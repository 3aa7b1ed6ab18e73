//! `sandman forget`: takes what was recorded of a key out of the store, and says what else holds it.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::client::{self, HostArgs};
use super::output;
use sandman_operate::control::Forgotten;

const AFTER: &str = "\
Removes the recordings of this key, of all handlers in the store, including
handlers that are no longer configured. States, dead letters, records in Kafka
and exported files are not touched: they are listed, each with the way to remove
it.

The token needs the scope read-data ([admin] read_data). The key is not logged.

Exit codes:
  0  it worked
  1  the host refused
  2  the command line was wrong
  3  the host could not be asked, or refuses this to this token

Examples:
  sandman forget u-1
  sandman forget u-1 --json | jq .held";

/// Remove the recordings of a key, and list what else holds its data.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct ForgetArgs {
    /// The key.
    key: String,

    #[command(flatten)]
    host: HostArgs,

    /// Print what was removed and what remains as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ForgetArgs) -> Result<ExitCode> {
    client::asking(|| {
        let forgotten: Forgotten = args.host.client()?.ask("/v1/forget", &json!({ "key": args.key }))?;
        client::show(args.json, &forgotten, print)?;
        Ok(ExitCode::SUCCESS)
    })
}

fn print(forgotten: &Forgotten) {
    output::line(&match forgotten.recordings {
        1 => "1 recording removed".to_owned(),
        recordings => format!("{recordings} recordings removed"),
    });
    for held in &forgotten.held {
        output::line(&format!("still held: {}", held.what));
        output::line(&format!("  {}", held.removed_by));
    }
}
