//! The handlers' own listener: the configured routes, the uploaded files, and `/health` for probes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use thiserror::Error;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tower_http::cors::CorsLayer;

use super::answer::plain;
use super::edge::{self, Edge, EdgeBounds, RUNNING};
use super::measure::{Measure, measure};
use super::routes::{Routes, position};
use super::serve::{Bounds, ListenError, Listener, in_time};
use super::token::Tokens;
use super::uploads::Uploads;
use super::{Requests, correlation, cors, health};
use crate::files::{Sweep, UploadsError};
use sandman_config::Config;
use sandman_core::lanes::HandlerIx;
use sandman_core::store::FileStore;
use sandman_engine::health::HealthView;
use sandman_engine::meters::Meters;

/// Why requests cannot be served.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The address cannot be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The storage of uploads cannot be used.
    #[error(transparent)]
    Uploads(#[from] UploadsError),
}

/// The routes of a running listener. Each request uses the routes at the time of its arrival.
#[derive(Clone)]
pub struct LiveRoutes(Arc<ArcSwap<Routes>>);

impl LiveRoutes {
    /// Switches to the routes of this configuration; `index` finds their handlers.
    pub fn follow(&self, config: &Config, index: &dyn Fn(&str) -> Option<HandlerIx>, meters: &Meters) {
        self.0.store(Arc::new(Routes::new(config, index, meters)));
    }
}

/// The handlers' listener, bound and not yet serving.
pub struct HttpServer {
    listener: Listener,
    routes: LiveRoutes,
    running: Arc<Semaphore>,
    drain_time: Duration,
    uploads: Uploads,
}

impl HttpServer {
    /// Binds the configured address. `requests` must know the handlers by their position in the configuration; `store` knows
    /// which uploaded files their states name.
    ///
    /// # Errors
    /// [`HttpError`] if the address cannot be bound, or the storage of uploads cannot be used.
    pub async fn bind(
        config: &Config,
        (requests, store): (Arc<dyn Requests>, Arc<dyn FileStore>),
        health: Arc<HealthView>,
        meters: &Meters,
    ) -> Result<Self, HttpError> {
        let http = &config.http;
        let running = Arc::new(Semaphore::new(usize::try_from(RUNNING).unwrap_or(usize::MAX)));
        let uploads = Uploads::open(&config.uploads.url, store).await?;
        let all = Routes::new(config, &position(config), meters);
        let routes = Arc::new(ArcSwap::from_pointee(all));
        let edge = Edge {
            routes: Arc::clone(&routes),
            tokens: Tokens::new(http.jwt_secret.as_ref()),
            uploads: uploads.clone(),
            meters: meters.http(),
            requests,
            bounds: EdgeBounds {
                body: http.body,
                upload: http.upload,
                time: http.timeout,
            },
            running: Arc::clone(&running),
        };
        let bounds = bounds(config);
        let router = router(edge, cors::layer(http), health, bounds)
            .layer(from_fn_with_state(Arc::new(Measure::new(meters)), measure));
        let listener = Listener::bind(http.listen, router, bounds).await?;
        Ok(Self {
            listener: listener.showing(meters.http().connections),
            routes: LiveRoutes(routes),
            running,
            drain_time: bounds.drain_time,
            uploads,
        })
    }

    /// The routes, which can be changed while it serves.
    pub fn routes(&self) -> LiveRoutes {
        self.routes.clone()
    }

    /// The sweep, which removes uploaded files that no state has named for this time.
    pub fn sweep(&self, keep: Duration, meters: &Meters) -> Sweep {
        self.uploads.sweep(keep, meters.http())
    }

    /// The address on which it listens, with the actual port if 0 was configured.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves until `stop` becomes true or its sender is dropped, then finishes its current requests, within the
    /// configured time and `host.grace`.
    pub async fn serve(self, stop: watch::Receiver<bool>) {
        self.listener.serve(stop).await;
        // Requests whose clients have gone may still have files to remove.
        timeout(self.drain_time, self.running.acquire_many(RUNNING)).await.ok();
    }
}

fn bounds(config: &Config) -> Bounds {
    Bounds {
        connections: config.http.connections,
        header_bytes: 32 << 10,
        headers: 100,
        body: config.http.body,
        header_time: Duration::from_secs(10).min(config.http.timeout),
        // Body and answer have their own limits; this one is for everything else.
        request_time: config.http.timeout.saturating_mul(2) + Duration::from_secs(10),
        connection_time: Duration::from_secs(300),
        drain_time: config.http.timeout.min(config.host.grace),
    }
}

/// The layers, from the inside out, so that every response has a correlation id, even after a timeout.
fn router(edge: Edge, cors: Option<CorsLayer>, health: Arc<HealthView>, bounds: Bounds) -> Router {
    let router = Router::new()
        .fallback(edge::handle)
        .with_state(Arc::new(edge))
        .merge(health::routes(health, health::Audience::Anybody))
        .method_not_allowed_fallback(edge::only_read)
        .layer(from_fn_with_state(bounds, in_time))
        .layer(map_response(plain));
    let shared = match cors {
        Some(cors) => router.layer(cors),
        None => router,
    };
    shared.layer(from_fn(correlation::carry))
}

#[cfg(test)]
mod tests;
