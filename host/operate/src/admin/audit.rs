//! Logs who called what, and the response: one line for each call, with the target `audit`.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use super::guard::Caller;

/// Writes the line. Probes are not logged, and scrapes only at `debug`.
pub(super) async fn audit(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let status = response.status();
    let caller = response.extensions().get::<Caller>();
    let by = caller.map_or("", |Caller(name)| &**name);
    if status.is_client_error() || status.is_server_error() {
        if !path.starts_with("/health") {
            tracing::warn!(target: "audit", by, %method, path, status = status.as_u16(), "refused");
        }
    } else if path.starts_with("/v1/") {
        tracing::info!(target: "audit", by, %method, path, status = status.as_u16(), "called");
    } else {
        tracing::debug!(target: "audit", by, %method, path, status = status.as_u16(), "called");
    }
    response
}
