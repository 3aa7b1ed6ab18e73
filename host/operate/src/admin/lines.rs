//! A body of JSON lines that are streamed.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The sender of the lines. Lines for a disconnected client are dropped.
pub(super) struct StreamedLines(UnboundedSender<Bytes>);

impl StreamedLines {
    /// Whether the client has disconnected.
    pub(super) fn are_unheard(&self) -> bool {
        self.0.is_closed()
    }

    pub(super) fn send(&self, line: &impl Serialize) {
        if let Ok(mut text) = serde_json::to_vec(line) {
            text.push(b'\n');
            self.0.send(text.into()).ok();
        }
    }
}

/// A response with streamed lines. It ends when the sender is dropped.
pub(super) fn answer(status: StatusCode) -> (StreamedLines, Response) {
    let (sender, receiver) = unbounded_channel();
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))];
    let body = Body::new(Coming(receiver));
    (StreamedLines(sender), (status, kind, body).into_response())
}

struct Coming(UnboundedReceiver<Bytes>);

impl hyper::body::Body for Coming {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let line = self.0.poll_recv(cx);
        line.map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}
