//! The handlers' listener on a runtime of its own, so that nothing that is slow elsewhere slows it down.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::sync::watch;

use crate::config::Config;
use crate::health::HealthView;
use crate::http::{HttpServer, Requests};

use super::threads::Threads;

/// Its threads: they parse and copy, guests run elsewhere.
const RUNTIME_THREADS: usize = 2;
/// The name of the thread that ends when the last request has.
pub(super) const THREAD: &str = "http";

/// The running listener.
pub(super) struct Http {
    pub(super) address: SocketAddr,
    stop: watch::Sender<bool>,
}

impl Http {
    /// Starts it, if there are routes to serve.
    pub(super) fn start(
        config: &Config,
        requests: Arc<dyn Requests>,
        health: &Arc<HealthView>,
        threads: &mut Threads,
    ) -> Result<Option<Self>> {
        if config.routes.is_empty() {
            return Ok(None);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(RUNTIME_THREADS)
            .thread_name(THREAD)
            .enable_all()
            .build()
            .context("the runtime of the listeners cannot be started")?;
        let server = runtime.block_on(HttpServer::bind(config, requests, Arc::clone(health)))?;
        let address = server.address();
        let (stop, stopped) = watch::channel(false);
        threads.spawn(THREAD.to_owned(), move || runtime.block_on(server.serve(stopped)))?;
        Ok(Some(Self { address, stop }))
    }

    /// Finishes the requests that have begun, and takes no more.
    pub(super) fn stop(&self) {
        // Nobody listens once the server has ended by itself.
        self.stop.send(true).ok();
    }
}
