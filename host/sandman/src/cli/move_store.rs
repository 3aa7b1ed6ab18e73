//! `sandman move`: takes a stopped deployment from a store in a file to PostgreSQL, or back.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{ConfigArgs, output};
use crate::run::{open_postgres, postgres_options, store_file};
use sandman_config::{Secret, StoreUrl};
use sandman_store::{Moved, PostgresStore, SqliteStore, move_to_postgres, move_to_sqlite};

const AFTER: &str = "\
Stop all hosts first, and make sure that all their events are published: stop
them with SIGTERM while Kafka is reachable. The target must be empty. It is
written in one transaction and read back before it counts: a move that is
interrupted has changed nothing and can be started again. The source is left
unchanged.

Then set store.url to the target and start the first host once with `sandman run
--adopt`, which takes over the deployment's cursor. From then on, a host that
still uses the old store is refused. The schema and the number of shards come
from [store], the password from where `sandman run` takes it.

Exit codes:
  0  everything was moved
  1  nothing was moved; the reason is on stderr
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
    let mut tell = |moved: &Moved| {
        if !args.json {
            output::error(&format!("{}: {}", moved.name, moved.rows));
        }
    };
    let moved = match (&config.store.url, args.to.strip_prefix("sqlite:")) {
        (StoreUrl::Postgres(_), Some(path)) => {
            let from = open_postgres(&config)?.context("store.url names no PostgreSQL")?;
            let to = SqliteStore::open(path.as_ref())?;
            move_to_sqlite(&from, &to, &mut tell)?
        }
        (StoreUrl::Sqlite(_), None) if is_postgres(&args.to) => {
            let path = store_file(&config).context("store.url names no file")?;
            let from = SqliteStore::open(&path)?;
            let to = PostgresStore::open(&postgres_options(&config, &Secret::new(&args.to)))?;
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

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}
