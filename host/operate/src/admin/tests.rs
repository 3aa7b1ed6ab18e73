//! The admin listener over real connections.

mod api;
mod fake;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::AdminServer;
use sandman_config::{AdminConfig, Secret};
use sandman_engine::health::HealthView;
use sandman_engine::meters::Meters;

use fake::Fake;

struct Served {
    address: SocketAddr,
    health: Arc<HealthView>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

async fn serve(token: Option<&str>) -> Served {
    let tokens: Vec<_> = token.map(|token| ("admin", token)).into_iter().collect();
    serve_with(&tokens, Arc::default()).await
}

async fn serve_with(tokens: &[(&str, &str)], control: Arc<Fake>) -> Served {
    let tokens = tokens
        .iter()
        .map(|(name, token)| ((*name).to_owned(), Secret::new(*token)));
    let config = AdminConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        tokens: tokens.collect(),
        read_data: vec!["oncall".to_owned()],
    };
    let meters = Arc::new(Meters::new());
    meters.topic("user.updated").published.increment(5);
    let health = Arc::new(HealthView::new());
    let server = AdminServer::bind(&config, control, meters, Arc::clone(&health))
        .await
        .expect("a free port");
    let address = server.address();
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(server.serve(stopped));
    Served {
        address,
        health,
        stop,
        task,
    }
}

/// The whole answer to a request whose connection is closed after it.
async fn ask(served: &Served, path: &str, headers: &str) -> String {
    let host = served.address;
    raw(
        served,
        &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n"),
    )
    .await
}

async fn raw(served: &Served, request: &str) -> String {
    let mut stream = TcpStream::connect(served.address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("a request");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[track_caller]
fn has(answer: &str, status: u16, words: &str) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{status} expected: {answer}"
    );
    assert!(answer.contains(words), "{words:?} expected: {answer}");
}

#[tokio::test]
async fn metrics_and_health_are_served() {
    let served = serve(None).await;
    let metrics = ask(&served, "/metrics", "").await;
    has(
        &metrics,
        200,
        "sandman_events_published_total{topic=\"user.updated\"} 5",
    );
    has(&metrics, 200, "x-content-type-options: nosniff");
    has(&ask(&served, "/health/live", "").await, 200, "{\"live\":true}");
    has(&ask(&served, "/health/ready", "").await, 503, "\"ready\":false");
    has(&ask(&served, "/health", "").await, 200, "\"status\":\"degraded\"");
    served.health.set_ready(true);
    served.health.set_kafka_connected(true);
    served.health.set_topics(vec!["user.updated".into()]);
    has(&ask(&served, "/health/ready", "").await, 200, "\"ready\":true");
    let health = ask(&served, "/health", "").await;
    has(
        &health,
        200,
        "\"kafka\":{\"connected\":true,\"topics\":[\"user.updated\"]}",
    );
    served.health.set_store_fault(Some("the disk is full".to_owned()));
    has(&ask(&served, "/health", "").await, 503, "the disk is full");
    has(&ask(&served, "/nothing", "").await, 404, "{\"error\":");
}

#[tokio::test]
async fn metrics_need_the_token_and_probes_do_not() {
    let served = serve(Some("right")).await;
    let refused = [
        "",
        "Authorization: Bearer wrong\r\n",
        "Authorization: Basic right\r\n",
        "Authorization: right\r\n",
    ];
    for headers in refused {
        let answer = ask(&served, "/metrics", headers).await;
        has(&answer, 401, "www-authenticate: Bearer");
        assert!(!answer.contains("right"), "the token is shown: {answer}");
    }
    has(
        &ask(&served, "/metrics", "Authorization: Bearer right\r\n").await,
        200,
        "sandman_",
    );
    has(
        &ask(&served, "/metrics", "Authorization: bearer right\r\n").await,
        200,
        "sandman_",
    );
    has(&ask(&served, "/health/live", "").await, 200, "true");
}

#[tokio::test]
async fn a_web_page_cannot_talk_to_it() {
    let served = serve(None).await;
    for host in [
        "Host: evil.example\r\n",
        "Host: localhost\r\nHost: evil.example\r\n",
        "",
    ] {
        let request = format!("GET /metrics HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
        has(&raw(&served, &request).await, 403, "Host");
    }
    has(
        &ask(&served, "/metrics", "Origin: http://evil.example\r\n").await,
        403,
        "origins",
    );
    has(&ask(&served, "/metrics", "Origin: null\r\n").await, 403, "origins");
    let own = format!("Origin: http://{}\r\n", served.address);
    has(&ask(&served, "/metrics", &own).await, 200, "sandman_");
}

#[tokio::test]
async fn a_probe_of_http_1_0_needs_no_host() {
    let served = serve(None).await;
    for (line, status) in [
        ("GET /health/live", 200),
        ("HEAD /health/live", 200),
        ("GET /health", 200),
        ("GET /health/ready", 503),
        ("GET /metrics", 200),
        ("GET /nothing", 404),
        ("POST /v1/reload", 422),
    ] {
        let answer = raw(&served, &format!("{line} HTTP/1.0\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.0 {status} ")), "{line}: {answer}");
    }
    // One that names a host, as browsers do in every version, must name this one.
    for headers in [
        "Host: evil.example\r\n",
        "Host: localhost\r\nHost: localhost\r\n",
        "Host:\r\n",
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
    ] {
        let answer = raw(&served, &format!("GET /metrics HTTP/1.0\r\n{headers}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.0 403 "), "{headers}: {answer}");
    }
    let named = raw(&served, "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").await;
    assert!(named.starts_with("HTTP/1.0 200 "), "{named}");
    let guarded = self::serve(Some("right")).await;
    let answer = raw(&guarded, "GET /metrics HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 401 "), "{answer}");
}

#[tokio::test]
async fn greedy_headers_are_refused() {
    let served = serve(None).await;
    let many = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect::<String>();
    let long = format!("X-Long: {}\r\n", "x".repeat(64 << 10));
    for headers in [many, long] {
        let answer = ask(&served, "/metrics", &headers).await;
        assert!(!answer.contains(" 200 "), "{answer}");
    }
    has(&ask(&served, "/health/live", "").await, 200, "true");
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_the_server() {
    let served = serve(None).await;
    let mut idle = TcpStream::connect(served.address).await.expect("a connection");
    let request = format!("GET /health/live HTTP/1.1\r\nHost: {}\r\n\r\n", served.address);
    idle.write_all(request.as_bytes()).await.expect("a request");
    let mut first = [0; 16];
    idle.read_exact(&mut first)
        .await
        .expect("an answer on a connection that stays");
    served.stop.send(true).expect("a server that listens");
    let end = tokio::time::timeout(Duration::from_secs(30), served.task).await;
    end.expect("the server to stop").expect("no panic");
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.expect("the connection to be closed");
    assert!(
        TcpStream::connect(served.address).await.is_err(),
        "the port is still open"
    );
}
