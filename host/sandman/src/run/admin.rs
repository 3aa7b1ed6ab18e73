//! The admin listener on a small runtime of its own, because the hot path has no async code.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::sync::watch;

use sandman_config::AdminConfig;
use sandman_engine::health::HealthView;
use sandman_engine::meters::Meters;
use sandman_operate::admin::AdminServer;
use sandman_operate::control::Control;

use super::threads::Threads;

/// The running listener.
pub(super) struct Admin {
    pub(super) address: SocketAddr,
    stop: watch::Sender<bool>,
}

impl Admin {
    pub(super) fn start(
        config: &AdminConfig,
        control: Arc<dyn Control>,
        meters: &Arc<Meters>,
        health: &Arc<HealthView>,
        threads: &mut Threads,
    ) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("http")
            .enable_all()
            .build()
            .context("the runtime of the listeners cannot be started")?;
        let server = AdminServer::bind(config, control, Arc::clone(meters), Arc::clone(health));
        let server = runtime.block_on(server)?;
        let address = server.address();
        let (stop, stopped) = watch::channel(false);
        threads.spawn("admin".to_owned(), move || {
            runtime.block_on(server.serve(stopped));
            // Calls that still wait for the store are abandoned.
            runtime.shutdown_background();
        })?;
        Ok(Self { address, stop })
    }

    /// Finishes the current requests, and accepts no more.
    pub(super) fn stop(&self) {
        // The receiver is gone if the server has ended on its own.
        self.stop.send(true).ok();
    }
}
