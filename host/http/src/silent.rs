//! Connections without a current request. If the limit of connections is reached, the one that has been silent longest
//! is closed, so that clients that keep silent connections do not keep others out for long.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::sleep;

/// How long a connection may be silent before it can be closed for another one: enough for a request from the other
/// side of the world to arrive, and for a response to be sent.
const PATIENCE: Duration = Duration::from_secs(1);
/// The time between two connections that are closed.
const LOOK: Duration = Duration::from_millis(20);

/// The silent connections of a listener.
#[derive(Debug, Default)]
pub(super) struct Silent(Mutex<SilenceOrder>);

/// In the order in which they became silent; a number is never used twice.
#[derive(Debug, Default)]
struct SilenceOrder {
    last: u64,
    all: BTreeMap<u64, (Instant, Arc<Notify>)>,
}

/// A connection.
#[derive(Debug)]
pub(super) struct TrackedConnection {
    all: Arc<Silent>,
    /// Its number among the silent ones; 0 during a request.
    number: AtomicU64,
    leave: Arc<Notify>,
}

/// A current request, from its last header to the last byte of its response.
#[derive(Debug)]
pub(super) struct ActiveRequest(Arc<TrackedConnection>);

/// The body of a response; until it is dropped, the request is current.
struct TrackedBody {
    body: Body,
    _busy: ActiveRequest,
}

impl Silent {
    /// Registers a new connection.
    pub(super) fn track(self: &Arc<Self>) -> Arc<TrackedConnection> {
        let tracked = Arc::new(TrackedConnection {
            all: Arc::clone(self),
            number: AtomicU64::new(0),
            leave: Arc::default(),
        });
        tracked.falls_silent();
        tracked
    }

    /// Asks silent connections to close, one after the other, as long as it is polled.
    pub(super) async fn make_room(&self) {
        loop {
            self.ask_first(PATIENCE);
            sleep(LOOK).await;
        }
    }

    fn ask_first(&self, patience: Duration) {
        let mut silent = self.0.lock();
        let first = silent
            .all
            .first_entry()
            .filter(|first| first.get().0.elapsed() >= patience);
        if let Some(first) = first {
            first.remove().1.notify_one();
        }
    }
}

impl TrackedConnection {
    /// A request begins.
    pub(super) fn busy(self: &Arc<Self>) -> ActiveRequest {
        let number = self.number.swap(0, Ordering::Relaxed);
        self.all.0.lock().all.remove(&number);
        ActiveRequest(Arc::clone(self))
    }

    /// Returns when the connection is silent and must close.
    pub(super) async fn must_close(&self) {
        loop {
            self.leave.notified().await;
            if self.number.load(Ordering::Relaxed) != 0 {
                return;
            }
        }
    }

    fn falls_silent(&self) {
        let mut silent = self.all.0.lock();
        silent.last += 1;
        let number = silent.last;
        silent.all.insert(number, (Instant::now(), Arc::clone(&self.leave)));
        self.number.store(number, Ordering::Relaxed);
    }
}

impl Drop for TrackedConnection {
    fn drop(&mut self) {
        self.all.0.lock().all.remove(self.number.get_mut());
    }
}

impl ActiveRequest {
    /// Keeps the request current until the body has been sent.
    pub(super) fn until_sent(self, body: Body) -> Body {
        Body::new(TrackedBody { body, _busy: self })
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.falls_silent();
    }
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(silent: &Silent) -> usize {
        silent.0.lock().all.len()
    }

    #[tokio::test]
    async fn the_longest_silent_gives_way_first_and_a_busy_one_never() {
        let silent = Arc::new(Silent::default());
        let [first, second, third] = [silent.track(), silent.track(), silent.track()];
        let busy = second.busy();
        silent.ask_first(Duration::ZERO);
        first.must_close().await;
        silent.ask_first(Duration::ZERO);
        third.must_close().await;
        silent.ask_first(Duration::ZERO);
        drop(busy);
        assert_eq!(count(&silent), 1, "the answer is out, it is silent again");
        silent.ask_first(Duration::ZERO);
        second.must_close().await;
    }

    #[tokio::test]
    async fn who_was_asked_and_begins_a_request_stays() {
        let silent = Arc::new(Silent::default());
        let tracked = silent.track();
        silent.ask_first(PATIENCE);
        assert_eq!(count(&silent), 1, "it is asked before its time");
        silent.ask_first(Duration::ZERO);
        let busy = tracked.busy();
        tokio::select! {
            biased;
            () = tracked.must_close() => panic!("it goes in the middle of a request"),
            () = tokio::task::yield_now() => {}
        }
        drop((busy, tracked));
        assert_eq!(count(&silent), 0);
    }

    #[test]
    fn a_request_goes_on_until_its_answer_is_sent() {
        let silent = Arc::new(Silent::default());
        let tracked = silent.track();
        let body = tracked.busy().until_sent(Body::from("an answer"));
        assert_eq!((count(&silent), body.size_hint().exact()), (0, Some(9)));
        drop(body);
        assert_eq!(count(&silent), 1);
    }
}
