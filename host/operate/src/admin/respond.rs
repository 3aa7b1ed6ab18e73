//! Data and responses that all routes of the API share.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::control::Control;
use crate::deploy::Refusal;
use sandman_engine::meters::Meters;
use sandman_http::answer::error;

/// The time for receiving a component.
pub(super) const RECEIVE_TIME: Duration = Duration::from_secs(50);

/// The data of the routes.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) control: Arc<dyn Control>,
    pub(super) meters: Arc<Meters>,
}

/// What a path names. What it cannot name is refused as everything else is, and not in plain text.
pub(super) struct Named<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let named = Path::from_request_parts(parts, state).await;
        let Path(named) = named.map_err(|rejection| error(rejection.status(), &rejection.body_text()))?;
        Ok(Self(named))
    }
}

/// Runs a call of the store on a thread that may block.
pub(super) async fn aside(work: impl FnOnce() -> Response + Send + 'static) -> Response {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| error(StatusCode::INTERNAL_SERVER_ERROR, "the host failed; its log says how"))
}

pub(super) fn answer(result: Result<impl Serialize, Refusal>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(error) => refused(&error),
    }
}

pub(super) fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Unknown { .. } | Refusal::NotKept { .. } | Refusal::NoLetter(_) | Refusal::NoOrder(_) => {
            StatusCode::NOT_FOUND
        }
        Refusal::Busy(_)
        | Refusal::NothingBefore { .. }
        | Refusal::NeverServed(_)
        | Refusal::NotConfigured(_)
        | Refusal::HeldByGone(_)
        | Refusal::Through { .. } => StatusCode::CONFLICT,
        Refusal::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    error(status, &refusal.to_string())
}

pub(super) fn unavailable(reason: &str) -> Response {
    error(StatusCode::SERVICE_UNAVAILABLE, reason)
}
