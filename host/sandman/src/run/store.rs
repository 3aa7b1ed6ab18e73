//! Opens the configured store, for the host and the tools.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};

use sandman_config::{Brokers, Config, Secret, StoreUrl};
use sandman_core::store::DeploymentStore;
use sandman_store::{PgOptions, PostgresStore, SqliteStore};

/// Opens the configured store; with the embedded broker, the one beside it.
///
/// # Errors
/// If it cannot be opened, for example because a host uses it.
pub(crate) fn open_store(config: &Config) -> Result<Arc<dyn DeploymentStore>> {
    if let Some(store) = open_postgres(config)? {
        return Ok(Arc::new(store));
    }
    let store = match store_file(config) {
        Some(path) => SqliteStore::open(&path)?,
        None => SqliteStore::in_memory()?,
    };
    Ok(Arc::new(store))
}

/// Opens the store to run on it, and joins the fleet if several hosts may share it.
pub(super) fn join_store(config: &Config) -> Result<Arc<dyn DeploymentStore>> {
    let store: Arc<dyn DeploymentStore> = match open_postgres(config)? {
        Some(store) => {
            store.join(&config.host.name)?;
            Arc::new(store)
        }
        None => open_store(config)?,
    };
    store.skip_numbers()?;
    Ok(store)
}

/// The store on PostgreSQL, if that is configured.
pub(crate) fn open_postgres(config: &Config) -> Result<Option<PostgresStore>> {
    let StoreUrl::Postgres(url) = &config.store.url else {
        return Ok(None);
    };
    if config.kafka.brokers == Brokers::Embedded {
        bail!(
            "kafka.brokers is \"embedded\", which starts empty each time; with store.url on PostgreSQL it has to be a cluster"
        );
    }
    Ok(Some(PostgresStore::open(&postgres_options(config, url))?))
}

/// The options for the store at that URL, with everything else from the configuration.
pub(crate) fn postgres_options(config: &Config, url: &Secret) -> PgOptions {
    PgOptions {
        url: url.expose().to_owned(),
        password: config
            .store
            .password
            .as_ref()
            .map(|password| password.expose().to_owned()),
        passfile: config.store.passfile.clone(),
        schema: config.store.schema.clone(),
        shards: config.store.shards,
    }
}

/// The file of the configured store; `None` for one in memory, or on a server.
pub(crate) fn store_file(config: &Config) -> Option<PathBuf> {
    match &config.store.url {
        // A separate store, because forgetting Kafka must never affect the store of a real cluster.
        StoreUrl::Sqlite(path) if config.kafka.brokers == Brokers::Embedded => Some(path.with_extension("embedded.db")),
        StoreUrl::Sqlite(path) => Some(path.clone()),
        StoreUrl::Memory | StoreUrl::Postgres(_) => None,
    }
}

/// Refuses commands for the store of a stopped host on PostgreSQL, where no lock shows whether hosts run.
pub(crate) fn refuse_shared(config: &Config) -> Result<()> {
    if matches!(config.store.url, StoreUrl::Postgres(_)) {
        bail!(
            "store.url is PostgreSQL, whose hosts may be running; --offline is for a store in a file, ask a host instead"
        );
    }
    Ok(())
}
