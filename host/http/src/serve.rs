//! Accepts connections and serves them within limits, so that the cost of a slow, greedy or endless client is limited.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics::Gauge;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::answer::{ErrorCode, coded};
use super::silent::{Silent, TrackedConnection};

/// How long to wait after a failed `accept`: the process is out of file descriptors, and retrying at once would only
/// waste CPU time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The limits for clients.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections served at once. Beyond that, one connection at a time replaces the one that has been silent longest,
    /// and the others wait to be accepted.
    pub connections: usize,
    /// Bytes of a request's line and headers together, at least 8 KiB.
    pub header_bytes: usize,
    /// Headers of a request.
    pub headers: usize,
    /// Bytes of a request's body.
    pub body: usize,
    /// For receiving all headers; also the longest time that a connection may be idle.
    pub header_time: Duration,
    /// Until the response is ready, including receiving the body.
    pub request_time: Duration,
    /// After this time a connection ends with its current request, so that a client that does not read its responses
    /// cannot keep it.
    pub connection_time: Duration,
    /// How long connections may take to finish after the stop.
    pub drain_time: Duration,
}

impl Bounds {
    /// For the admin listener: few clients and small requests, except that receiving a component may take long; its
    /// size has a limit of its own.
    pub const ADMIN: Self = Self {
        connections: 64,
        header_bytes: 16 << 10,
        headers: 64,
        body: 64 << 10,
        header_time: Duration::from_secs(10),
        request_time: Duration::from_secs(60),
        connection_time: Duration::from_secs(300),
        drain_time: Duration::from_secs(2),
    };
}

/// Why an address cannot be served.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {reason}; is another process there? Port 0 takes any free port")]
pub struct ListenError {
    address: SocketAddr,
    reason: io::Error,
}

/// A bound listener with its routes.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    bounds: Bounds,
    open: Gauge,
}

impl Listener {
    /// Binds the address.
    ///
    /// # Errors
    /// [`ListenError`] if it cannot be bound.
    pub async fn bind(listen: SocketAddr, router: Router, bounds: Bounds) -> Result<Self, ListenError> {
        let fail = |reason| ListenError {
            address: listen,
            reason,
        };
        let listener = TcpListener::bind(listen).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let router = router
            .layer(DefaultBodyLimit::max(bounds.body))
            .layer(from_fn_with_state(bounds, in_time));
        Ok(Self {
            listener,
            address,
            router,
            bounds,
            open: Gauge::noop(),
        })
    }

    /// Reports the number of open connections to this gauge.
    pub fn showing(self, open: Gauge) -> Self {
        Self { open, ..self }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` becomes true or its sender is dropped; a connection finishes its current request.
    pub async fn serve(self, mut stop: watch::Receiver<bool>) {
        let slots = Arc::new(Semaphore::new(self.bounds.connections));
        let silent = Arc::new(Silent::default());
        let mut connections = JoinSet::new();
        // An accepted connection without a slot.
        let mut next = None;
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                Some(_) = connections.join_next() => {}
                accepted = accept(&self.listener), if next.is_none() => next = accepted,
                slot = slot(&slots, &silent), if next.is_some() => {
                    let (Some(stream), Some(slot)) = (next.take(), slot) else { continue };
                    let router = self.router.clone();
                    let (bounds, stop, tracked) = (self.bounds, stop.clone(), silent.track());
                    let open = OpenConnection::new(self.open.clone());
                    connections.spawn(async move {
                        connection((stream, tracked), router, bounds, stop).await;
                        drop((open, slot));
                    });
                }
            }
        }
        drop(self.listener);
        let all = async { while connections.join_next().await.is_some() {} };
        if timeout(self.bounds.drain_time, all).await.is_err() {
            tracing::debug!(address = %self.address, "connections were cut at the end of the drain");
        }
    }
}

/// Counts as one connection until it is dropped, however its task ends.
struct OpenConnection(Gauge);

impl OpenConnection {
    fn new(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

type ConnectionSlot = tokio::sync::OwnedSemaphorePermit;

/// Waits for a slot for a connection; silent ones are closed to make room.
async fn slot(slots: &Arc<Semaphore>, silent: &Silent) -> Option<ConnectionSlot> {
    tokio::select! {
        biased;
        slot = Arc::clone(slots).acquire_owned() => slot.ok(),
        () = silent.make_room() => None,
    }
}

async fn accept(listener: &TcpListener) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(
    (stream, tracked): (TcpStream, Arc<TrackedConnection>),
    router: Router,
    bounds: Bounds,
    mut stop: watch::Receiver<bool>,
) {
    // Small responses should be sent at once.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(bounds.header_time)
        .max_headers(bounds.headers)
        .max_buf_size(bounds.header_bytes);
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request| {
        let (busy, answer) = (tracked.busy(), router.call(request));
        async { Ok::<_, Infallible>(answer.await?.map(|body| busy.until_sent(body))) }
    });
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let served = tokio::select! {
        served = &mut connection => Some(served),
        () = stopped(&mut stop) => None,
        () = sleep(bounds.connection_time) => None,
        () = tracked.must_close() => return tracing::debug!("a silent connection was closed for another one"),
    };
    let served = match served {
        Some(served) => Ok(served),
        None => {
            connection.as_mut().graceful_shutdown();
            timeout(bounds.request_time, connection).await
        }
    };
    match served {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended early"),
        Err(_) => tracing::debug!("a connection was cut: its client did not read the response"),
    }
}

/// Returns when the stop is requested, also by dropping its sender.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Limits the time of a request.
pub async fn in_time(State(bounds): State<Bounds>, request: Request, next: Next) -> Response {
    match timeout(bounds.request_time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => coded(ErrorCode::NoAnswer, "the request took too long"),
    }
}
