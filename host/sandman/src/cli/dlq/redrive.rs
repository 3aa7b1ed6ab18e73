//! `sandman dlq redrive`: letters go back through their handlers, and what became of them.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::filter::{FilterArgs, names_nothing};
use super::list;
use crate::cli::client::{self, Client, HostArgs};
use crate::cli::output;
use sandman_core::printable;
use sandman_operate::letters::{RedriveCancelled, RedriveOrdered, RedriveProgress, Rehearsed};

const AFTER: &str = "\
Letters go through the lanes of their keys, in the order in which they came, as triggers of their own: on
the version that serves, or on a kept one with --through. A letter leaves the store in the commit that
holds its outcome, so that a crash neither loses nor doubles it. One that fails again stays, with what it
failed of this time. What came in after it for its key is handled already: with `exhausted = \"hold-key\"`
it would have waited.

The host does it, whether this command goes on or not, also after a restart; the order's number is told
first, and --follow JOB shows how the order stands, or what came of it: the counts are part of the commits
that decide them, and those of the last 1000 orders are kept. --cancel takes an order back: of a letter that
runs, or waits for its next attempt, nothing counts. Where a handler is removed, or a version goes, the host takes back what
nothing could run, and says so in its log. --dry-run runs the letters with all their attempts on the states
of now, commits nothing, and says what each would come to. A letter that was redriven 5 times is left out:
--force takes it as well. Letters of keys that are held are left out: `sandman dlq release KEY` takes them.

Exit codes:
  0  all that was ordered is handled, also where a filter means no letter; with --dry-run: would be; with --cancel: it is taken back
  1  some failed again, were taken back or left out; there is no such letter, handler or order; the host refused
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman dlq redrive 17 --dry-run
  sandman dlq redrive --handler profile --code trap.panic
  sandman dlq redrive --key 4711 --through 3
  sandman dlq redrive --all --json";

/// Have dead letters handled after all, in the order of their keys.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct RedriveArgs {
    /// One letter, by its number in `sandman dlq list`.
    id: Option<u64>,

    #[command(flatten)]
    filter: FilterArgs,

    /// All letters.
    #[arg(long, conflicts_with_all = ["id", "handler", "key", "code", "since"])]
    all: bool,

    /// On this version and not on the one that serves.
    #[arg(long, value_name = "VERSION")]
    through: Option<u64>,

    /// Say what each letter would come to, and change nothing.
    #[arg(long)]
    dry_run: bool,

    /// Also letters that were redriven 5 times or more.
    #[arg(long)]
    force: bool,

    /// Order nothing; take back what is ordered of these letters: they stay as they are.
    #[arg(long, conflicts_with_all = ["through", "dry_run", "force"])]
    cancel: bool,

    /// Order nothing; show how an earlier order goes on, or what came of it.
    #[arg(long, value_name = "JOB", conflicts_with_all = ["id", "handler", "key", "code", "since", "all", "through", "dry_run", "force", "cancel"])]
    follow: Option<u64>,

    #[command(flatten)]
    host: HostArgs,

    /// Print what was ordered and what failed again as JSON; with --dry-run a line for each letter.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &RedriveArgs) -> Result<ExitCode> {
    let query = args.filter.query(args.id);
    if args.follow.is_none() && query.is_all() && !args.all {
        return Ok(names_nothing());
    }
    client::asking(|| {
        let client = args.host.client()?;
        if let Some(job) = args.follow {
            return follow(&client, job, args.json);
        }
        let order = json!({
            "letters": query, "all": args.all, "through": args.through, "dryRun": args.dry_run, "force": args.force,
        });
        if args.dry_run {
            return rehearse(&client, "/v1/letters/redrive", &order, args.json);
        }
        if args.cancel {
            return cancel(&client, &json!({ "letters": query, "all": args.all }), args.json);
        }
        let RedriveOrdered {
            job,
            ordered,
            refused,
            held,
            already,
        } = client.ask("/v1/letters/redrive", &order)?;
        if ordered > 0 {
            // First of all, for whoever loses this command or its host.
            output::error(&format!(
                "order {job} of {}; --follow {job} shows it again",
                letters(ordered)
            ));
        }
        if ordered + already + held + refused == 0 && !args.json {
            output::line("no letters are meant, and none is redriven");
            return Ok(ExitCode::SUCCESS);
        }
        follow(&client, job, args.json)
    })
}

/// So many letters, in words.
pub(super) fn letters(count: u64) -> String {
    match count {
        1 => "1 letter".to_owned(),
        count => format!("{count} letters"),
    }
}

fn path(job: u64) -> String {
    format!("/v1/letters/jobs/{job}")
}

/// What became of a list of letters that were left out.
fn left_out(order: &RedriveOrdered) -> impl Iterator<Item = String> {
    let why = [
        (order.refused, "redriven 5 times already; --force takes them"),
        (order.held, "their keys are held; see `sandman dlq release`"),
        (
            order.already,
            "they are being redriven already; --cancel takes that back",
        ),
    ];
    let some = why.into_iter().filter(|(count, _)| *count > 0);
    some.map(|(count, why)| format!("{count} left out: {why}"))
}

fn cancel(client: &Client, order: &Value, json: bool) -> Result<ExitCode> {
    let done: RedriveCancelled = client.ask("/v1/letters/cancel", order)?;
    client::show(json, &done, |done| {
        output::line(&format!("{} taken back and kept", letters(done.cancelled)));
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Waits until nothing is left of the order, and tells what came of it.
fn follow(client: &Client, job: u64, json: bool) -> Result<ExitCode> {
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("redriving {bar:30} {pos}/{len} {msg}")?);
    let mut response = client.open(&path(job))?;
    client.refused(&mut response)?;
    let mut progress = None;
    for line in client::lines(&mut response) {
        let line = checked(line.with_context(|| format!("{WENT}; --follow {job} shows what became of it"))?)?;
        let now: RedriveProgress = serde_json::from_str(&line)?;
        bar.set_length(now.order.ordered);
        bar.set_position(now.order.ordered.saturating_sub(now.remaining));
        if now.failed_again > 0 {
            bar.set_message(format!("{} failed again", now.failed_again));
        }
        progress = Some(now);
    }
    let none = || client::NotAsked(format!("{WENT}; --follow {job} shows what became of it"));
    let progress = progress.ok_or_else(none)?;
    if progress.remaining > 0 {
        bail!("{WENT}; it goes on at its next start, and --follow {job} shows it");
    }
    bar.finish_and_clear();
    tell(&progress, json)
}

/// Why an answer ends before its time.
const WENT: &str = "the host stops, or has ended";

fn tell(progress: &RedriveProgress, json: bool) -> Result<ExitCode> {
    let RedriveProgress {
        order,
        handled,
        duplicates,
        failed_again,
        cancelled,
        failed,
        ..
    } = progress;
    if json {
        output::json(progress)?;
    } else {
        let counts = [
            (*duplicates, "passed over as duplicates"),
            (*cancelled, "taken back and kept"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let more: String = counts.map(|(count, what)| format!(", {count} {what}")).collect();
        output::line(&format!(
            "{} redriven: {handled} handled, {failed_again} failed again{more}",
            order.ordered
        ));
        left_out(order).for_each(|line| output::line(&line));
        if !failed.is_empty() {
            list::table(failed);
        }
        let there = failed.len() as u64;
        if there < *failed_again {
            let gone = failed_again - there;
            output::line(&format!(
                "{gone} of those that failed again were dropped since, or are part of a later order"
            ));
        }
    }
    let left = order.refused + order.held + order.already;
    Ok(match failed_again + cancelled + left {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// What each letter would come to, a line each.
pub(super) fn rehearse(client: &Client, path: &str, order: &Value, json: bool) -> Result<ExitCode> {
    let body = order.to_string();
    let mut response = client.post(path, ("application/json", body.as_bytes()))?;
    client.refused(&mut response)?;
    let (mut handled, mut failed, mut left_out) = (0, 0, 0);
    for line in client::lines(&mut response) {
        let line = checked(line?)?;
        let rehearsed: Rehearsed = serde_json::from_str(&line)?;
        match rehearsed.state {
            _ if rehearsed.left_out => left_out += 1,
            Some(_) => handled += 1,
            None => failed += 1,
        }
        match json {
            true => output::json_line(&line),
            false => output::line(&printable::line(&told(&rehearsed), usize::MAX)),
        }
    }
    if !json {
        let left_out = match left_out {
            0 => String::new(),
            count => format!(", {count} would be left out"),
        };
        output::line(&format!(
            "{handled} would be handled, {failed} would fail{left_out}; nothing was changed"
        ));
    }
    Ok(if failed + left_out == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A line that is no error.
pub(super) fn checked(line: String) -> Result<String> {
    let told: Value = serde_json::from_str(&line)?;
    match told.get("error").and_then(Value::as_str) {
        Some(error) => bail!("{error}"),
        None => Ok(line),
    }
}

fn told(rehearsed: &Rehearsed) -> String {
    let Rehearsed {
        id,
        handler,
        version,
        code,
        reason,
        state,
        events,
        left_out,
        ..
    } = rehearsed;
    let version = version.map_or_else(String::new, |version| format!(" version {version}"));
    let who = format!("{id}  {handler}{version}");
    let why = reason.as_deref().unwrap_or_default();
    match (state, code) {
        (Some(_), _) if reason.is_some() => format!("{who}  would be passed over: {why}"),
        (Some(state), _) => {
            let topics: Vec<&str> = events.iter().map(|event| event.topic.as_str()).collect();
            let events = if topics.is_empty() {
                "no events".to_owned()
            } else {
                topics.join(", ")
            };
            format!("{who}  would be handled: state {state}, {events}")
        }
        (None, Some(code)) => format!("{who}  would fail again: {code}, {why}"),
        (None, None) if *left_out => format!("{who}  left out: {why}"),
        (None, None) => format!("{who}  cannot be redriven: {why}"),
    }
}
