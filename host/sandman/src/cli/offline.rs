//! The target of `--offline`: the store of a stopped host, and the configuration with which it will start.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::{run, telemetry};
use sandman_config::{Config, LogFormat, StoreUrl};
use sandman_core::store::DeploymentStore;
use sandman_operate::deploy::{Done, Offline, Order, Report};
use sandman_operate::load;
use sandman_operate::recordings::Recordings;
use sandman_sandbox::Sandbox;

/// The name in the history for those who may write the store.
const BY: &str = "offline";

/// A stopped host, which cannot start as long as this is open: the store's lock is held.
pub(super) struct Stopped {
    config: Arc<Config>,
    handler: String,
    sandbox: Arc<Sandbox>,
    store: Arc<dyn DeploymentStore>,
}

/// The configuration in `file`. The secrets in the host's environment are not needed.
pub(super) fn configuration(file: &Path) -> Result<Config> {
    telemetry::install(LogFormat::Text, "error")?;
    let config = super::load(file);
    Ok(config.or_else(|errors| errors.unless_only(&["JWT_SECRET", "admin.listen", "admin.read_data"]))?)
}

/// The store of a stopped host; while it is open, no host can start with it.
pub(super) fn store(config: &Config) -> Result<Arc<dyn DeploymentStore>> {
    run::refuse_shared(config)?;
    if config.store.url == StoreUrl::Memory {
        bail!("store.url is sqlite::memory:, which was lost when the host stopped; --offline needs a store in a file");
    }
    if let Some(path) = run::store_file(config).filter(|path| !path.exists()) {
        bail!(
            "there is no store {}; the first start of the host creates it",
            path.display()
        );
    }
    run::open_store(config).context("--offline is for a stopped host")
}

impl Stopped {
    /// Opens the store of the configuration in `file`, for a handler of it.
    pub(super) fn open(file: &Path, handler: &str) -> Result<Self> {
        let config = configuration(file)?;
        config.find(handler)?;
        let store = store(&config)?;
        let sandbox = load::sandbox(&config)?;
        Ok(Self {
            config: Arc::new(config),
            handler: handler.to_owned(),
            sandbox,
            store,
        })
    }

    /// Makes a component the active version from the next start on.
    pub(super) fn deploy(
        &self,
        (force, accept_diffs): (bool, bool),
        component: &[u8],
        tell: &mut dyn FnMut(Report),
    ) -> Result<Done> {
        let order = Order {
            by: BY,
            force,
            accept_diffs,
        };
        let handler = self.config.find(&self.handler)?;
        Ok(self.offline().deploy(handler, (order, component), tell)?)
    }

    /// Makes an earlier version the active one from the next start on.
    pub(super) fn rollback(&self, force: bool, to: Option<u64>) -> Result<Done> {
        let order = Order {
            by: BY,
            force,
            accept_diffs: false,
        };
        let handler = self.config.find(&self.handler)?;
        Ok(self.offline().rollback(handler, order, to)?)
    }

    fn offline(&self) -> Offline<'_> {
        Offline {
            config: Arc::clone(&self.config),
            sandbox: Arc::clone(&self.sandbox),
            versions: &*self.store,
            recordings: Recordings::new(Arc::clone(&self.store) as _),
        }
    }
}
