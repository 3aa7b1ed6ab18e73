//! The dead letters in the store of a stopped host. Anybody who can read the store's file may read all of it.

use std::path::Path;

use anyhow::Result;

use crate::cli::offline;
use sandman_config::Config;
use sandman_operate::letters::Letters;

/// Opens the store of the configuration in `file`; while it is open, no host can start with it.
pub(super) fn open(file: &Path) -> Result<(Letters, Config)> {
    let config = offline::configuration(file)?;
    let store = offline::store(&config)?;
    Ok((Letters::new(store), config))
}
