//! The routes of the dead letters.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::guard::Scopes;
use super::lines;
use super::respond::{Api, RECEIVE_TIME, answer, aside, refused};
use crate::deploy::Refusal;
use crate::letters::{LetterQuery, RedriveHow, ReleaseProgress};
use sandman_core::store::{LetterFilter, StoreError};
use sandman_http::answer::error;
use sandman_http::body::{IncomingBody, utf8};

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
        if let Some(refused) = unknown(&api, query.handler.as_deref()) {
            return refused;
        }
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

/// The refusal where a handler is named that there is not and never was: a typo must not look like "no letters".
fn unknown(api: &Api, handler: Option<&str>) -> Option<Response> {
    let known = handler.map(|name| api.control.knows(name));
    known.and_then(Result::err).map(|refusal| refused(&refusal))
}

/// An order about letters.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct LetterOrder {
    letters: LetterQuery,
    /// All of them: what an empty query would mean by mistake.
    all: bool,
    through: Option<u64>,
    dry_run: bool,
    force: bool,
}

impl LetterOrder {
    async fn read(request: Request) -> Result<Self, Response> {
        let order: Self = body(request).await?;
        if order.letters.is_all() && !order.all {
            let words = "say which letters are meant, or \"all\": true";
            return Err(error(StatusCode::BAD_REQUEST, words));
        }
        Ok(order)
    }
}

pub(super) async fn redrive(
    State(api): State<Api>,
    Extension(scopes): Extension<Scopes>,
    request: Request,
) -> Response {
    let order = match LetterOrder::read(request).await {
        Ok(order) => order,
        Err(refused) => return refused,
    };
    let (through, force) = (order.through, order.force);
    if !order.dry_run {
        return aside(move || {
            unknown(&api, order.letters.handler.as_deref())
                .unwrap_or_else(|| answer(api.control.redrive(&order.letters.into(), through, force)))
        })
        .await;
    }
    let how = RedriveHow {
        through,
        force,
        reads_data: scopes.reads_data,
        ..RedriveHow::default()
    };
    rehearsed(api, order.letters, how).await
}

/// A line for each letter: what it would come to.
async fn rehearsed(api: Api, letters: LetterQuery, how: RedriveHow) -> Response {
    let (filter, asked): (LetterFilter, _) = (letters.into(), api.clone());
    let named = filter.clone();
    let refusal = tokio::task::spawn_blocking(move || {
        let none = |id| {
            asked
                .control
                .letters()
                .show(id, false)
                .ok()
                .is_some_and(|letter| letter.is_none())
        };
        let no_letter = named
            .id
            .filter(|id| none(*id))
            .map(|id| refused(&Refusal::NoLetter(id)));
        unknown(&asked, named.handler.as_deref()).or(no_letter)
    });
    if let Ok(Some(refusal)) = refusal.await {
        return refusal;
    }
    let (lines, response) = lines::answer(StatusCode::OK);
    let rehearse = move || {
        let told = api.control.rehearse(&filter, how, &mut |line| lines.send(&line));
        if let Err(refusal) = told {
            lines.send(&serde_json::json!({ "error": refusal.to_string() }));
        }
    };
    on_a_thread("rehearse", rehearse, response)
}

/// The same letters, whose order is taken back.
pub(super) async fn cancel(State(api): State<Api>, request: Request) -> Response {
    let order = match LetterOrder::read(request).await {
        Ok(order) => order,
        Err(refused) => return refused,
    };
    aside(move || {
        unknown(&api, order.letters.handler.as_deref())
            .unwrap_or_else(|| answer(api.control.cancel_redrive(&order.letters.into())))
    })
    .await
}

/// Work that goes on while its lines are read.
fn on_a_thread(name: &str, work: impl FnOnce() + Send + 'static, response: Response) -> Response {
    match std::thread::Builder::new().name(name.to_owned()).spawn(work) {
        Ok(_) => response,
        Err(fault) => error(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("no thread can be started: {fault}"),
        ),
    }
}

/// A line whenever something has changed, until nothing is left of the order.
pub(super) async fn progress(
    State(api): State<Api>,
    Path(job): Path<u64>,
    Extension(scopes): Extension<Scopes>,
) -> Response {
    let asked = api.clone();
    let known = tokio::task::spawn_blocking(move || match asked.control.letters().progress(job, false) {
        Ok(Some(_)) => None,
        Ok(None) => Some(refused(&Refusal::NoOrder(job))),
        Err(fault) => Some(unreadable(&fault)),
    });
    if let Ok(Some(refusal)) = known.await {
        return refusal;
    }
    let (lines, response) = lines::answer(StatusCode::OK);
    let follow = move || {
        let told = api.control.follow_redrive(job, scopes.reads_data, &mut |progress| {
            lines.send(progress);
            !lines.are_unheard()
        });
        if let Err(refusal) = told {
            lines.send(&serde_json::json!({ "error": refusal.to_string() }));
        }
    };
    on_a_thread("follow redrive", follow, response)
}

pub(super) async fn remove(State(api): State<Api>, request: Request) -> Response {
    let order = match LetterOrder::read(request).await {
        Ok(order) => order,
        Err(refused) => return refused,
    };
    aside(move || {
        unknown(&api, order.letters.handler.as_deref())
            .unwrap_or_else(|| answer(api.control.drop_letters(&order.letters.into(), order.dry_run)))
    })
    .await
}

/// Which key is meant.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct ReleaseOrder {
    key: Option<String>,
    handler: Option<String>,
    drop: bool,
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct ReleasedCount {
    released: Vec<String>,
}

pub(super) async fn release(
    State(api): State<Api>,
    Extension(scopes): Extension<Scopes>,
    request: Request,
) -> Response {
    let ReleaseOrder {
        key,
        handler,
        drop,
        dry_run,
    } = match body(request).await {
        Ok(release) => release,
        Err(refused) => return refused,
    };
    let Some(key) = key else {
        return error(StatusCode::BAD_REQUEST, "say which key is meant: {\"key\": \"…\"}");
    };
    if dry_run {
        let letters = LetterQuery {
            key: Some(key),
            handler,
            ..LetterQuery::default()
        };
        let how = RedriveHow {
            held: true,
            drop_head: drop,
            reads_data: scopes.reads_data,
            ..RedriveHow::default()
        };
        return rehearsed(api, letters, how).await;
    }
    aside(move || match api.control.release(handler.as_deref(), &key, drop) {
        Ok(released) => Json(ReleasedCount { released }).into_response(),
        Err(refusal) => refused(&refusal),
    })
    .await
}

/// What was released.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OfKey {
    key: String,
    handlers: Vec<String>,
}

/// A line whenever something has changed, until all of it is handled or one has failed again.
pub(super) async fn released(
    State(api): State<Api>,
    Extension(scopes): Extension<Scopes>,
    request: Request,
) -> Response {
    let OfKey { key, handlers } = match body(request).await {
        Ok(of_key) => of_key,
        Err(refused) => return refused,
    };
    let (lines, response) = lines::answer(StatusCode::OK);
    let follow = move || {
        let tell = &mut |progress: &ReleaseProgress| {
            lines.send(progress);
            !lines.are_unheard()
        };
        let told = api.control.follow_release((&handlers, &key), scopes.reads_data, tell);
        if let Err(refusal) = told {
            lines.send(&serde_json::json!({ "error": refusal.to_string() }));
        }
    };
    on_a_thread("follow release", follow, response)
}

#[derive(Debug, Serialize)]
struct Resumed {
    resumed: bool,
}

pub(super) async fn resume(State(api): State<Api>, Path(name): Path<String>) -> Response {
    aside(move || answer(api.control.resume(&name).map(|resumed| Resumed { resumed }))).await
}

/// What an order says; one without a body says nothing.
pub(super) async fn body<T: DeserializeOwned + Default>(request: Request) -> Result<T, Response> {
    let (parts, body) = request.into_parts();
    let mut body = IncomingBody::new(body, &parts.headers);
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
