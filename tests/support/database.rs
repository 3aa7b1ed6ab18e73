//! The same behaviours on PostgreSQL: with `SANDMAN_TEST_DATABASE=postgres` the hosts that would have a store in a file have a
//! schema of their world's own instead. `postgres-chosen` does so for the few behaviours that say they are worth it in CI, and runs
//! no others.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, bail};

use crate::Result;
use crate::paths::target_dir;
use crate::postgres::PostgresServer;
use crate::settings::Settings;

const VARIABLE: &str = "SANDMAN_TEST_DATABASE";

/// Where hosts have their stores in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    /// Where Sandman has it as a rule: in a file.
    File,
    /// In a schema.
    Postgres {
        /// Of the chosen behaviours alone.
        chosen: bool,
    },
}

static SERVER: OnceLock<PostgresServer> = OnceLock::new();
static SCHEMAS: AtomicUsize = AtomicUsize::new(0);

impl Database {
    /// What the environment wants.
    pub(crate) fn wanted() -> Result<Self> {
        match std::env::var(VARIABLE).unwrap_or_default().as_str() {
            "" | "sqlite" => Ok(Self::File),
            "postgres" => Ok(Self::Postgres { chosen: false }),
            "postgres-chosen" => Ok(Self::Postgres { chosen: true }),
            other => bail!("{VARIABLE}={other:?}: it is sqlite, postgres or postgres-chosen"),
        }
    }

    /// Starts the server, if there is to be one.
    pub(crate) fn prepare(self) -> Result {
        if self != Self::File && SERVER.get().is_none() {
            let server = PostgresServer::start(&target_dir()?).context("PostgreSQL does not start")?;
            let _ = SERVER.set(server);
        }
        Ok(())
    }
}

/// The same settings with a schema of that name on the server, if this run has one.
pub(crate) fn on_the_server(settings: Settings, name: &str) -> Settings {
    let Some(server) = SERVER.get() else {
        return settings;
    };
    SCHEMAS.fetch_add(1, Ordering::Relaxed);
    let schema = name.replace(['-', '.'], "_");
    settings
        .set("store.url", &format!("{:?}", server.url()))
        .set("store.schema", &format!("{schema:?}"))
        // More than one, so that what depends on a single order shows.
        .set("store.shards", "2")
}

/// Whether this run has a server.
pub(crate) fn is_on_the_server() -> bool {
    SERVER.get().is_some()
}

/// How many times hosts were set up to have their store on the server.
pub(crate) fn schemas() -> usize {
    SCHEMAS.load(Ordering::Relaxed)
}
