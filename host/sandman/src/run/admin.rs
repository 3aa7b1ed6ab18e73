//! The admin listener on a small runtime of its own: the hot path knows no async.

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
            // What still waits for the store is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { address, stop })
    }

    /// Finishes the requests that have begun, and takes no more.
    pub(super) fn stop(&self) {
        // Nobody listens once the server has ended by itself.
        self.stop.send(true).ok();
    }
}
