//! Doors for the fuzz targets: what strangers send, straight to the functions that read it. Nothing of the host calls them.

use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::body::{content_type, json};
use super::correlation::{taken, trace};
use super::edge::idempotency_key;
use super::form::{self, Takes};
use super::parameters::Parameters;
use super::picture::{Picture, PictureKind};
use super::refusal::HttpRefusal;
use super::routes::{Params, Routes, position, query};
use super::token::Tokens;
use super::uploads::kind_of;
use sandman_config::{Config, Secret};
use sandman_engine::meters::Meters;

/// A form that was taken.
#[derive(Debug, PartialEq, Eq)]
pub struct SeenForm {
    /// The text fields, a JSON object as text.
    pub texts: String,
    /// Of each picture its field, its media type, its digest and its content.
    pub pictures: Vec<(String, &'static str, String, Vec<u8>)>,
}

/// Reads a multipart form that is all there, on a route with these file fields.
///
/// # Errors
/// What the client would be told.
pub fn form(content_type: &str, body: Vec<u8>, fields: &[String], most: usize) -> Result<SeenForm, String> {
    let content_type = Parameters::parse(content_type.as_bytes());
    let reading = pin!(form::read(&content_type, body, Takes { fields, most }));
    let Poll::Ready(form) = reading.poll(&mut Context::from_waker(Waker::noop())) else {
        return Err("the form waits for more, although all of it is there".to_owned());
    };
    let form = form.map_err(|refusal| refusal.to_string())?;
    let seen = |picture: Picture| {
        let kind = picture.kind.media_type();
        (picture.field, kind, picture.digest, picture.content.to_vec())
    };
    Ok(SeenForm {
        texts: serde_json::Value::Object(form.texts).to_string(),
        pictures: form.pictures.into_iter().map(seen).collect(),
    })
}

/// The media type of the picture at a path behind `/uploads/`, where it is one that is looked up at all.
pub fn upload(path: &str) -> Option<&'static str> {
    kind_of(path).map(PictureKind::media_type)
}

/// A request's head as it was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The method.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Names and values.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// What the host takes from a request whatever its route is.
#[derive(Debug, PartialEq, Eq)]
pub struct Carried {
    /// `X-Correlation-Id`, where it can be carried.
    pub correlation: Option<String>,
    /// The `traceparent` of a span of its trace, where it is in one.
    pub trace: Option<String>,
    /// `Idempotency-Key`.
    pub idempotency: Option<String>,
    /// The query's parameters.
    pub query: Params,
    /// The body, JSON text.
    pub body: Option<String>,
}

/// A request that is let in.
#[derive(Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Method and path of its route.
    pub route: (&'static str, String),
    /// The path's parameters.
    pub params: Params,
    /// Its key.
    pub key: String,
    /// The claims of its token, a JSON object as text.
    pub claims: Option<String>,
}

impl Sent<'_> {
    /// What of it is HTTP at all: the rest is refused before any code of ours.
    fn parsed(&self) -> Option<(Method, Uri, HeaderMap)> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            headers.append(name, HeaderValue::from_bytes(value).ok()?);
        }
        Some((self.method.parse().ok()?, self.target.parse().ok()?, headers))
    }

    /// What is carried along; `None` where it is no HTTP.
    ///
    /// # Errors
    /// What the client would be told.
    pub fn carried(&self, body: &[u8]) -> Option<Result<Carried, String>> {
        let (method, target, headers) = self.parsed()?;
        let carried = || {
            Ok(Carried {
                correlation: taken(&headers).map(str::to_owned),
                trace: trace(&headers).map(|trace| trace.traceparent(1)),
                idempotency: idempotency_key(method.as_str(), &headers)?,
                query: query(target.query())?,
                body: json(content_type(&headers).as_ref(), body.to_vec())?,
            })
        };
        Some(carried().map_err(told))
    }
}

/// The routes of a configuration, and the secret that its tokens are signed with.
pub struct Front {
    routes: Routes,
    tokens: Tokens,
}

impl Front {
    /// The front of the configuration in `text`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str, secret: &str) -> Result<Self, String> {
        let variables = [("JWT_SECRET".to_owned(), secret.to_owned())];
        let config = Config::parse(Path::new("sandman.toml"), text, variables.into_iter());
        let config = config.map_err(|errors| errors.to_string())?;
        Ok(Self {
            routes: Routes::new(&config, &position(&config), &Meters::new()),
            tokens: Tokens::new(Some(&Secret::new(secret))),
        })
    }

    /// Finds a request's route, and whether it may take it; `None` where it is no HTTP.
    ///
    /// # Errors
    /// What the client would be told.
    pub fn admit(&self, sent: Sent<'_>) -> Option<Result<Admitted, String>> {
        let (method, target, headers) = sent.parsed()?;
        let admitted = || {
            let (route, params) = self.routes.find(&method, target.path())?;
            let (claims, key) = route.admit(&self.tokens, &headers, &params)?;
            Ok(Admitted {
                route: (route.method, route.path.to_string()),
                params,
                key,
                claims: claims.map(|claims| claims.to_json()),
            })
        };
        Some(admitted().map_err(told))
    }

    /// The claims of the token that a request sends, a JSON object as text; `None` where it is no HTTP.
    ///
    /// # Errors
    /// What the client would be told.
    pub fn claims(&self, sent: Sent<'_>) -> Option<Result<Option<String>, String>> {
        let (_, _, headers) = sent.parsed()?;
        let claims = self.tokens.sent(&headers).map_err(told);
        Some(claims.map(|claims| claims.map(|claims| claims.to_json())))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what errors are mapped with")]
fn told(refusal: HttpRefusal) -> String {
    refusal.to_string()
}
