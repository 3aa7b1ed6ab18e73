//! The admin listener: `/metrics` behind the token, `/health` for probes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::answer::{error, plain};
use super::guard::{self, Guard};
use super::health;
use super::serve::{Bounds, ListenError, Listener};
use crate::config::AdminConfig;
use crate::health::HealthView;
use crate::meters::Meters;

/// How often the histograms are summed up; until then each holds every value.
const UPKEEP: Duration = Duration::from_secs(1);

/// The admin listener, bound and not yet serving.
#[derive(Debug)]
pub struct AdminServer {
    listener: Listener,
    meters: Arc<Meters>,
}

impl AdminServer {
    /// Binds the configured address.
    ///
    /// # Errors
    /// [`ListenError`] if the address cannot be bound.
    pub async fn bind(config: &AdminConfig, meters: Arc<Meters>, health: Arc<HealthView>) -> Result<Self, ListenError> {
        let guard = Guard::new(config.listen, config.token.as_ref());
        let router = router(guard, Arc::clone(&meters), health);
        let listener = Listener::bind(config.listen, router, Bounds::ADMIN).await?;
        Ok(Self { listener, meters })
    }

    /// Where it listens; the port that was taken where 0 was configured.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves until `stop` becomes true or its sender goes, then finishes the requests it has begun.
    pub async fn serve(self, stop: watch::Receiver<bool>) {
        let Self { listener, meters } = self;
        let serving = listener.serve(stop);
        tokio::pin!(serving);
        let mut ticks = interval(UPKEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut serving => return,
                _ = ticks.tick() => meters.upkeep(),
            }
        }
    }
}

fn router(guard: Guard, meters: Arc<Meters>, health: Arc<HealthView>) -> Router {
    let protected = Router::new()
        .route("/metrics", get(metrics))
        .with_state(meters)
        .route_layer(from_fn_with_state(guard.clone(), guard::token));
    Router::new()
        .merge(protected)
        .merge(health::routes(health))
        .fallback(async || error(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || error(StatusCode::METHOD_NOT_ALLOWED, "this path is read with GET"))
        .layer(from_fn_with_state(guard, guard::no_pages))
        .layer(map_response(plain))
}

async fn metrics(State(meters): State<Arc<Meters>>) -> Response {
    let format = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (format, meters.render()).into_response()
}
