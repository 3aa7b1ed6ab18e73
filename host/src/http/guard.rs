//! Who may talk to the admin listener: not a web page, and nobody without the token.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};

use super::answer::error;
use crate::config::Secret;

/// What is asked of every request.
#[derive(Clone)]
pub(super) struct Guard {
    listen: SocketAddr,
    token: Option<Arc<[u8; 32]>>,
}

impl Guard {
    pub(super) fn new(listen: SocketAddr, token: Option<&Secret>) -> Self {
        Self {
            listen,
            token: token.map(|token| Arc::new(Sha256::digest(token.expose()).into())),
        }
    }

    /// Whether the request was sent to us by name. A page whose name was pointed at a loopback address (DNS rebinding)
    /// still sends its own name. Where other machines may connect there is a token, which no page knows.
    fn is_host_known(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) else {
            return false;
        };
        !self.listen.ip().is_loopback() || is_loopback_name(host)
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

    /// Whether the token is the configured one. Digests are compared, so that the time tells nothing of the token.
    fn is_token_right(&self, headers: &HeaderMap) -> bool {
        let Some(expected) = &self.token else {
            return true;
        };
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, token)) = sent.and_then(|sent| sent.split_once(' ')) else {
            return false;
        };
        let digest: [u8; 32] = Sha256::digest(token.trim()).into();
        let difference = digest
            .iter()
            .zip(expected.iter())
            .fold(0, |difference, (a, b)| difference | (a ^ b));
        scheme.eq_ignore_ascii_case("bearer") && difference == 0
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

/// Lets no web page through.
pub(super) async fn no_pages(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    if !guard.is_host_known(request.headers()) {
        return error(
            StatusCode::FORBIDDEN,
            "the Host header does not name this host; use 127.0.0.1 or localhost",
        );
    }
    if !Guard::is_origin_ours(request.headers()) {
        return error(StatusCode::FORBIDDEN, "requests from other origins are refused");
    }
    next.run(request).await
}

/// Lets nobody through without the token, where one is configured.
pub(super) async fn token(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    if guard.is_token_right(request.headers()) {
        return next.run(request).await;
    }
    let mut response = error(
        StatusCode::UNAUTHORIZED,
        "send the admin token: Authorization: Bearer …",
    );
    let scheme = axum::http::HeaderValue::from_static("Bearer");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    response
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
