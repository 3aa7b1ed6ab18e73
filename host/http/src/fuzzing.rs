//! Entry points for the fuzz targets: they pass untrusted input to the functions that parse it. The host does not call them.

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

/// An accepted form.
#[derive(Debug, PartialEq, Eq)]
pub struct SeenForm {
    /// The text fields, a JSON object as text.
    pub texts: String,
    /// The field, media type, digest and content of each picture.
    pub pictures: Vec<(String, &'static str, String, Vec<u8>)>,
}

/// Reads a complete multipart form, on a route with these file fields.
///
/// # Errors
/// The error that the client would get.
pub fn form(content_type: &str, body: Vec<u8>, fields: &[String], most: usize) -> Result<SeenForm, String> {
    let content_type = Parameters::parse(content_type.as_bytes());
    let reading = pin!(form::read(&content_type, body, Takes { fields, most }));
    let Poll::Ready(form) = reading.poll(&mut Context::from_waker(Waker::noop())) else {
        return Err("the form waits for more, although it is complete".to_owned());
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

/// The media type of the picture at a path below `/uploads/`, if the path is valid.
pub fn upload(path: &str) -> Option<&'static str> {
    kind_of(path).map(PictureKind::media_type)
}

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The method.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Names and values.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// The parts of a request that do not depend on its route.
#[derive(Debug, PartialEq, Eq)]
pub struct Carried {
    /// `X-Correlation-Id`, if it is usable.
    pub correlation: Option<String>,
    /// The `traceparent` of a span of its trace, if it has one.
    pub trace: Option<String>,
    /// `Idempotency-Key`.
    pub idempotency: Option<String>,
    /// The query's parameters.
    pub query: Params,
    /// The body, JSON text.
    pub body: Option<String>,
}

/// An admitted request.
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
    /// The request, if it is valid HTTP: anything else is refused before it reaches our code.
    fn parsed(&self) -> Option<(Method, Uri, HeaderMap)> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            headers.append(name, HeaderValue::from_bytes(value).ok()?);
        }
        Some((self.method.parse().ok()?, self.target.parse().ok()?, headers))
    }

    /// The parts that do not depend on the route; `None` if it is not HTTP.
    ///
    /// # Errors
    /// The error that the client would get.
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

/// The routes of a configuration, and the secret of its tokens.
pub struct Front {
    routes: Routes,
    tokens: Tokens,
}

impl Front {
    /// The front of the configuration in `text`.
    ///
    /// # Errors
    /// The errors of the configuration.
    pub fn new(text: &str, secret: &str) -> Result<Self, String> {
        let variables = [("JWT_SECRET".to_owned(), secret.to_owned())];
        let config = Config::parse(Path::new("sandman.toml"), text, variables.into_iter());
        let config = config.map_err(|errors| errors.to_string())?;
        Ok(Self {
            routes: Routes::new(&config, &position(&config), &Meters::new()),
            tokens: Tokens::new(Some(&Secret::new(secret))),
        })
    }

    /// Finds a request's route and checks its token; `None` if it is not HTTP.
    ///
    /// # Errors
    /// The error that the client would get.
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

    /// The claims of a request's token, a JSON object as text; `None` if it is not HTTP.
    ///
    /// # Errors
    /// The error that the client would get.
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
