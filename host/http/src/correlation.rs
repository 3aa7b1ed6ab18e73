//! `X-Correlation-Id`: taken from the client or made, carried by every event, and on every answer.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

/// The header.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-correlation-id");
/// The longest id we take: it goes into the store, into every event and into logs.
const LONGEST: usize = 128;

/// The request's correlation id.
#[derive(Clone, Debug)]
pub(super) struct CorrelationId(pub(super) Arc<str>);

/// Gives the request its id, and the answer too.
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

/// The client's id. One that we cannot carry does not make its request wrong; it gets one of ours.
pub(super) fn taken(headers: &HeaderMap) -> Option<&str> {
    visible(headers.get(HEADER)?, LONGEST)
}

/// The header's value if it is 1 to `longest` visible ASCII characters.
pub(super) fn visible(value: &HeaderValue, longest: usize) -> Option<&str> {
    let text = value.to_str().ok()?;
    let good = (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    good.then_some(text)
}

/// The client's W3C trace context, if it is one: `00-<32 hex>-<16 hex>-<2 hex>`, ids not zero.
pub(super) fn traceparent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let parts: Vec<_> = text.split('-').collect();
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let set = |part: &str| part.bytes().any(|byte| byte != b'0');
    match *parts.as_slice() {
        ["00", trace, span, flags] if hex(trace, 32) && hex(span, 16) && hex(flags, 2) && set(trace) && set(span) => {
            Some(text.to_owned())
        }
        _ => None,
    }
}
