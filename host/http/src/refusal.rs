//! Why the edge refuses a request before any handler sees it, and the response to the client.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use thiserror::Error;

use super::answer::{ErrorCode, error, later};

/// A refusal; its text is for the client.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum HttpRefusal {
    /// No route has this path.
    #[error("there is nothing at this path")]
    NotFound,
    /// Routes have this path, with other methods: these.
    #[error("this path accepts only {0}")]
    Method(String),
    /// There is no valid token.
    #[error("{0}")]
    Token(&'static str),
    /// The token's user is not the one that the request is about.
    #[error("this token belongs to another user")]
    NotOwner,
    /// The request is invalid.
    #[error("{0}")]
    Bad(String),
    /// The body did not arrive in time.
    #[error("the body did not arrive within {0:?}")]
    Slow(Duration),
    /// Something is too large.
    #[error("{what} is larger than {most} bytes")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its limit in bytes.
        most: usize,
    },
    /// An uploaded file is not a picture of a known format.
    #[error("{0}")]
    Picture(String),
    /// The body, or a part of it, has a format that the route does not accept.
    #[error("{0}")]
    Media(String),
    /// The body is compressed or otherwise encoded.
    #[error("the body is compressed or otherwise encoded (Content-Encoding); send it as it is")]
    Encoded,
    /// The host cannot do it now.
    #[error("{0}; try again later")]
    Unavailable(&'static str),
}

impl HttpRefusal {
    /// A refusal of an invalid request, with the problem.
    pub fn bad(text: impl Into<String>) -> Self {
        Self::Bad(text.into())
    }

    /// A refusal of a media type, with the reason.
    pub fn media(text: impl Into<String>) -> Self {
        Self::Media(text.into())
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Token(_) => StatusCode::UNAUTHORIZED,
            Self::NotOwner => StatusCode::FORBIDDEN,
            Self::Bad(_) | Self::Picture(_) => StatusCode::BAD_REQUEST,
            Self::Slow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Media(_) | Self::Encoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for HttpRefusal {
    fn into_response(self) -> Response {
        let (status, text) = (self.status(), self.to_string());
        match self {
            // The format of refused tokens in DreamScape's current service.
            Self::Token(_) | Self::NotOwner => {
                let mut response = (status, Json(json!({ "success": false, "message": text }))).into_response();
                if status == StatusCode::UNAUTHORIZED {
                    let scheme = HeaderValue::from_static("Bearer");
                    response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
                }
                response
            }
            Self::Method(allowed) => {
                let mut response = error(status, &text);
                if let Ok(allowed) = HeaderValue::from_str(&allowed) {
                    response.headers_mut().insert(header::ALLOW, allowed);
                }
                response
            }
            Self::Encoded => {
                let mut response = error(status, &text);
                let taken = HeaderValue::from_static("identity");
                response.headers_mut().insert(header::ACCEPT_ENCODING, taken);
                response
            }
            Self::Unavailable(_) => later(ErrorCode::Unavailable, &text),
            _ => error(status, &text),
        }
    }
}
