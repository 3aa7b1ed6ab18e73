//! The admin listener: the API and `/metrics`, which need the token, `/health` for probes, and `/openapi.json`.

mod api;
mod audit;
mod guard;
mod letters;
mod lines;
mod recordings;
mod respond;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::control::Control;
use guard::Guard;
use respond::Api;
use sandman_config::AdminConfig;
use sandman_engine::health::HealthView;
use sandman_engine::meters::Meters;
use sandman_http::answer::{error, plain};
use sandman_http::health;
use sandman_http::serve::{Bounds, ListenError, Listener};

/// How often the histograms are aggregated; until then each keeps every value.
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
    pub async fn bind(
        config: &AdminConfig,
        control: Arc<dyn Control>,
        meters: Arc<Meters>,
        health: Arc<HealthView>,
    ) -> Result<Self, ListenError> {
        let guard = Guard::new(config.listen, &config.tokens, &config.read_data);
        let api = Api {
            control,
            meters: Arc::clone(&meters),
        };
        let router = router(guard, api, health);
        let listener = Listener::bind(config.listen, router, Bounds::ADMIN).await?;
        Ok(Self { listener, meters })
    }

    /// The address on which it listens, with the actual port if 0 was configured.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves until `stop` becomes true or its sender is dropped, then finishes its current requests.
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

/// The layers, from the inside out, so that refused calls are audited as well.
fn router(guard: Guard, api: Api, health: Arc<HealthView>) -> Router {
    let protected = api::routes()
        .into_iter()
        .fold(Router::new(), |router, (_, path, method)| router.route(path, method))
        .with_state(api)
        .route_layer(from_fn_with_state(guard.clone(), guard::token));
    Router::new()
        .merge(protected)
        .merge(health::routes(health, health::Audience::Operators))
        .fallback(async || {
            error(
                StatusCode::NOT_FOUND,
                "there is nothing at this path; see /openapi.json",
            )
        })
        .method_not_allowed_fallback(async || {
            error(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path has other methods; see /openapi.json",
            )
        })
        .layer(from_fn_with_state(guard, guard::no_pages))
        .layer(map_response(plain))
        .layer(from_fn(audit::audit))
}
