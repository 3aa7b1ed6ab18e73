//! The dead letters in the store of a host that is stopped. Whoever may read the store's file may read all of it.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{run, telemetry};
use sandman_config::{Config, LogFormat, StoreUrl};
use sandman_operate::letters::Letters;

/// Opens the store of the configuration in `file`; while it is open, no host starts with it.
pub(super) fn open(file: &Path) -> Result<(Letters, Config)> {
    telemetry::install(LogFormat::Text, "error")?;
    // Whoever looks need not have the secrets that the host has in its environment.
    let config = crate::cli::load(file)
        .or_else(|errors| errors.unless_only(&["JWT_SECRET", "admin.listen", "admin.read_data"]))?;
    run::refuse_shared(&config)?;
    if config.store.url == StoreUrl::Memory {
        bail!("store.url is sqlite::memory:, which went with the host; --offline needs a store in a file");
    }
    if let Some(path) = run::store_file(&config).filter(|path| !path.exists()) {
        bail!(
            "there is no store {}; it is made by the first start of the host",
            path.display()
        );
    }
    let store = run::open_store(&config).context("--offline is for a host that is stopped")?;
    Ok((Letters::new(store), config))
}
