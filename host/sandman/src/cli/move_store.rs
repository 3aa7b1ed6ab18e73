//! `sandman move`: moves a stopped deployment from a store in a file to PostgreSQL, or back.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::{ConfigArgs, output};
use crate::run::{open_postgres, postgres_options, store_file};
use sandman_config::{Secret, StoreUrl};
use sandman_store::{MoveProgress, PostgresStore, SqliteStore, move_to_postgres, move_to_sqlite};

const AFTER: &str = "\
Stop all hosts first, and make sure that all their events are published: stop
them with SIGTERM while Kafka is reachable. The target must be empty. The source
is left unchanged.

The rows are copied in batches, and in the end the target is compared with the
source, row by row. Until then no host starts on the target. If the move is
interrupted, run the same command again: it continues with the next batch. It
refuses to continue if the source has changed in between, or is another one.

Then set store.url to the target and start the first host once with `sandman run
--adopt`, which takes over the deployment's cursor. From then on, a host that
still uses the old store is refused. The schema and the number of shards come
from [store], the password from where `sandman run` takes it.

Exit codes:
  0  everything was moved
  1  the move is not done; the reason is on stderr
  2  the command line was wrong

Examples:
  sandman move --to postgres://sandman@db.internal/sandman
  sandman move --to sqlite:data/sandman.db --config fleet.toml";

/// Move a stopped deployment from SQLite to PostgreSQL, or back.
#[derive(Args, Debug)]
#[command(after_long_help = AFTER)]
pub(super) struct MoveArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// The target: postgres://USER@HOST:PORT/DATABASE, or sqlite:PATH.
    #[arg(long, value_name = "URL")]
    to: String,

    /// Print the number of rows moved, by kind, as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &MoveArgs) -> Result<ExitCode> {
    let config = args.config.load()?;
    let mut last = Instant::now();
    let mut tell = |progress: MoveProgress| {
        if !args.json {
            show(&progress, &mut last);
        }
    };
    let moved = match (&config.store.url, args.to.strip_prefix("sqlite:")) {
        (StoreUrl::Postgres(_), Some(path)) => {
            let from = open_postgres(&config)?.context("store.url names no PostgreSQL")?;
            let to = SqliteStore::open_target(path.as_ref())?;
            move_to_sqlite(&from, &to, &mut tell)?
        }
        (StoreUrl::Sqlite(_), None) if is_postgres(&args.to) => {
            let path = store_file(&config).context("store.url names no file")?;
            ensure!(path.exists(), "there is no store at {}", path.display());
            let from = SqliteStore::open(&path)?;
            let to = PostgresStore::open_target(&postgres_options(&config, &Secret::new(&args.to)))?;
            move_to_postgres(&from, &to, &mut tell)?
        }
        _ => bail!(
            "a move goes from a store in a file to postgres://..., or from PostgreSQL to sqlite:PATH; store.url is the one \
             that it starts from"
        ),
    };
    if args.json {
        let rows: serde_json::Map<_, _> = moved
            .iter()
            .map(|table| (table.name.to_owned(), table.rows.into()))
            .collect();
        output::json(&rows)?;
    } else {
        output::line("moved; set store.url to the target, and start the first host once with `sandman run --adopt`");
    }
    Ok(ExitCode::SUCCESS)
}

/// How often a table that takes long is mentioned.
const TOLD: Duration = Duration::from_secs(1);

/// Shows every table that is done, and the one at hand now and then; `last` is when that was.
fn show(progress: &MoveProgress, last: &mut Instant) {
    match progress {
        MoveProgress::Reading => output::error("reading the source"),
        MoveProgress::Resumed { name, rows } => output::error(&format!(
            "an earlier move was interrupted; continuing after {rows} rows of the {name}"
        )),
        MoveProgress::Copied { name, rows, of } => {
            if rows == of || last.elapsed() >= TOLD {
                *last = Instant::now();
                output::error(&format!("{name}: {rows} of {of}"));
            }
        }
        MoveProgress::Verifying => output::error("comparing the target with the source"),
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}
