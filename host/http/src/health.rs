//! `/health`, `/health/live` and `/health/ready`, on every listener.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use sandman_engine::health::{HealthReport, HealthView, Status};

/// The prefix of their paths.
pub const PATH: &str = "/health";

/// Whether the reader may see the full reasons, which name files of this machine and others in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Those who may use the admin listener.
    Operators,
    /// Anybody who can reach the routes' listener.
    Anybody,
}

/// The report and its audience.
#[derive(Clone)]
struct Shown(Arc<HealthView>, Audience);

/// The three routes.
pub fn routes(health: Arc<HealthView>, audience: Audience) -> Router {
    Router::new()
        .route("/health", get(whole))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(Shown(health, audience))
}

impl Shown {
    fn report(&self) -> HealthReport {
        let mut report = self.0.report();
        if self.1 == Audience::Anybody {
            let elsewhere = |what: &str| format!("{what}; the admin listener and the log say why");
            report.reason = report.reason.map(|_| elsewhere("the host cannot work"));
            for held in &mut report.held_topics {
                "the admin listener and the log say why".clone_into(&mut held.reason);
            }
            for handler in &mut report.handlers {
                "the admin listener and the log say why".clone_into(&mut handler.reason);
            }
        }
        report
    }
}

async fn whole(State(health): State<Shown>) -> Response {
    let report = health.report();
    let status = match report.status {
        Status::Healthy | Status::Degraded => StatusCode::OK,
        Status::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(report)).into_response()
}

async fn live(State(health): State<Shown>) -> Response {
    let live = health.0.live();
    (status(live), Json(json!({ "live": live }))).into_response()
}

async fn ready(State(health): State<Shown>) -> Response {
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
