//! The routes of the dead letters.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::guard::Scopes;
use super::lines;
use super::respond::{Api, Named, RECEIVE_TIME, answer, aside, refused};
use crate::deploy::Refusal;
use crate::letters::{LetterQuery, RedriveHow, ReleaseProgress, ReleasedKey};
use sandman_core::event::key_hash;
use sandman_core::reason::{is_code, known_codes};
use sandman_core::store::{LetterFilter, StoreError};
use sandman_http::answer::error;
use sandman_http::body::{IncomingBody, utf8};

/// The most bytes of a request.
const SMALL: usize = 16 << 10;

/// The default number of letters in a list.
const SHOWN: usize = 50;

/// A search for letters.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Search {
    letters: LetterQuery,
    limit: Option<usize>,
}

/// A search may name a key, which must not be logged, so it is sent as a body.
pub(super) async fn search(State(api): State<Api>, Extension(scopes): Extension<Scopes>, request: Request) -> Response {
    let Search { letters: query, limit } = match body(request).await {
        Ok(search) => search,
        Err(refused) => return refused,
    };
    aside(move || {
        if let Some(refused) = unknown(&api, &query) {
            return refused;
        }
        let letters = api.control.letters();
        told(letters.list(&query.into(), limit.unwrap_or(SHOWN), scopes.reads_data))
    })
    .await
}

pub(super) async fn show(
    State(api): State<Api>,
    Named(id): Named<u64>,
    Extension(scopes): Extension<Scopes>,
) -> Response {
    aside(move || match api.control.letters().show(id, scopes.reads_data) {
        Ok(Some(letter)) => Json(letter).into_response(),
        Ok(None) => error(StatusCode::NOT_FOUND, &format!("there is no dead letter {id}")),
        Err(fault) => unreadable(&fault),
    })
    .await
}

/// The refusal where a handler is named that there is not and never was, or no code: a typo must not look like "no letters".
fn unknown(api: &Api, query: &LetterQuery) -> Option<Response> {
    if let Some(refusal) = unknown_code(query.code.as_deref()) {
        return Some(refusal);
    }
    let known = query.handler.as_ref().map(|name| api.control.knows(name));
    known.and_then(Result::err).map(|refusal| refused(&refusal))
}

/// The refusal of a code that there is not.
pub(super) fn unknown_code(code: Option<&str>) -> Option<Response> {
    let unknown = code.is_some_and(|code| !is_code(code));
    unknown.then(|| error(StatusCode::BAD_REQUEST, &known_codes()))
}

/// A command for letters.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct LetterOrder {
    letters: LetterQuery,
    /// All letters: required explicitly, because an empty query may be a mistake.
    all: bool,
    through: Option<u64>,
    dry_run: bool,
    force: bool,
}

impl LetterOrder {
    /// Reads a command that takes these options: another one is refused, because it would have no effect.
    async fn read(request: Request, takes: &[&str]) -> Result<Self, Response> {
        let order: Self = body(request).await?;
        let given = [
            ("through", order.through.is_some()),
            ("dryRun", order.dry_run),
            ("force", order.force),
        ];
        let useless = given.iter().find(|(name, given)| *given && !takes.contains(name));
        let words = match (order.letters.is_all(), order.all, useless) {
            (true, false, _) => "say which letters are meant, or \"all\": true",
            (false, true, _) => "\"all\" and a restriction in \"letters\" exclude each other",
            (_, _, Some((name, _))) => &format!("this command has no \"{name}\""),
            _ => return Ok(order),
        };
        Err(error(StatusCode::BAD_REQUEST, words))
    }
}

pub(super) async fn redrive(
    State(api): State<Api>,
    Extension(scopes): Extension<Scopes>,
    request: Request,
) -> Response {
    let order = match LetterOrder::read(request, &["through", "dryRun", "force"]).await {
        Ok(order) => order,
        Err(refused) => return refused,
    };
    let (through, force) = (order.through, order.force);
    if !order.dry_run {
        return aside(move || {
            unknown(&api, &order.letters)
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

/// Sends a line for each letter with its expected result.
async fn rehearsed(api: Api, letters: LetterQuery, how: RedriveHow) -> Response {
    let (named, asked) = (letters.clone(), api.clone());
    let filter: LetterFilter = letters.into();
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
        unknown(&asked, &named).or(no_letter)
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

/// Cancels the redrive of letters.
pub(super) async fn cancel(State(api): State<Api>, request: Request) -> Response {
    let order = match LetterOrder::read(request, &[]).await {
        Ok(order) => order,
        Err(refused) => return refused,
    };
    aside(move || {
        unknown(&api, &order.letters).unwrap_or_else(|| answer(api.control.cancel_redrive(&order.letters.into())))
    })
    .await
}

/// Runs work on a thread while its lines are sent.
fn on_a_thread(name: &str, work: impl FnOnce() + Send + 'static, response: Response) -> Response {
    match std::thread::Builder::new().name(name.to_owned()).spawn(work) {
        Ok(_) => response,
        Err(fault) => error(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("no thread can be started: {fault}"),
        ),
    }
}

/// Sends a line whenever something has changed, until the job is finished.
pub(super) async fn progress(
    State(api): State<Api>,
    Named(job): Named<u64>,
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
    let order = match LetterOrder::read(request, &["dryRun"]).await {
        Ok(order) => order,
        Err(refused) => return refused,
    };
    aside(move || {
        unknown(&api, &order.letters)
            .unwrap_or_else(|| answer(api.control.drop_letters(&order.letters.into(), order.dry_run)))
    })
    .await
}

/// Which key is meant: the key itself, or that of a letter, for whoever may not read keys.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct ReleaseOrder {
    key: Option<String>,
    letter: Option<u64>,
    handler: Option<String>,
    drop: bool,
    dry_run: bool,
}

impl ReleaseOrder {
    /// The handler, if only one is meant, and the key; or the status and the words of a refusal.
    fn names(&self, api: &Api) -> Result<(Option<String>, String), (StatusCode, String)> {
        let (id, handler) = match (&self.key, self.letter) {
            (Some(key), None) => return Ok((self.handler.clone(), key.clone())),
            (None, Some(id)) => (id, self.handler.as_ref()),
            _ => {
                let words = "say which key is meant: {\"key\": \"…\"} or {\"letter\": 17}";
                return Err((StatusCode::BAD_REQUEST, words.to_owned()));
            }
        };
        let found = api.control.letters().key_of(id);
        let found = found.map_err(|fault| (StatusCode::SERVICE_UNAVAILABLE, fault.to_string()))?;
        let no_letter = || (StatusCode::NOT_FOUND, Refusal::NoLetter(id).to_string());
        let (of, key) = found.ok_or_else(no_letter)?;
        let words = match (handler, key) {
            (Some(name), _) if *name != of => format!("dead letter {id} is of {of} and not of {name}"),
            (_, Some(key)) => return Ok((Some(of), key)),
            (_, None) => format!("dead letter {id} has no key that could be held"),
        };
        Err((StatusCode::CONFLICT, words))
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReleasedCount {
    released: Vec<String>,
    /// For whoever may not read the key, to follow it.
    key_hash: String,
}

pub(super) async fn release(
    State(api): State<Api>,
    Extension(scopes): Extension<Scopes>,
    request: Request,
) -> Response {
    let order: ReleaseOrder = match body(request).await {
        Ok(order) => order,
        Err(refused) => return refused,
    };
    let (drop, dry_run, asked) = (order.drop, order.dry_run, api.clone());
    let names = tokio::task::spawn_blocking(move || order.names(&asked)).await;
    let (handler, key) = match names {
        Ok(Ok(names)) => names,
        Ok(Err((status, words))) => return error(status, &words),
        Err(_) => return error(StatusCode::INTERNAL_SERVER_ERROR, "the host failed; its log says how"),
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
        Ok(released) => {
            let key_hash = key_hash(&key);
            Json(ReleasedCount { released, key_hash }).into_response()
        }
        Err(refusal) => refused(&refusal),
    })
    .await
}

/// A released key.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct OfKey {
    key: Option<String>,
    key_hash: Option<String>,
    handlers: Vec<String>,
}

/// Sends a line whenever something has changed, until all letters are handled or one has failed again.
pub(super) async fn released(
    State(api): State<Api>,
    Extension(scopes): Extension<Scopes>,
    request: Request,
) -> Response {
    let OfKey {
        key,
        key_hash,
        handlers,
    } = match body(request).await {
        Ok(of_key) => of_key,
        Err(refused) => return refused,
    };
    let key = match (key, key_hash) {
        (Some(key), None) => ReleasedKey::Text(key),
        (None, Some(hash)) => ReleasedKey::Hash(hash),
        _ => {
            let words = "say which key is meant, as \"key\" or \"keyHash\", and not as both";
            return error(StatusCode::BAD_REQUEST, words);
        }
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

pub(super) async fn resume(State(api): State<Api>, Named(name): Named<String>) -> Response {
    aside(move || answer(api.control.resume(&name).map(|resumed| Resumed { resumed }))).await
}

/// Parses the body of a command; an empty body has the defaults.
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
    read.map_err(|fault| error(StatusCode::BAD_REQUEST, &format!("the body is invalid: {fault}")))
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
