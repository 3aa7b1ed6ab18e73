//! The routes of the API. `openapi.json` beside this file documents every one of them, and a test holds the two together.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;

use super::guard::Caller;
use super::respond::{Api, Named, RECEIVE_TIME, answer, aside, refused, unavailable};
use super::{letters, lines, recordings};
use crate::control::ReloadError;
use crate::deploy::{Done, Order};
use sandman_core::store::Outcome;
use sandman_http::answer::error;
use sandman_http::body::{IncomingBody, utf8};
use sandman_http::refusal::HttpRefusal;

/// The document at `/openapi.json`.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

/// A route: its method, path and handler.
type AdminRoute = (&'static str, &'static str, MethodRouter<Api>);

/// Every route behind the token.
pub(super) fn routes() -> Vec<AdminRoute> {
    vec![
        ("get", "/metrics", get(metrics)),
        ("get", "/openapi.json", get(openapi)),
        ("get", "/v1/hosts", get(hosts)),
        ("get", "/v1/handlers", get(handlers)),
        ("get", "/v1/handlers/{name}/history", get(history)),
        ("post", "/v1/handlers/{name}/versions", post(deploy)),
        ("post", "/v1/handlers/{name}/rollback", post(rollback)),
        ("post", "/v1/reload", post(reload)),
        ("post", "/v1/letters/search", post(letters::search)),
        ("post", "/v1/letters/redrive", post(letters::redrive)),
        ("get", "/v1/letters/jobs/{job}", get(letters::progress)),
        ("post", "/v1/letters/drop", post(letters::remove)),
        ("post", "/v1/letters/cancel", post(letters::cancel)),
        ("post", "/v1/letters/release", post(letters::release)),
        ("post", "/v1/letters/released", post(letters::released)),
        ("post", "/v1/handlers/{name}/resume", post(letters::resume)),
        ("get", "/v1/letters/{id}", get(letters::show)),
        (
            "get",
            "/v1/handlers/{name}/versions/{number}/component",
            get(recordings::component),
        ),
        ("post", "/v1/recordings/search", post(recordings::search)),
        ("get", "/v1/recordings/{id}", get(recordings::one)),
        ("post", "/v1/explain", post(recordings::explain)),
        ("post", "/v1/forget", post(recordings::forget)),
    ]
}

async fn metrics(State(api): State<Api>) -> Response {
    let format = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (format, api.meters.render()).into_response()
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn handlers(State(api): State<Api>) -> Response {
    aside(move || answer(api.control.handlers())).await
}

async fn hosts(State(api): State<Api>) -> Response {
    aside(move || answer(api.control.hosts())).await
}

async fn history(State(api): State<Api>, Named(name): Named<String>) -> Response {
    aside(move || answer(api.control.history(&name))).await
}

/// Receives the component, and sends a line for each stage when it is passed.
async fn deploy(
    State(api): State<Api>,
    Named(name): Named<String>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut body = IncomingBody::new(body, &parts.headers);
    let Some((force, accept_diffs)) = flags(parts.uri.query().unwrap_or_default()) else {
        body.discard().await;
        let words = "the query must consist of `force=true` and `accept-diffs=true`, or `false`";
        return error(StatusCode::BAD_REQUEST, words);
    };
    // Before the component is received: a client that cannot deploy should not have to send it.
    let slot = match api.control.reserve(&name) {
        Ok(slot) => slot,
        Err(error) => {
            body.discard().await;
            return refused(&error);
        }
    };
    let (status, component) = match body.read(api.control.largest_component(), RECEIVE_TIME).await {
        Ok(component) => (StatusCode::OK, Some(component)),
        Err(HttpRefusal::TooLarge { .. }) => {
            body.discard().await;
            (StatusCode::PAYLOAD_TOO_LARGE, None)
        }
        Err(other) => return body.refuse(other).await,
    };
    let (lines, response) = lines::answer(status);
    let work = move || {
        let order = Order {
            by: &caller.0,
            force,
            accept_diffs,
        };
        api.control
            .deploy(slot, (order, component.as_deref()), &mut |report| lines.send(&report));
    };
    // On a thread of its own, which continues if the client disconnects.
    let spawned = std::thread::Builder::new().name(format!("deploy {name}")).spawn(work);
    match spawned {
        Ok(_) => response,
        Err(fault) => unavailable(&format!("no thread can be started: {fault}")),
    }
}

/// `force` and `accept-diffs` of a query; `None` if it has anything else.
fn flags(query: &str) -> Option<(bool, bool)> {
    let (mut force, mut accept_diffs) = (false, false);
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=')?;
        let flag = match name {
            "force" => &mut force,
            "accept-diffs" => &mut accept_diffs,
            _ => return None,
        };
        *flag = value.parse().ok()?;
    }
    Some((force, accept_diffs))
}

/// The most bytes of a body that is not a component.
const SMALL: usize = 4 << 10;

/// The body of a rollback; optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct To {
    to: Option<u64>,
    #[serde(default)]
    force: bool,
}

async fn rollback(
    State(api): State<Api>,
    Named(name): Named<String>,
    Extension(Caller(by)): Extension<Caller>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut body = IncomingBody::new(body, &parts.headers);
    let read = match body.read(SMALL, RECEIVE_TIME).await {
        Ok(read) => read,
        Err(refusal) => return body.refuse(refusal).await,
    };
    let body = match utf8(read, "the body") {
        Ok(text) => text,
        Err(refusal) => return refusal.into_response(),
    };
    let To { to, force } = match body.is_empty() {
        true => To::default(),
        false => match sandman_core::json::object(body.as_bytes()) {
            Ok(to) => to,
            Err(fault) => {
                return error(
                    StatusCode::BAD_REQUEST,
                    &format!("the body is not {{\"to\": VERSION, \"force\": true or false}}: {fault}"),
                );
            }
        },
    };
    aside(move || {
        let done = api.control.reserve(&name);
        let done = done.and_then(|slot| api.control.rollback(&slot, order(&by, force), to));
        match done {
            Ok(done) => (ended(&done), Json(done)).into_response(),
            Err(error) => refused(&error),
        }
    })
    .await
}

fn order(by: &str, force: bool) -> Order<'_> {
    Order {
        by,
        force,
        accept_diffs: false,
    }
}

fn ended(done: &Done) -> StatusCode {
    match done.outcome {
        Outcome::Active | Outcome::Unchanged => StatusCode::OK,
        Outcome::Refused => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

async fn reload(State(api): State<Api>, Extension(Caller(by)): Extension<Caller>) -> Response {
    aside(move || match api.control.reload(&by) {
        Ok(reloaded) => Json(reloaded).into_response(),
        Err(ReloadError::Refused(refusal)) => refused(&refusal),
        Err(fault) => {
            let (status, problems, keys) = match &fault {
                ReloadError::Mistakes(problems) => (StatusCode::UNPROCESSABLE_ENTITY, problems.clone(), Vec::new()),
                ReloadError::NeedsRestart(keys) => (StatusCode::CONFLICT, Vec::new(), keys.clone()),
                _ => (StatusCode::SERVICE_UNAVAILABLE, Vec::new(), Vec::new()),
            };
            let told = json!({ "error": fault.to_string(), "problems": problems, "needRestart": keys });
            (status, Json(told)).into_response()
        }
    })
    .await
}
