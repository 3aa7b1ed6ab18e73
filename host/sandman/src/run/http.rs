//! The handlers' listener on a runtime of its own, so that slow work elsewhere does not delay it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use crossbeam_channel::{Sender, bounded};
use tokio::sync::watch;

use sandman_config::Config;
use sandman_core::store::DeploymentStore;
use sandman_engine::health::HealthView;
use sandman_engine::meters::Meters;
use sandman_engine::pipeline::Pipeline;
use sandman_http::{HttpServer, LiveRoutes, Requests};

use super::threads::Threads;

/// Its threads: they parse and copy, guests run elsewhere.
const RUNTIME_THREADS: usize = 2;
/// The name of the thread, which ends after the last request.
pub(super) const THREAD: &str = "http";

/// The shortest time that an unreferenced file is kept if other hosts also store files, because their current requests
/// are not known here.
const OTHERS: Duration = Duration::from_secs(60 * 60);

/// The running listener.
pub(super) struct Http {
    pub(super) address: SocketAddr,
    pub(super) routes: LiveRoutes,
    stop: watch::Sender<bool>,
    stop_sweeper: Sender<()>,
}

impl Http {
    /// Starts it, if there are routes to serve.
    pub(super) fn start(
        config: &Config,
        pipeline: &Arc<Pipeline>,
        (store, health, meters): (&Arc<dyn DeploymentStore>, &Arc<HealthView>, &Meters),
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
        let requests: Arc<dyn Requests> = Arc::clone(pipeline) as _;
        let server = runtime.block_on(HttpServer::bind(
            config,
            (requests, Arc::clone(store) as _),
            Arc::clone(health),
            meters,
        ))?;
        let shortest = if store.is_shared() { OTHERS } else { Duration::ZERO };
        let sweep = server.sweep(config.uploads.keep.max(shortest), meters);
        let (stop_sweeper, sweeper_stopped) = bounded(1);
        threads.spawn("sweeper".to_owned(), move || sweep.run(&sweeper_stopped))?;
        let (address, routes) = (server.address(), server.routes());
        let (stop, stopped) = watch::channel(false);
        threads.spawn(THREAD.to_owned(), move || runtime.block_on(server.serve(stopped)))?;
        Ok(Some(Self {
            address,
            routes,
            stop,
            stop_sweeper,
        }))
    }

    /// Finishes the current requests, accepts no more, and removes no more files.
    pub(super) fn stop(&self) {
        // The receiver is gone if the server has ended on its own.
        self.stop.send(true).ok();
        self.stop_sweeper.try_send(()).ok();
    }
}
