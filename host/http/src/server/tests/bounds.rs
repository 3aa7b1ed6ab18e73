//! Large, slow and endless clients, and the end.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{JSON, has, ok, serve, serve_with};

#[tokio::test]
async fn a_body_over_its_bound_is_refused_and_the_answer_is_seen() {
    let served = serve_with("body = \"2KiB\"", |_| Some(ok())).await;
    let fits = format!("\"{}\"", "x".repeat(2046));
    has(&served.ask("POST /users/u-1", JSON, &fits).await, 200, "done");
    // Large enough for the client to be still sending when the answer is ready.
    let large = vec![b'x'; 4 << 20];
    has(
        &served.ask("POST /users/u-1", JSON, &large).await,
        413,
        "larger than 2048 bytes",
    );
    let endless =
        format!("POST /users/u-1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n{JSON}\r\n");
    let chunk = format!("800\r\n{}\r\n", "x".repeat(2048));
    let body = format!("{endless}{}0\r\n\r\n", chunk.repeat(3));
    has(&served.raw(body).await, 413, "larger than 2048 bytes");
    assert_eq!(served.count(), 1);
}

#[tokio::test]
async fn a_client_that_waits_for_leave_is_told_before_it_sends() {
    let served = serve_with("body = \"2KiB\"", |_| Some(ok())).await;
    let head = format!("POST /users/u-1 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{JSON}");
    has(
        &served.raw(format!("{head}Content-Length: 4000\r\n\r\n")).await,
        413,
        "larger",
    );
}

#[tokio::test]
async fn slow_clients_are_cut_off() {
    let served = serve_with("timeout = \"100ms\"", |_| Some(ok())).await;
    let head = format!("POST /users/u-1 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n{JSON}\r\n");
    has(
        &served.raw(format!("{head}{{")).await,
        408,
        "the body did not arrive within 100ms",
    );
    let answer = served.raw("POST /users/u-1 HTTP/1.1\r\nHost:").await;
    assert!(!answer.contains(" 200 "), "{answer}");
    assert_eq!(served.count(), 0);
}

#[tokio::test]
async fn a_request_without_an_answer_ends() {
    let served = serve_with("timeout = \"500ms\"", |_| None).await;
    let answer = served.ask("POST /users/u-1", JSON, "{}").await;
    has(&answer, 503, "may still be carried out");
    has(&answer, 503, "x-correlation-id: ");
    // The host stops, and drops what waits.
    let served = serve_with("", |_| None).await;
    let (answer, ()) = tokio::join!(served.ask("POST /users/u-1", JSON, "{}"), async {
        drop(served.waiting().await);
    });
    has(&answer, 503, "retry-after");
}

#[tokio::test]
async fn connections_over_the_bound_wait_and_greedy_headers_are_refused() {
    let served = serve_with("connections = 1", |_| Some(ok())).await;
    let mut first = TcpStream::connect(served.address).await.expect("a connection");
    let request = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    first.write_all(request.as_bytes()).await.expect("a request");
    let mut start = [0; 12];
    first.read_exact(&mut start).await.expect("an answer");
    assert_eq!(&start, b"HTTP/1.1 200");
    let second = served.ask("GET /health/live", "", "");
    tokio::pin!(second);
    tokio::select! {
        biased;
        answer = &mut second => panic!("served over the bound: {answer}"),
        // The first connection still answers, so the server is not merely slow.
        () = async {
            first.write_all(request.as_bytes()).await.expect("a request");
            let mut more = [0; 200];
            assert!(first.read(&mut more).await.expect("an answer") > 0);
        } => {}
    }
    drop(first);
    has(&second.await, 200, "true");
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "x".repeat(64 << 10));
    for headers in [many, long] {
        let answer = served.ask("GET /health/live", &headers, "").await;
        assert!(!answer.contains(" 200 "), "{answer}");
    }
}

#[tokio::test]
async fn at_the_bound_a_connection_that_says_nothing_gives_way_and_one_that_waits_for_its_answer_stays() {
    let served = serve_with("connections = 2", |_| None).await;
    let (busy, ()) = tokio::join!(served.ask("POST /users/u-1", JSON, "{}"), async {
        let sender = served.waiting().await;
        for part in ["", "GET /health/live HTTP/1.1\r\nX-Slow: "] {
            let mut silent = TcpStream::connect(served.address).await.expect("a connection");
            silent.write_all(part.as_bytes()).await.expect("a part");
            has(&served.ask("GET /health/live", "", "").await, 200, "true");
            assert_eq!(silent.read(&mut [0; 1]).await.unwrap_or(0), 0, "it is still there");
        }
        sender.send(ok()).expect("somebody waits");
    });
    has(&busy, 200, "done");
}

#[tokio::test]
async fn a_stop_lets_a_request_finish() {
    let served = serve_with("", |_| None).await;
    let (answer, ()) = tokio::join!(served.ask("POST /users/u-1", JSON, "{}"), async {
        let sender = served.waiting().await;
        served.stop.send(true).expect("a server that listens");
        sender.send(ok()).expect("somebody waits");
    });
    has(&answer, 200, "done");
    served.task.await.expect("no panic");
    assert!(
        TcpStream::connect(served.address).await.is_err(),
        "the port is still open"
    );
    drop(serve().await);
}
