//! `sandman dlq redrive`: handles letters again, and reports the results.

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
Each letter goes through the lane of its key, in the original order, as a
trigger of its own: on the active version, or on a kept one with --through. A
letter leaves the store in the commit that holds its outcome, so a crash neither
loses nor duplicates it. A letter that fails again stays, with its new reason.
Later events of the same key have already been handled, unless the handler has
`exhausted = \"hold-key\"`, which makes them wait.

The host does the work, even if this command is stopped and after a restart. The
number of the job is printed first, and --follow JOB shows its progress or its
result: the counts are part of the commits that decide them, and those of the
last 1000 jobs are kept. --cancel takes the order back; a letter that is running
or waits for its next attempt then has no effect. If the handler or the version
is removed, the host cancels what it can no longer run and logs it. --dry-run
runs all attempts of each letter on the current states, commits nothing, and
tells the results. Letters that were redriven 5 times are skipped; --force
includes them. Letters of held keys are skipped; use `sandman dlq release KEY`
for them.

Exit codes:
  0  all ordered letters were handled, or the filter matches none; with --dry-run:
     would be handled; with --cancel: the redrive was cancelled
  1  some failed again, were cancelled or skipped; there is no such letter, handler
     or job; or the host refused
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman dlq redrive 17 --dry-run
  sandman dlq redrive --handler profile --code trap.panic
  sandman dlq redrive --key 4711 --through 3
  sandman dlq redrive --all --json";

/// Handle dead letters again, in the order of their keys.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct RedriveArgs {
    /// One letter: its number from `sandman dlq list`.
    id: Option<u64>,

    #[command(flatten)]
    filter: FilterArgs,

    /// All letters.
    #[arg(long, conflicts_with_all = ["id", "handler", "key", "code", "since"])]
    all: bool,

    /// Run on this version instead of the active one.
    #[arg(long, value_name = "VERSION")]
    through: Option<u64>,

    /// Show the result for each letter without changing anything.
    #[arg(long)]
    dry_run: bool,

    /// Include letters that were redriven 5 times or more.
    #[arg(long)]
    force: bool,

    /// Cancel the redrive of these letters: they stay as they are.
    #[arg(long, conflicts_with_all = ["through", "dry_run", "force"])]
    cancel: bool,

    /// Show the progress or the result of an earlier redrive.
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
            let counts = rehearse(&client, "/v1/letters/redrive", &order, args.json)?;
            return Ok(counts.tell(args.json));
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
            // Printed first, in case this command or its host ends early.
            output::error(&format!(
                "job {job} with {}; --follow {job} shows its progress",
                letters(ordered)
            ));
        }
        if ordered + already + held + refused == 0 && !args.json {
            output::line("no letters match, and none is redriven");
            return Ok(ExitCode::SUCCESS);
        }
        follow(&client, job, args.json)
    })
}

/// A number of letters as text.
pub(super) fn letters(count: u64) -> String {
    match count {
        1 => "1 letter".to_owned(),
        count => format!("{count} letters"),
    }
}

fn path(job: u64) -> String {
    format!("/v1/letters/jobs/{job}")
}

/// The letters that were left out, and why.
fn left_out(order: &RedriveOrdered) -> impl Iterator<Item = String> {
    let why = [
        (order.refused, "redriven 5 times already; --force takes them"),
        (order.held, "their keys are held; see `sandman dlq release`"),
        (order.already, "they are already being redriven; --cancel cancels that"),
    ];
    let some = why.into_iter().filter(|(count, _)| *count > 0);
    some.map(|(count, why)| format!("{count} left out: {why}"))
}

fn cancel(client: &Client, order: &Value, json: bool) -> Result<ExitCode> {
    let done: RedriveCancelled = client.ask("/v1/letters/cancel", order)?;
    client::show(json, &done, |done| {
        output::line(&format!("{} cancelled and kept", letters(done.cancelled)));
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Waits until the job is finished, and prints the results.
fn follow(client: &Client, job: u64, json: bool) -> Result<ExitCode> {
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("redriving {bar:30} {pos}/{len} {msg}")?);
    let mut response = client.open(&path(job))?;
    client.refused(&mut response)?;
    let mut progress = None;
    for line in client::lines(&mut response) {
        let line = checked(line.with_context(|| format!("{WENT}; --follow {job} shows the result"))?)?;
        let now: RedriveProgress = serde_json::from_str(&line)?;
        bar.set_length(now.order.ordered);
        bar.set_position(now.order.ordered.saturating_sub(now.remaining));
        if now.failed_again > 0 {
            bar.set_message(format!("{} failed again", now.failed_again));
        }
        progress = Some(now);
    }
    let none = || client::NotAsked(format!("{WENT}; --follow {job} shows the result"));
    let progress = progress.ok_or_else(none)?;
    if progress.remaining > 0 {
        bail!("{WENT}; the job continues at its next start, and --follow {job} shows it");
    }
    bar.finish_and_clear();
    tell(&progress, json)
}

/// The reason if a response ends early.
const WENT: &str = "the host is stopping, or has ended";

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
            (*duplicates, "skipped as duplicates"),
            (*cancelled, "cancelled and kept"),
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
                "{gone} of those that failed again have been dropped, or are part of a later job"
            ));
        }
    }
    let left = order.refused + order.held + order.already;
    Ok(match failed_again + cancelled + left {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// How many letters would come to what.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RehearsedCounts {
    handled: u64,
    failed: u64,
    left_out: u64,
    dropped: u64,
}

impl RehearsedCounts {
    /// Whether no letter was meant.
    pub(super) fn is_none(self) -> bool {
        self.handled + self.failed + self.left_out + self.dropped == 0
    }

    fn add(&mut self, rehearsed: &Rehearsed) {
        let count = match rehearsed.state {
            _ if rehearsed.dropped => &mut self.dropped,
            _ if rehearsed.left_out => &mut self.left_out,
            Some(_) => &mut self.handled,
            None => &mut self.failed,
        };
        *count += 1;
    }

    /// Says them, where no program reads, and what the exit code makes of them.
    pub(super) fn tell(self, json: bool) -> ExitCode {
        let Self {
            handled,
            failed,
            left_out,
            dropped,
        } = self;
        let some = |count: u64, what: &str| match count {
            0 => String::new(),
            count => format!("{count} would be {what}"),
        };
        let (first, last) = (some(dropped, "dropped, "), some(left_out, "left out"));
        let last = if last.is_empty() { last } else { format!(", {last}") };
        if !json {
            output::line(&format!(
                "{first}{handled} would be handled, {failed} would fail{last}; nothing was changed"
            ));
        }
        match failed + left_out {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}

/// Prints the expected result of each letter.
pub(super) fn rehearse(client: &Client, path: &str, order: &Value, json: bool) -> Result<RehearsedCounts> {
    let body = order.to_string();
    let mut response = client.post(path, ("application/json", body.as_bytes()))?;
    client.refused(&mut response)?;
    let mut counts = RehearsedCounts::default();
    for line in client::lines(&mut response) {
        let line = checked(line?)?;
        let rehearsed: Rehearsed = serde_json::from_str(&line)?;
        counts.add(&rehearsed);
        match json {
            true => output::json_line(&line),
            false => output::line(&printable::line(&told(&rehearsed), usize::MAX)),
        }
    }
    Ok(counts)
}

/// Returns a line unless it is an error.
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
        dropped,
        ..
    } = rehearsed;
    let version = version.map_or_else(String::new, |version| format!(" version {version}"));
    let who = format!("{id}  {handler}{version}");
    let why = reason.as_deref().unwrap_or_default();
    match (state, code) {
        (Some(_), _) if reason.is_some() => format!("{who}  would be skipped: {why}"),
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
        (None, None) if *dropped => format!("{who}  would be dropped"),
        (None, None) if *left_out => format!("{who}  left out: {why}"),
        (None, None) => format!("{who}  cannot be redriven: {why}"),
    }
}
