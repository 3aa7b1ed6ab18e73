//! `sandman dlq drop` and `sandman dlq release`: letters that go, and keys that go on.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::filter::FilterArgs;
use crate::cli::client::{self, HostArgs};
use crate::cli::output;

const DROP_AFTER: &str = "\
Dropped letters are gone from the store; their records for Kafka stay in <topic>.dlq. Letters that are
being redriven are left out, and so are those of held keys.

Of a key that is held (`exhausted = \"hold-key\"`), --held KEY drops the letter that holds it, and has what
waits behind it handled, in order.

Exit codes:
  0  it worked, also where there was nothing to drop
  1  the host refused, or the key is not held
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman dlq drop 17
  sandman dlq drop --handler profile --code decode --dry-run
  sandman dlq drop --held 4711";

/// Drop dead letters that nobody will want any more.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{DROP_AFTER}\n\n{}", client::FINDS))]
pub(super) struct DropArgs {
    /// One letter, by its number in `sandman dlq list`.
    id: Option<u64>,

    #[command(flatten)]
    filter: FilterArgs,

    /// All letters.
    #[arg(long, conflicts_with_all = ["id", "handler", "key", "code", "since"])]
    all: bool,

    /// The letter that holds this key; what waits behind it is handled.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["id", "all", "key", "code", "since", "dry_run"])]
    held: Option<String>,

    /// Say how many would go, and change nothing.
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    host: HostArgs,

    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn drop(args: &DropArgs) -> Result<ExitCode> {
    if let Some(key) = &args.held {
        return held((key, args.filter.handler.as_deref()), true, (&args.host, args.json));
    }
    client::asking(|| {
        let query = args.filter.query(args.id);
        if query.is_all() && !args.all {
            bail!("say which letters are meant: a number, --handler, --key, --code, --since, or --all");
        }
        let order = json!({ "letters": query, "all": args.all, "dryRun": args.dry_run });
        let done: Value = args.host.client()?.ask("/v1/letters/drop", &order)?;
        let would = if args.dry_run { "would be " } else { "" };
        let count = done.get("dropped").and_then(Value::as_u64).unwrap_or_default();
        let letters = if count == 1 { "letter" } else { "letters" };
        client::show(args.json, &done, |_| {
            output::line(&format!("{count} {letters} {would}dropped"))
        })?;
        Ok(ExitCode::SUCCESS)
    })
}

const RELEASE_AFTER: &str = "\
With `exhausted = \"hold-key\"` what comes after a trigger that was given up waits in the host's store, for
that key alone. This has the letter handled again, and then what waits, in order. Where the letter fails
again, the key stays held. `sandman dlq drop --held KEY` leaves the letter out. `sandman dlq list --key KEY`
shows both, the code `held` stands for what waits.

Exit codes:
  0  the key is being released
  1  the key is not held, or is being released already
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman dlq release 4711
  sandman dlq release --handler profile 4711";

/// Handle a key that is held: the letter that holds it, and then what waited behind it.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{RELEASE_AFTER}\n\n{}", client::FINDS))]
pub(super) struct ReleaseArgs {
    /// The key.
    key: String,

    /// Of this handler alone.
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,

    #[command(flatten)]
    host: HostArgs,

    /// Print the handlers of which the key was held as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn release(args: &ReleaseArgs) -> Result<ExitCode> {
    held((&args.key, args.handler.as_deref()), false, (&args.host, args.json))
}

fn held((key, handler): (&str, Option<&str>), drop: bool, (host, json): (&HostArgs, bool)) -> Result<ExitCode> {
    client::asking(|| {
        let order = json!({ "key": key, "handler": handler, "drop": drop });
        let done: Value = host.client()?.ask("/v1/letters/release", &order)?;
        let released = done
            .get("released")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        if json {
            output::json(&done)?;
        }
        if released.is_empty() {
            bail!("no handler holds this key, or it is being released already");
        }
        let names: Vec<&str> = released.iter().filter_map(Value::as_str).collect();
        if !json {
            output::line(&format!("released for {}", names.join(", ")));
        }
        Ok(ExitCode::SUCCESS)
    })
}
