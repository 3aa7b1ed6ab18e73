//! `/health`, `/health/live` and `/health/ready`, on every listener.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::health::{HealthView, Status};

/// What their paths begin with.
pub(super) const PATH: &str = "/health";

/// The three routes.
pub(super) fn routes(health: Arc<HealthView>) -> Router {
    Router::new()
        .route("/health", get(whole))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(health)
}

async fn whole(State(health): State<Arc<HealthView>>) -> Response {
    let report = health.report();
    let status = match report.status {
        Status::Healthy | Status::Degraded => StatusCode::OK,
        Status::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(report)).into_response()
}

async fn live(State(health): State<Arc<HealthView>>) -> Response {
    let live = health.live();
    (status(live), Json(json!({ "live": live }))).into_response()
}

async fn ready(State(health): State<Arc<HealthView>>) -> Response {
    let report = health.report();
    (
        status(report.ready),
        Json(json!({ "ready": report.ready, "reason": report.reason })),
    )
        .into_response()
}

fn status(good: bool) -> StatusCode {
    if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}
