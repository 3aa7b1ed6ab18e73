//! `sandman move`: takes a stopped deployment from a store in a file to PostgreSQL, or back.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{ConfigArgs, output};
use crate::run::{open_postgres, postgres_options, store_file};
use sandman_config::{Secret, StoreUrl};
use sandman_store::{Moved, PostgresStore, SqliteStore, move_to_postgres, move_to_sqlite};

const AFTER: &str = "\
All hosts have to be stopped, and all of their events published: stop them with SIGTERM while Kafka can
be reached. The target has to be empty. It is written in one transaction and read back before it counts:
a move that ends in the middle has done nothing and can be begun again. The source stays as it is.

Then set store.url to the target and start the first host once with `sandman run --adopt`, which takes
over the deployment's cursor; from then on a host with the old store is refused. The schema and the
number of shards are those of [store], the password comes from where it comes for `sandman run`.

Exit codes:
  0  all was moved
  1  nothing was moved; the reason is on stderr
  2  the command line was wrong

Examples:
  sandman move --to postgres://sandman@db.internal/sandman
  sandman move --to sqlite:data/sandman.db --config fleet.toml";

/// Move a stopped deployment from a store in a file to PostgreSQL, or back.
#[derive(Args, Debug)]
#[command(after_long_help = AFTER)]
pub(super) struct MoveArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// Where to: postgres://USER@HOST:PORT/DATABASE, or sqlite:PATH.
    #[arg(long, value_name = "URL")]
    to: String,

    /// Print what was moved as JSON: rows by what they hold.
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
