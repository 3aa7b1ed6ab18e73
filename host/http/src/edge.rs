//! The path of a request through the HTTP edge: route, token, body, files, then the lanes, and the response.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Requests;
use super::answer::{ErrorCode, error, later, response};
use super::body::{IncomingBody, content_type, json};
use super::correlation::{CorrelationId, trace, visible};
use super::form::{self, Takes};
use super::measure::ChosenRoute;
use super::parameters::Parameters;
use super::picture::Picture;
use super::refusal::HttpRefusal;
use super::routes::{Route, Routes, query};
use super::token::Tokens;
use super::uploads::{self, Uploads};
use sandman_core::work::{Answer, Idempotency, RequestWork};
use sandman_engine::meters::{HttpMeters, UploadRejection};

/// Additional bytes for a form's text and the framing of its files.
const FORM_TEXT: usize = 64 << 10;
/// Bytes of the longest `Idempotency-Key`.
const LONGEST_IDEMPOTENCY_KEY: usize = 255;
/// More than there can be connections: acquiring all of them waits for every request.
pub(super) const RUNNING: u32 = 1 << 20;

/// The state for handling requests.
pub(super) struct Edge {
    pub(super) routes: Arc<ArcSwap<Routes>>,
    pub(super) tokens: Tokens,
    pub(super) uploads: Uploads,
    pub(super) meters: HttpMeters,
    pub(super) requests: Arc<dyn Requests>,
    pub(super) bounds: EdgeBounds,
    /// One permit of [`RUNNING`] for each request that is being handled, even if its client has gone.
    pub(super) running: Arc<Semaphore>,
}

/// The limits of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct EdgeBounds {
    /// Bytes of a JSON body.
    pub(super) body: usize,
    /// Bytes of an uploaded file.
    pub(super) upload: usize,
    /// For receiving the body, and again for the answer.
    pub(super) time: Duration,
}

/// The parsed content of a body.
#[derive(Default)]
struct Content {
    json: Option<String>,
    pictures: Vec<Picture>,
}

/// Handles every request except those for the host's own paths.
pub(super) async fn handle(State(edge): State<Arc<Edge>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut body = IncomingBody::new(body, &parts.headers);
    match edge.answer(&parts, &mut body).await {
        Ok(response) => response,
        Err(refusal) => {
            tracing::debug!(method = %parts.method, %refusal, "a request was refused");
            body.refuse(refusal).await
        }
    }
}

impl Edge {
    async fn answer(self: &Arc<Self>, parts: &Parts, body: &mut IncomingBody) -> Result<Response, HttpRefusal> {
        if let Some(path) = parts.uri.path().strip_prefix(uploads::PREFIX) {
            return self.uploads.serve(&parts.method, path, &parts.headers).await;
        }
        let routes = self.routes.load_full();
        let (route, params) = routes.find(&parts.method, parts.uri.path())?;
        if let Some(taken) = parts.extensions.get::<ChosenRoute>() {
            taken.note(&route.meters);
        }
        let (claims, key) = route.admit(&self.tokens, &parts.headers, &params)?;
        let query = query(parts.uri.query())?;
        let idempotency_key = idempotency_key(route.method, &parts.headers)?;
        let content = self.content(route, &parts.headers, body).await?;
        let idempotency = idempotency_key.map(|idempotency_key| Idempotency {
            key: idempotency_key,
            digest: fingerprint(parts, &key, &content),
        });
        let correlation = parts.extensions.get::<CorrelationId>();
        let correlation_id = correlation.map(|id| id.0.to_string()).unwrap_or_default();
        let work = RequestWork {
            handlers: route.handlers.clone(),
            key: key.into(),
            method: route.method.to_owned(),
            route: route.path.as_str().to_owned(),
            params,
            query,
            claims: claims.map(|claims| claims.to_json()),
            body: content.json,
            files: Vec::new(),
            correlation_id: correlation_id.clone(),
            trace: trace(&parts.headers),
            idempotency,
        };
        // On a task of its own, so that files are removed even if the client disconnects.
        let carried_out = tokio::spawn(Arc::clone(self).carry_out(work, content.pictures));
        let route = route.path.as_str();
        Ok(match timeout(self.bounds.time, carried_out).await {
            Ok(Ok(Ok(Some(answer)))) => response(answer, route, &correlation_id),
            Ok(Ok(Err(refusal))) => return Err(refusal),
            Ok(Ok(Ok(None)) | Err(_)) => unknown(),
            Err(_) => {
                tracing::warn!(route, correlation = correlation_id, "a request took too long");
                unknown()
            }
        })
    }

    async fn content(
        &self,
        route: &Route,
        headers: &HeaderMap,
        body: &mut IncomingBody,
    ) -> Result<Content, HttpRefusal> {
        if route.method == Method::GET.as_str() {
            return Ok(Content::default());
        }
        let content_type = content_type(headers);
        let is_form = |described: &&Parameters| described.value == form::MEDIA_TYPE;
        let EdgeBounds { body: most, time, .. } = self.bounds;
        let Some(form_type) = content_type.as_ref().filter(is_form) else {
            let body = body.read(most, time).await?;
            let json = json(content_type.as_ref(), body)?;
            return Ok(Content {
                json,
                pictures: Vec::new(),
            });
        };
        if route.files.is_empty() {
            return Err(HttpRefusal::media(
                "forms are not accepted here; send JSON, with Content-Type: application/json",
            ));
        }
        let form = self.form(route, form_type, body).await;
        form.inspect_err(|refusal| self.meters.rejected(rejection(refusal)))
    }

    async fn form(
        &self,
        route: &Route,
        content_type: &Parameters,
        body: &mut IncomingBody,
    ) -> Result<Content, HttpRefusal> {
        let EdgeBounds { upload, time, .. } = self.bounds;
        let takes = Takes {
            fields: &route.files,
            most: upload,
        };
        let files = upload.saturating_mul(route.files.len());
        let body = body.read(files.saturating_add(FORM_TEXT), time).await?;
        let form = form::read(content_type, body, takes).await?;
        let json = (!form.texts.is_empty()).then(|| Value::Object(form.texts).to_string());
        Ok(Content {
            json,
            pictures: form.pictures,
        })
    }

    /// Stores the files, handles the request, and removes the files again unless it committed. `None`: it is not known
    /// whether it did, so the files stay.
    async fn carry_out(
        self: Arc<Self>,
        mut work: RequestWork,
        pictures: Vec<Picture>,
    ) -> Result<Option<Answer>, HttpRefusal> {
        let _running = self.running.acquire().await;
        let mut stored = Vec::new();
        for picture in pictures {
            match self.uploads.put(picture).await {
                Ok(picture) => {
                    stored.push(picture.location());
                    self.meters.uploads.increment(1);
                    self.meters.upload_bytes.increment(picture.file.size);
                    work.files.push(picture.file);
                }
                Err(refusal) => {
                    self.meters.rejected(UploadRejection::Store);
                    self.uploads.remove(&stored).await;
                    self.uploads.release(&stored);
                    return Err(refusal);
                }
            }
        }
        let answer = self.requests.request(work).await.ok();
        if let Some(answer) = &answer {
            if !commits(answer) && !stored.is_empty() {
                self.meters.rejected(UploadRejection::Request);
                self.uploads.remove(&stored).await;
            }
            self.uploads.release(&stored);
        }
        Ok(answer)
    }
}

fn rejection(refusal: &HttpRefusal) -> UploadRejection {
    match refusal {
        HttpRefusal::TooLarge { .. } => UploadRejection::Size,
        HttpRefusal::Picture(_) => UploadRejection::Kind,
        _ => UploadRejection::Form,
    }
}

/// Whether the answer means that this request committed.
fn commits(answer: &Answer) -> bool {
    matches!(answer, Answer::Reply { status, .. } if *status < 400)
}

/// There was no answer: the request may have been handled or not.
fn unknown() -> Response {
    later(
        ErrorCode::NoAnswer,
        "there was no answer in time; the request may still be carried out, check before you send it again",
    )
}

pub(super) fn idempotency_key(method: &str, headers: &HeaderMap) -> Result<Option<String>, HttpRefusal> {
    if method == Method::GET.as_str() {
        return Ok(None);
    }
    let mut sent = headers.get_all("idempotency-key").iter();
    let Some(value) = sent.next() else {
        return Ok(None);
    };
    match visible(value, LONGEST_IDEMPOTENCY_KEY) {
        Some(key) if sent.next().is_none() => Ok(Some(key.to_owned())),
        _ => Err(HttpRefusal::bad(format!(
            "Idempotency-Key must be one text of 1 to {LONGEST_IDEMPOTENCY_KEY} visible ASCII characters"
        ))),
    }
}

/// Identifies equal requests: method, path and query, key and content. A form's boundary, which differs each time, is
/// not included.
fn fingerprint(parts: &Parts, key: &str, content: &Content) -> String {
    let mut hash = Sha256::new();
    // Each text is prefixed with its length, so that texts cannot be confused with their neighbours.
    let mut add = |text: &str| {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    add(parts.method.as_str());
    add(parts.uri.path_and_query().map_or("/", |path| path.as_str()));
    add(key);
    add(content.json.as_deref().unwrap_or_default());
    for picture in &content.pictures {
        add(&picture.field);
        add(&picture.digest);
    }
    format!("{:x}", hash.finalize())
}

/// The response to other methods on the host's own paths.
pub(super) async fn only_read() -> Response {
    error(axum::http::StatusCode::METHOD_NOT_ALLOWED, "this path is read with GET")
}
