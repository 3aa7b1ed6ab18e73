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
use sandman_engine::clock;
use sandman_operate::letters::{RedriveCancelled, RedriveOrdered, RedriveProgress, Rehearsed};

const AFTER: &str = "\
Letters go through the lanes of their keys, in the order in which they came, as triggers of their own: on
the version that serves, or on a kept one with --through. A letter leaves the store in the commit that
holds its outcome, so that a crash neither loses nor doubles it. One that fails again stays, with what it
failed of this time. What came in after it for its key is handled already: with `exhausted = \"hold-key\"`
it would have waited.

The host does it, whether this command goes on or not, also after a restart; the order's number is told
first, and --follow JOB shows the progress of the order again. --cancel takes an order back for the letters
that are not on their way yet. Where a handler is removed, or a version goes, the host takes back what
nothing could run, and says so in its log. --dry-run runs the letters with all their attempts on the states
of now, commits nothing, and says what each would come to. A letter that was redriven 5 times is left out:
--force takes it as well. Letters of keys that are held are left out: `sandman dlq release KEY` takes them.

Exit codes:
  0  all that was ordered is handled; with --dry-run: would be
  1  some failed again, or were left out; there is no such letter, handler or order; the host refused
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

    /// Order nothing; show how an earlier order goes on.
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
            return again(&client, job, args.json);
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
        let ordered: RedriveOrdered = client.ask("/v1/letters/redrive", &order)?;
        if ordered.ordered > 0 {
            let RedriveOrdered { job, ordered, .. } = ordered;
            // First of all, for whoever loses this command or its host.
            output::error(&format!(
                "order {job} of {}; --follow {job} shows it again",
                letters(ordered)
            ));
        }
        follow(&client, ordered, args.json)
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

/// Shows an earlier order.
fn again(client: &Client, job: u64, json: bool) -> Result<ExitCode> {
    let mut response = client.open(&path(job))?;
    let first = client::lines(&mut response).next();
    let first = checked(first.context("the host did not answer")??)?;
    let first: RedriveProgress = serde_json::from_str(&first)?;
    let left = first.remaining + first.failed.len() as u64;
    // Orders are numbered by the time at which they were given.
    let tomorrow = clock::wall_millis().saturating_add(DAY).unsigned_abs();
    if left == 0 && !(FIRST_ORDER..tomorrow).contains(&job) {
        bail!("there is no order {job}");
    }
    if left == 0 && !json {
        output::line(&format!(
            "nothing is left of order {job}: its letters were handled or dropped, or there was no such order"
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let ordered = RedriveOrdered {
        job,
        ordered: left,
        refused: 0,
        held: 0,
        already: 0,
    };
    follow(client, ordered, json)
}

/// A day, and the first moment at which an order can have been given, in milliseconds since 1970: 2025 began.
const DAY: i64 = 24 * 60 * 60 * 1_000;
const FIRST_ORDER: u64 = 1_735_689_600_000;

fn cancel(client: &Client, order: &Value, json: bool) -> Result<ExitCode> {
    let done: RedriveCancelled = client.ask("/v1/letters/cancel", order)?;
    client::show(json, &done, |done| {
        output::line(&format!("{} taken back and kept", letters(done.cancelled)));
        if done.under_way > 0 {
            output::line(&format!("{} on their way already", letters(done.under_way)));
        }
    })?;
    Ok(match done.under_way {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Waits until nothing is left of the order, and tells what failed again.
fn follow(client: &Client, ordered: RedriveOrdered, json: bool) -> Result<ExitCode> {
    let bar = ProgressBar::new(ordered.ordered);
    bar.set_style(ProgressStyle::with_template("redriving {bar:30} {pos}/{len} {msg}")?);
    let mut response = client.open(&path(ordered.job))?;
    let mut progress = None;
    for line in client::lines(&mut response) {
        let line = checked(line?)?;
        let now: RedriveProgress = serde_json::from_str(&line)?;
        bar.set_position(ordered.ordered.saturating_sub(now.remaining));
        if !now.failed.is_empty() {
            bar.set_message(format!("{} failed again", now.failed.len()));
        }
        progress = Some(now);
    }
    let progress = progress.context("the host did not say how it goes on; --follow shows it")?;
    if progress.remaining > 0 {
        bail!(
            "the host stops; it goes on at its next start, and --follow {} shows it",
            ordered.job
        );
    }
    bar.finish_and_clear();
    tell(&ordered, &progress, json)
}

fn tell(ordered: &RedriveOrdered, progress: &RedriveProgress, json: bool) -> Result<ExitCode> {
    let RedriveOrdered {
        job,
        ordered,
        refused,
        held,
        already,
    } = *ordered;
    let failed = progress.failed.len() as u64;
    let handled = ordered.saturating_sub(failed);
    if json {
        output::json(&json!({
            "job": job, "ordered": ordered, "handled": handled, "failed": progress.failed, "refused": refused, "held": held,
            "already": already,
        }))?;
    } else {
        output::line(&format!("{ordered} redriven: {handled} handled, {failed} failed again"));
        let left_out = [
            (refused, "redriven 5 times already; --force takes them"),
            (held, "their keys are held; see `sandman dlq release`"),
            (already, "they are being redriven already; --cancel takes that back"),
        ];
        for (count, why) in left_out.iter().filter(|(count, _)| *count > 0) {
            output::line(&format!("{count} left out: {why}"));
        }
        if failed > 0 {
            list::table(&progress.failed);
        }
    }
    let good = failed + refused + held + already == 0;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
