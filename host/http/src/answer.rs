//! Responses in the format that clients of DreamScape's current service know: `{"error": "…"}`, with a `code` if the
//! host itself could not handle the request.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use sandman_core::printable;
use sandman_core::work::Answer;

/// Seconds after which a refused client should try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");
/// Marks an answer that was repeated for its `Idempotency-Key`.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An error with its status. Text from the request is escaped so that it is safe to show.
pub fn error(status: StatusCode, message: &str) -> Response {
    let message = printable::line(message, printable::LONGEST);
    (status, Json(json!({ "error": message }))).into_response()
}

/// Why the host could not handle a request, for programs. The text beside it may change, the codes do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// `busy`: a limit is reached, and nothing was started.
    Busy,
    /// `unavailable`: nothing was changed, and another attempt may help.
    Unavailable,
    /// `no-answer`: there was no answer in time, and the request may still be handled.
    NoAnswer,
    /// `failed`: a handler broke its contract, and nothing was changed.
    Failed,
}

impl ErrorCode {
    /// The code as it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::NoAnswer => "no-answer",
            Self::Failed => "failed",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Busy | Self::Unavailable | Self::NoAnswer => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// An error of the host itself, with its code.
pub fn coded(code: ErrorCode, message: &str) -> Response {
    let message = printable::line(message, printable::LONGEST);
    (code.status(), Json(json!({ "error": message, "code": code.as_str() }))).into_response()
}

/// The same, with the time after which to try again.
pub fn later(code: ErrorCode, message: &str) -> Response {
    let mut response = coded(code, message);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

/// The response for an answer. Details that are not for clients are logged.
pub fn response(answer: Answer, route: &str, correlation: &str) -> Response {
    match answer {
        Answer::Reply { status, body } => reply(status, body),
        Answer::Replayed { status, body } => {
            let mut response = reply(status, body);
            response
                .headers_mut()
                .insert(REPLAYED, HeaderValue::from_static("true"));
            response
        }
        Answer::IdempotencyMismatch => error(
            StatusCode::UNPROCESSABLE_ENTITY,
            "this Idempotency-Key was used for another request; use a new one",
        ),
        Answer::Busy => later(ErrorCode::Busy, "the host is busy; try again later"),
        Answer::Unavailable(reason) => {
            tracing::warn!(route, correlation, reason, "a request could not be carried out");
            later(
                ErrorCode::Unavailable,
                "the request could not be carried out, nothing was changed; try again later",
            )
        }
        Answer::Failed(reason) => {
            tracing::error!(route, correlation, reason, "a request failed");
            coded(ErrorCode::Failed, "the request failed, nothing was changed")
        }
    }
}

fn reply(status: u16, body: Option<String>) -> Response {
    let Ok(status) = StatusCode::from_u16(status) else {
        return coded(ErrorCode::Failed, "the handler's status is not an HTTP status");
    };
    let bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
    match body {
        Some(body) if !bodiless => (status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        _ => status.into_response(),
    }
}

/// Prevents content sniffing and caching of a response, unless it allows caching itself.
pub async fn plain(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(no_store);
    response
}
