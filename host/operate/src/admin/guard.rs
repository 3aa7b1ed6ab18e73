//! Protects the admin listener from web pages and from callers without a token.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use sandman_config::{LOCAL, Secret};
use sandman_http::answer::error;
use sandman_http::body::IncomingBody;

/// The checks of every request.
#[derive(Clone)]
pub(super) struct Guard {
    listen: SocketAddr,
    tokens: Arc<[Token]>,
    /// Who may read data.
    read_data: Arc<[String]>,
}

/// A token: its name and digest.
struct Token {
    name: Arc<str>,
    digest: [u8; 32],
}

/// The caller: the name of the token, or `local` if none is configured.
#[derive(Clone, Debug)]
pub(super) struct Caller(pub(super) Arc<str>);

/// Additional permissions of a caller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scopes {
    /// `read-data`: see records and states.
    pub(super) reads_data: bool,
}

impl Guard {
    pub(super) fn new(listen: SocketAddr, tokens: &[(String, Secret)], read_data: &[String]) -> Self {
        let token = |(name, token): &(String, Secret)| Token {
            name: name.as_str().into(),
            digest: Sha256::digest(token.expose()).into(),
        };
        Self {
            listen,
            tokens: tokens.iter().map(token).collect(),
            read_data: read_data.into(),
        }
    }

    /// Whether the `Host` header names this machine. A page whose name resolves to a loopback address (DNS rebinding)
    /// still sends its own name. If other machines may connect there is a token, which no page knows.
    ///
    /// HTTP/1.0, which some probes use, does not require `Host`; every browser sends one.
    fn is_host_known(&self, version: Version, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        match (hosts.next(), hosts.next()) {
            (None, _) => version == Version::HTTP_10,
            (Some(host), None) => {
                let is_ours = |host| !self.listen.ip().is_loopback() || is_loopback_name(host);
                host.to_str().is_ok_and(is_ours)
            }
            _ => false,
        }
    }

    /// Whether no page of another origin sent the request.
    fn is_origin_ours(headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return true;
        };
        let name = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        name.map(|(_, name)| name) == host && host.is_some()
    }

    /// Finds the token. All digests are compared completely, so that the time reveals nothing about the tokens.
    fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        if self.tokens.is_empty() {
            return Some(Caller(LOCAL.into()));
        }
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, token) = sent.and_then(|sent| sent.split_once(' '))?;
        let digest: [u8; 32] = Sha256::digest(token.trim()).into();
        let mut caller = None;
        for Token { name, digest: known } in &*self.tokens {
            if digest.ct_eq(known).into() {
                caller = Some(Caller(Arc::clone(name)));
            }
        }
        caller.filter(|_| scheme.eq_ignore_ascii_case("bearer"))
    }
}

/// Whether a `Host` header names this machine: `localhost`, 127.x.x.x or `[::1]`, with or without a port.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Refuses requests of web pages.
pub(super) async fn no_pages(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    if !guard.is_host_known(request.version(), request.headers()) {
        let words = "the Host header does not name this host; use 127.0.0.1 or localhost";
        return refuse(request, StatusCode::FORBIDDEN, words).await;
    }
    if !Guard::is_origin_ours(request.headers()) {
        return refuse(
            request,
            StatusCode::FORBIDDEN,
            "requests from other origins are refused",
        )
        .await;
    }
    next.run(request).await
}

/// Refuses requests without a token, if one is configured, and records the caller.
pub(super) async fn token(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    if let Some(caller) = guard.caller(request.headers()) {
        let reads_data = guard.read_data.iter().any(|name| **name == *caller.0);
        request.extensions_mut().insert(Scopes { reads_data });
        request.extensions_mut().insert(caller.clone());
        let mut response = next.run(request).await;
        response.extensions_mut().insert(caller);
        return response;
    }
    let words = "send the admin token: Authorization: Bearer …";
    let mut response = refuse(request, StatusCode::UNAUTHORIZED, words).await;
    let scheme = axum::http::HeaderValue::from_static("Bearer");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    response
}

/// The response, after the client has had time to send the rest of its body.
async fn refuse(request: Request, status: StatusCode, words: &'static str) -> Response {
    let (parts, body) = request.into_parts();
    IncomingBody::new(body, &parts.headers).discard().await;
    error(status, words)
}

#[cfg(test)]
mod tests {
    use super::is_loopback_name;

    #[test]
    fn only_names_of_this_machine_are_loopback_names() {
        for host in [
            "localhost",
            "LocalHost:3902",
            "127.0.0.1:1",
            "127.0.0.1",
            "[::1]:3902",
            "[::1]",
        ] {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:3902",
            "127.0.0.1.evil.example",
            "10.0.0.1:3902",
            ":80",
        ] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }
}
