//! `sandman dlq drop` and `sandman dlq release`: drops letters and releases keys.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::filter::{FilterArgs, names_nothing};
use super::redrive::letters;
use super::{list, redrive};
use crate::cli::client::{self, Client, HostArgs};
use crate::cli::output;
use sandman_operate::letters::{LettersDropped, ReleaseProgress};

const DROP_AFTER: &str = "\
Dropped letters are removed from the store; their records in <topic>.dlq stay.
Letters that are being redriven are skipped (`sandman dlq redrive --cancel`
cancels that), and so are those of held keys, unless their handler is no longer
configured.

For a held key (`exhausted = \"hold-key\"`), --held KEY drops the letter that
holds it and then handles what waits behind it, in order. --held-by LETTER is the
same for the key of one of its letters, if the key cannot be typed or the token
may not read it.

Exit codes:
  0  it worked, even if the filter matches no letter
  1  some were skipped; there is no such letter or handler; or the key is not held, or
     its next letter failed
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman dlq drop 17
  sandman dlq drop --handler profile --code decode --dry-run
  sandman dlq drop --held 4711";

/// Drop dead letters that are no longer needed.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{DROP_AFTER}\n\n{}", client::FINDS))]
pub(super) struct DropArgs {
    /// One letter: its number from `sandman dlq list`.
    id: Option<u64>,

    #[command(flatten)]
    filter: FilterArgs,

    /// All letters.
    #[arg(long, conflicts_with_all = ["id", "handler", "key", "code", "since"])]
    all: bool,

    /// Drop the letter that holds this key, and handle what waits behind it.
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new(), conflicts_with_all = ["id", "all", "key", "code", "since"])]
    held: Option<String>,

    /// The same for the key of this letter, which holds it or waits.
    #[arg(long, value_name = "LETTER", conflicts_with_all = ["held", "id", "all", "key", "code", "since"])]
    held_by: Option<u64>,

    /// Show how many would be dropped without changing anything.
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    host: HostArgs,

    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn drop(args: &DropArgs) -> Result<ExitCode> {
    if args.held.is_some() || args.held_by.is_some() {
        let order = Release {
            key: args.held.as_deref(),
            letter: args.held_by,
            handler: args.filter.handler.as_deref(),
            drop: true,
            dry_run: args.dry_run,
        };
        return release_key(&order, &args.host, args.json);
    }
    let query = args.filter.query(args.id);
    if query.is_all() && !args.all {
        return Ok(names_nothing());
    }
    client::asking(|| {
        let order = json!({ "letters": query, "all": args.all, "dryRun": args.dry_run });
        let done: LettersDropped = args.host.client()?.ask("/v1/letters/drop", &order)?;
        client::show(args.json, &done, |done| dropped(done, args.dry_run))?;
        Ok(match done.held + done.ordered {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        })
    })
}

fn dropped(done: &LettersDropped, dry_run: bool) {
    let would = if dry_run { "would be " } else { "" };
    output::line(&format!("{} {would}dropped", letters(done.dropped)));
    let left_out = [
        (done.held, "their keys are held; see `sandman dlq drop --held`"),
        (
            done.ordered,
            "they are being redriven; see `sandman dlq redrive --cancel`",
        ),
    ];
    for (count, why) in left_out.iter().filter(|(count, _)| *count > 0) {
        output::line(&format!("{count} left out: {why}"));
    }
}

const RELEASE_AFTER: &str = "\
With `exhausted = \"hold-key\"`, what comes after a trigger that was given up
waits in the host's store, for that key alone. This command handles the letter
again, then what waits, in order, and shows the results. If a letter fails
again, the key stays held. --letter names the key by one of its letters, if the
key cannot be typed or the token may not read it. --dry-run shows the results without changing
anything. The host continues if the command is stopped; with --no-wait the
command returns at once. `sandman dlq drop --held KEY` drops the letter instead.
`sandman dlq list --key KEY` shows the letter and what waits behind it (code
`held`).

Exit codes:
  0  everything that waited is handled (with --no-wait: the release has started; with
     --dry-run: everything would be handled)
  1  a letter failed again and holds the key; or the key is not held, or is already
     being released
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman dlq release 4711
  sandman dlq release --handler profile 4711
  sandman dlq release --letter 17";

/// Release a held key: handle the letter that holds it, then what waits behind it.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{RELEASE_AFTER}\n\n{}", client::FINDS))]
#[command(group(ArgGroup::new("held").required(true).args(["key", "letter"])))]
pub(super) struct ReleaseArgs {
    /// The key.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    key: Option<String>,

    /// The key of this letter, which holds it or waits: its number from `sandman dlq list`.
    #[arg(long, value_name = "LETTER")]
    letter: Option<u64>,

    /// Only for this handler.
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,

    /// Show the result for each letter without changing anything.
    #[arg(long)]
    dry_run: bool,

    /// Return at once instead of waiting for the results.
    #[arg(long, conflicts_with = "dry_run")]
    no_wait: bool,

    #[command(flatten)]
    host: HostArgs,

    /// Print the handlers that held the key, and what failed again, as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn release(args: &ReleaseArgs) -> Result<ExitCode> {
    let order = Release {
        key: args.key.as_deref(),
        letter: args.letter,
        handler: args.handler.as_deref(),
        drop: false,
        dry_run: args.dry_run,
    };
    if !args.no_wait {
        return release_key(&order, &args.host, args.json);
    }
    client::asking(|| {
        let done = ordered(&args.host.client()?, &order)?;
        client::show(args.json, &done, |done| {
            output::line(&format!("being released for {}", done.released.join(", ")));
        })?;
        Ok(ExitCode::SUCCESS)
    })
}

/// The command for the held letters of a key.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Release<'a> {
    key: Option<&'a str>,
    letter: Option<u64>,
    handler: Option<&'a str>,
    drop: bool,
    dry_run: bool,
}

/// The handlers whose key was released.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Released {
    released: Vec<String>,
    /// What tells the key to whoever may not read it.
    key_hash: String,
}

const NOT_HELD: &str = "no handler holds this key, or it is already being released";

fn ordered(client: &Client, order: &Release<'_>) -> Result<Released> {
    let done: Released = client.ask("/v1/letters/release", order)?;
    if done.released.is_empty() {
        bail!(NOT_HELD);
    }
    Ok(done)
}

fn release_key(order: &Release<'_>, host: &HostArgs, json: bool) -> Result<ExitCode> {
    client::asking(|| {
        let client = host.client()?;
        if order.dry_run {
            let counts = redrive::rehearse(&client, "/v1/letters/release", &json!(order), json)?;
            if counts.is_none() {
                bail!(NOT_HELD);
            }
            return Ok(counts.tell(json));
        }
        let of_key = ordered(&client, order)?;
        let progress = followed(&client, &of_key)?;
        let released = of_key.released;
        let ReleaseProgress { failed, waiting, .. } = &progress;
        let names = released.join(", ");
        if json {
            output::json(&json!({ "released": released, "failed": failed, "waiting": waiting }))?;
        } else {
            if order.drop {
                output::line(&format!("dropped the letter that held the key for {names}"));
            }
            if failed.is_empty() {
                output::line(&format!("released for {names}: everything that waited is handled"));
            } else {
                output::line(&format!("held again for {names}, with {} behind:", letters(*waiting)));
                list::table(failed);
            }
        }
        Ok(match failed.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    })
}

/// Waits until all letters are handled, or one has failed again.
fn followed(client: &Client, of_key: &Released) -> Result<ReleaseProgress> {
    let bar = ProgressBar::new_spinner();
    let body = json!({ "keyHash": of_key.key_hash, "handlers": of_key.released }).to_string();
    let mut response = client.post("/v1/letters/released", ("application/json", body.as_bytes()))?;
    client.refused(&mut response)?;
    let mut last = None;
    for line in client::lines(&mut response) {
        let now: ReleaseProgress = serde_json::from_str(&redrive::checked(line?)?)?;
        bar.set_message(format!("{} to go", letters(now.remaining)));
        last = Some(now);
    }
    bar.finish_and_clear();
    let none = || client::NotAsked("the host did not report the result; `sandman dlq list --key` shows it".to_owned());
    let last = last.ok_or_else(none)?;
    if last.remaining > 0 {
        bail!("the host is stopping; the release continues at its next start, and `sandman dlq list --key` shows it");
    }
    Ok(last)
}
