//! Cross-origin requests: which pages may read our answers. Off until origins are configured.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::{answer, correlation};
use sandman_config::HttpConfig;

const METHODS: [Method; 6] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];
/// Request headers that the host uses; pages may always send them.
const OWN: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    correlation::HEADER,
];
/// Response headers that pages could not read otherwise.
const EXPOSED: [HeaderName; 7] = [
    correlation::HEADER,
    answer::REPLAYED,
    header::ACCEPT_ENCODING,
    header::ALLOW,
    header::ETAG,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
];
/// How long a browser need not ask again.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Answers preflights, and marks the responses to the configured origins as readable. Requests of other origins are
/// served as well: their browsers do not show the response to the page. `None` if no origin is configured.
pub(super) fn layer(http: &HttpConfig) -> Option<CorsLayer> {
    if http.cors.is_empty() {
        return None;
    }
    let origins = http.cors.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods(METHODS)
        .allow_headers(headers(http.cors_headers.as_deref()))
        // For pages that send cookies for other services; we read none.
        .allow_credentials(true)
        .expose_headers(EXPOSED)
        .max_age(MAX_AGE);
    Some(layer)
}

fn headers(configured: Option<&[String]>) -> AllowHeaders {
    let Some(configured) = configured else {
        return AllowHeaders::mirror_request();
    };
    let configured = configured.iter().filter_map(|name| name.parse().ok());
    AllowHeaders::list(OWN.into_iter().chain(configured))
}
