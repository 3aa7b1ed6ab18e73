//! `X-Correlation-Id`: taken from the client or generated, added to every event and every response; and W3C trace context.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

use sandman_core::event::TraceContext;

/// The header.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-correlation-id");
/// The longest id that is accepted: it goes into the store, into every event and into logs.
const LONGEST: usize = 128;

/// The request's correlation id.
#[derive(Clone, Debug)]
pub(super) struct CorrelationId(pub(super) Arc<str>);

/// Adds the id to the request and the response.
pub(super) async fn carry(mut request: Request, next: Next) -> Response {
    let id: Arc<str> = match taken(request.headers()) {
        Some(id) => id.into(),
        None => Uuid::new_v4().to_string().into(),
    };
    request.extensions_mut().insert(CorrelationId(Arc::clone(&id)));
    let mut response = next.run(request).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, id);
    }
    response
}

/// The client's id. An unusable one is not an error: the request gets a generated one.
pub(super) fn taken(headers: &HeaderMap) -> Option<&str> {
    visible(headers.get(HEADER)?, LONGEST)
}

/// The header's value if it is 1 to `longest` visible ASCII characters.
pub(super) fn visible(value: &HeaderValue, longest: usize) -> Option<&str> {
    let text = value.to_str().ok()?;
    let good = (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    good.then_some(text)
}

/// The trace that the request belongs to, by its headers `traceparent` and `tracestate`.
pub(super) fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    let values = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes);
    TraceContext::read(values("traceparent"), values("tracestate"))
}
