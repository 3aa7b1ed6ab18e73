//! The routes for recordings. They contain user data and need the scope `read-data`.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;

use super::guard::Scopes;
use super::letters::{body, unknown_code};
use super::lines;
use super::respond::{Api, Named, aside, refused};
use crate::control::ExplainLine;
use crate::explain::Question;
use sandman_core::recording::{RecordingId, RecordingQuery};
use sandman_http::answer::error;

/// The default number of recordings in a list.
const SHOWN: usize = 50;

/// A search for recordings.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RecordingSearch {
    handler: Option<String>,
    query: RecordingQuery,
    limit: Option<usize>,
}

/// The key to forget.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Forget {
    key: Option<String>,
}

/// The response to a caller without the scope.
fn without_scope() -> Response {
    error(
        StatusCode::FORBIDDEN,
        "this shows user data, for which the token needs the scope read-data: name it in [admin] read_data",
    )
}

/// A search may name a key, which must not be logged, so it is sent as a body.
pub(super) async fn search(State(api): State<Api>, Extension(scopes): Extension<Scopes>, request: Request) -> Response {
    let RecordingSearch { handler, query, limit } = match body(request).await {
        Ok(search) => search,
        Err(refused) => return refused,
    };
    if !scopes.reads_data {
        return without_scope();
    }
    if let Some(refused) = unknown_code(query.code.as_deref()) {
        return refused;
    }
    aside(move || {
        let found = api
            .control
            .recordings(handler.as_deref(), &query, limit.unwrap_or(SHOWN));
        match found {
            Ok(found) => Json(found).into_response(),
            Err(refusal) => refused(&refusal),
        }
    })
    .await
}

pub(super) async fn one(
    State(api): State<Api>,
    Named(id): Named<String>,
    Extension(scopes): Extension<Scopes>,
) -> Response {
    if !scopes.reads_data {
        return without_scope();
    }
    let id: RecordingId = match id.parse() {
        Ok(id) => id,
        Err(wrong) => return error(StatusCode::BAD_REQUEST, &format!("{wrong}")),
    };
    aside(move || match api.control.recording(id) {
        Ok(Some(recording)) => Json(recording).into_response(),
        Ok(None) => error(
            StatusCode::NOT_FOUND,
            &format!("there is no recording {id}; the oldest are dropped first, see `sandman recordings`"),
        ),
        Err(refusal) => refused(&refusal),
    })
    .await
}

/// A component is not user data: anybody who may deploy one may read it.
pub(super) async fn component(State(api): State<Api>, Named((name, number)): Named<(String, u64)>) -> Response {
    aside(move || match api.control.component(&name, number) {
        Ok(component) => ([(header::CONTENT_TYPE, "application/wasm")], component).into_response(),
        Err(refusal) => refused(&refusal),
    })
    .await
}

/// Sends lines of progress, and the story as the last one.
pub(super) async fn explain(
    State(api): State<Api>,
    Extension(scopes): Extension<Scopes>,
    request: Request,
) -> Response {
    let question: Question = match body(request).await {
        Ok(question) => question,
        Err(refused) => return refused,
    };
    if !scopes.reads_data {
        return without_scope();
    }
    let is_empty = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
    if question.event.is_none() == question.key.is_none() || is_empty(&question.event) || is_empty(&question.key) {
        return error(StatusCode::BAD_REQUEST, "name an event or a key");
    }
    let (lines, response) = lines::answer(StatusCode::OK);
    let work = move || {
        let ended = api.control.explain(&question, &mut |line| lines.send(&line));
        match ended {
            Ok(story) => lines.send(&ExplainLine::Story(story)),
            Err(refusal) => lines.send(&ExplainLine::Error(refusal.to_string())),
        }
    };
    match std::thread::Builder::new().name("explain".to_owned()).spawn(work) {
        Ok(_) => response,
        Err(fault) => error(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("no thread can be started: {fault}"),
        ),
    }
}

pub(super) async fn forget(State(api): State<Api>, Extension(scopes): Extension<Scopes>, request: Request) -> Response {
    let Forget { key } = match body(request).await {
        Ok(forget) => forget,
        Err(refused) => return refused,
    };
    if !scopes.reads_data {
        return without_scope();
    }
    let Some(key) = key else {
        return error(StatusCode::BAD_REQUEST, "name a key: {\"key\": \"…\"}");
    };
    aside(move || match api.control.forget(&key) {
        Ok(forgotten) => Json(forgotten).into_response(),
        Err(refusal) => refused(&refusal),
    })
    .await
}
