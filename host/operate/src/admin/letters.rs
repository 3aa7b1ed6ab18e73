//! The routes of the dead letters.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::api::{Api, RECEIVE_TIME, aside};
use super::guard::Scopes;
use crate::letters::LetterQuery;
use sandman_core::store::StoreError;
use sandman_http::answer::error;
use sandman_http::body::{Incoming, utf8};

/// Bytes of an order.
const SMALL: usize = 16 << 10;

/// Letters in a list, unless it is asked for more.
const SHOWN: usize = 50;

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Search {
    letters: LetterQuery,
    limit: Option<usize>,
}

/// A search may name a key, which belongs into no log: so it is a body.
pub(super) async fn search(State(api): State<Api>, Extension(scopes): Extension<Scopes>, request: Request) -> Response {
    let Search { letters: query, limit } = match body(request).await {
        Ok(search) => search,
        Err(refused) => return refused,
    };
    aside(move || {
        let letters = api.control.letters();
        told(letters.list(&query.into(), limit.unwrap_or(SHOWN), scopes.reads_data))
    })
    .await
}

pub(super) async fn show(
    State(api): State<Api>,
    Path(id): Path<u64>,
    Extension(scopes): Extension<Scopes>,
) -> Response {
    aside(move || match api.control.letters().show(id, scopes.reads_data) {
        Ok(Some(letter)) => Json(letter).into_response(),
        Ok(None) => error(StatusCode::NOT_FOUND, &format!("there is no dead letter {id}")),
        Err(fault) => unreadable(&fault),
    })
    .await
}

/// What an order says; one without a body says nothing.
pub(super) async fn body<T: DeserializeOwned + Default>(request: Request) -> Result<T, Response> {
    let (parts, body) = request.into_parts();
    let mut body = Incoming::new(body, &parts.headers);
    let read = match body.read(SMALL, RECEIVE_TIME).await {
        Ok(read) => read,
        Err(refusal) => return Err(body.refuse(refusal).await),
    };
    let text = utf8(read, "the body").map_err(IntoResponse::into_response)?;
    if text.is_empty() {
        return Ok(T::default());
    }
    let read = sandman_core::json::object(text.as_bytes());
    read.map_err(|fault| error(StatusCode::BAD_REQUEST, &format!("the body is not understood: {fault}")))
}

pub(super) fn told(result: Result<impl Serialize, StoreError>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(fault) => unreadable(&fault),
    }
}

pub(super) fn unreadable(fault: &StoreError) -> Response {
    error(StatusCode::SERVICE_UNAVAILABLE, &fault.to_string())
}
