//! `sandman dlq redrive`: letters go back through their handlers, and what became of them.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::filter::FilterArgs;
use super::list;
use crate::cli::client::{self, Client, HostArgs};
use crate::cli::output;
use sandman_operate::letters::{RedriveOrdered, RedriveProgress, Rehearsed};

const AFTER: &str = "\
Letters go through the lanes of their keys, in the order in which they came, as triggers of their own: on
the version that serves, or on a kept one with --through. A letter leaves the store in the commit that
holds its outcome, so that a crash neither loses nor doubles it. One that fails again stays, with what it
failed of this time. What came in after it for its key is handled already: with `exhausted = \"hold-key\"`
it would have waited.

The host does it, whether this command goes on or not, also after a restart; --follow JOB shows the
progress of an order again. --dry-run runs the letters by the same attempt on the states of now, commits
nothing, and says what each would come to. A letter that was redriven 5 times is left out: --force takes
it as well. Letters of keys that are held are left out: `sandman dlq release KEY` takes them.

Exit codes:
  0  all that was ordered is handled; with --dry-run: would be
  1  some failed again, or were left out; the host refused
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

    /// Order nothing; show how an earlier order goes on.
    #[arg(long, value_name = "JOB", conflicts_with_all = ["id", "handler", "key", "code", "since", "all", "through", "dry_run", "force"])]
    follow: Option<u64>,

    #[command(flatten)]
    host: HostArgs,

    /// Print what was ordered and what failed again as JSON; with --dry-run a line for each letter.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &RedriveArgs) -> Result<ExitCode> {
    client::asking(|| {
        let client = args.host.client()?;
        if let Some(job) = args.follow {
            let mut response = client.open(&path(job))?;
            let first = client::lines(&mut response).next();
            let first = checked(first.context("the host did not answer")??)?;
            let first: RedriveProgress = serde_json::from_str(&first)?;
            let ordered = RedriveOrdered {
                job,
                ordered: first.remaining + first.failed.len() as u64,
                refused: 0,
                held: 0,
            };
            return follow(&client, ordered, args.json);
        }
        let query = args.filter.query(args.id);
        if query.is_all() && !args.all {
            bail!("say which letters are meant: a number, --handler, --key, --code, --since, or --all");
        }
        let order = json!({
            "letters": query, "all": args.all, "through": args.through, "dryRun": args.dry_run, "force": args.force,
        });
        if args.dry_run {
            return rehearse(&client, &order, args.json);
        }
        follow(&client, client.ask("/v1/letters/redrive", &order)?, args.json)
    })
}

fn path(job: u64) -> String {
    format!("/v1/letters/jobs/{job}")
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
    let failed = progress.failed.len() as u64;
    let handled = ordered.ordered.saturating_sub(failed);
    if json {
        output::json(&json!({
            "job": ordered.job, "ordered": ordered.ordered, "handled": handled, "failed": progress.failed,
            "refused": ordered.refused, "held": ordered.held,
        }))?;
    } else {
        output::line(&format!(
            "{} redriven: {handled} handled, {failed} failed again",
            ordered.ordered
        ));
        if ordered.refused > 0 {
            output::line(&format!(
                "{} left out: redriven 5 times already; --force takes them",
                ordered.refused
            ));
        }
        if ordered.held > 0 {
            output::line(&format!(
                "{} left out: their keys are held; see `sandman dlq release`",
                ordered.held
            ));
        }
        if failed > 0 {
            list::table(&progress.failed);
        }
    }
    let good = failed == 0 && ordered.refused == 0 && ordered.held == 0;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn rehearse(client: &Client, order: &Value, json: bool) -> Result<ExitCode> {
    let body = order.to_string();
    let mut response = client.post("/v1/letters/redrive", ("application/json", body.as_bytes()))?;
    client.refused(&mut response)?;
    let (mut handled, mut failed) = (0, 0);
    for line in client::lines(&mut response) {
        let line = checked(line?)?;
        let rehearsed: Rehearsed = serde_json::from_str(&line)?;
        match rehearsed.state {
            Some(_) => handled += 1,
            None => failed += 1,
        }
        match json {
            true => output::json_line(&line),
            false => output::line(&told(&rehearsed)),
        }
    }
    if !json {
        output::line(&format!(
            "{handled} would be handled, {failed} would fail; nothing was changed"
        ));
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A line that is no error.
fn checked(line: String) -> Result<String> {
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
        ..
    } = rehearsed;
    let version = version.map_or_else(String::new, |version| format!(" version {version}"));
    let reason = reason.as_deref().unwrap_or_default();
    match (state, code) {
        (Some(state), _) => {
            let topics: Vec<&str> = events.iter().map(|event| event.topic.as_str()).collect();
            let events = if topics.is_empty() {
                "no events".to_owned()
            } else {
                topics.join(", ")
            };
            format!("{id}  {handler}{version}  would be handled: state {state}, {events}")
        }
        (None, Some(code)) => format!("{id}  {handler}{version}  would fail again: {code}, {reason}"),
        (None, None) => format!("{id}  {handler}{version}  cannot be redriven: {reason}"),
    }
}
