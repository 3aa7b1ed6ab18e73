//! `sandman forget`: removes the recordings of a key, and lists what else has data of it.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args};
use serde::Deserialize;
use serde_json::json;

use super::client::{self, Client, HostArgs};
use super::output;
use sandman_core::recording::RecordingId;
use sandman_operate::control::Forgotten;

const AFTER: &str = "\
Removes the recordings of this key, of all handlers in the store, including
handlers that are no longer configured. States, dead letters, records in Kafka
and exported files are not touched: they are listed, each with the way to remove
it.

--of names the key by one of its recordings or dead letters, if it cannot be
typed. The token needs the scope read-data ([admin] read_data). The key is not
logged.

Exit codes:
  0  it worked
  1  the host refused
  2  the command line was wrong
  3  the host could not be asked, or refuses this to this token

Examples:
  sandman forget u-1
  sandman forget --of r12-0
  sandman forget u-1 --json | jq .held";

/// Remove the recordings of a key, and list what else holds its data.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
#[command(group(ArgGroup::new("whose").required(true).args(["key", "of"])))]
pub(super) struct ForgetArgs {
    /// The key.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    key: Option<String>,

    /// The key of this recording (r12-0) or dead letter (17).
    #[arg(long, value_name = "RECORDING|LETTER", value_parser = NonEmptyStringValueParser::new())]
    of: Option<String>,

    #[command(flatten)]
    host: HostArgs,

    /// Print what was removed and what remains as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ForgetArgs) -> Result<ExitCode> {
    client::asking(|| {
        let client = args.host.client()?;
        let key = match (&args.key, &args.of) {
            (Some(key), _) => key.clone(),
            (None, of) => key_of(&client, of.as_deref().unwrap_or_default())?,
        };
        let forgotten: Forgotten = client.ask("/v1/forget", &json!({ "key": key }))?;
        client::show(args.json, &forgotten, print)?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Something that has a key.
#[derive(Deserialize)]
struct WithKey {
    key: Option<String>,
}

/// The key of a recording or a dead letter.
fn key_of(client: &Client, name: &str) -> Result<String> {
    let path = match (name.parse::<RecordingId>(), name.parse::<u64>()) {
        (Ok(id), _) => format!("/v1/recordings/{id}"),
        (_, Ok(letter)) => format!("/v1/letters/{letter}"),
        _ => bail!("--of takes a recording (r12-0) or the number of a dead letter (17)"),
    };
    let WithKey { key } = client.get(&path)?;
    key.with_context(|| format!("{name} has no key, or the token may not read it"))
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
