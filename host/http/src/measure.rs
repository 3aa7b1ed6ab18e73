//! Measures every request by its route.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::{health, uploads};
use sandman_engine::meters::{Meters, RouteMeters};

/// The metrics of requests.
#[derive(Debug)]
pub(super) struct Measure {
    health: RouteMeters,
    uploads: RouteMeters,
    /// Requests without a configured route. Clients choose their paths and methods, so these are not used as labels.
    unknown: RouteMeters,
}

/// Where the edge stores the route of a request once it is known. It remains available if the request times out.
#[derive(Clone, Default)]
pub(super) struct ChosenRoute(Arc<OnceLock<Arc<RouteMeters>>>);

impl ChosenRoute {
    pub(super) fn note(&self, route: &Arc<RouteMeters>) {
        // A request has only one route.
        let _ = self.0.set(Arc::clone(route));
    }
}

impl Measure {
    pub(super) fn new(meters: &Meters) -> Self {
        Self {
            health: meters.route("GET", health::PATH),
            uploads: meters.route("GET", uploads::PREFIX),
            unknown: meters.route("other", "other"),
        }
    }

    fn of_path(&self, path: &str) -> &RouteMeters {
        if path.starts_with(uploads::PREFIX) {
            &self.uploads
        } else if path
            .strip_prefix(health::PATH)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        {
            &self.health
        } else {
            &self.unknown
        }
    }
}

/// Counts and times a request. A request whose client has gone before the response is not counted.
pub(super) async fn measure(State(measure): State<Arc<Measure>>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let taken = ChosenRoute::default();
    request.extensions_mut().insert(taken.clone());
    let otherwise = measure.of_path(request.uri().path());
    let response = next.run(request).await;
    let meters = taken.0.get().map_or(otherwise, AsRef::as_ref);
    meters.answered(response.status().as_u16(), began.elapsed().as_secs_f64());
    response
}
