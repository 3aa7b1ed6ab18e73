//! What comes back: replies, refusals, correlation, idempotency.

use super::tokens::{bearer, token};
use super::{JSON, has, reply, serve, serve_with};
use sandman_core::work::Answer;

#[tokio::test]
async fn a_request_arrives_as_it_was_meant() {
    let served = serve_with("", |_| Some(reply(201, r#"{"id": "ü"}"#))).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers =
        format!("{JSON}X-Correlation-Id: abc-1\r\ntraceparent: {trace}\r\ntracestate: a=1\r\ntracestate: b=2\r\n");
    let answer = served
        .ask("POST /users/u%201/?a=1&b=x+y", &headers, "{\"a\": [1] }")
        .await;
    has(&answer, 201, "{\"id\": \"ü\"}");
    has(&answer, 201, "content-type: application/json");
    has(&answer, 201, "cache-control: no-store");
    has(&answer, 201, "x-correlation-id: abc-1");
    let work = served.last();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!((&*work.key, work.method.as_str()), ("u 1", "POST"));
    assert_eq!(work.route, "/users/{userId}");
    assert_eq!(work.params, [pair("userId", "u 1")]);
    assert_eq!(work.query, [pair("a", "1"), pair("b", "x y")]);
    assert_eq!(work.body.as_deref(), Some("{\"a\": [1] }"));
    assert_eq!(work.correlation_id, "abc-1");
    let context = work.trace.as_ref().expect("a trace");
    assert_eq!(context.traceparent(0xb7ad_6b71_6920_3331), trace);
    assert_eq!(context.tracestate(), Some("a=1,b=2"));
    assert_eq!(work.idempotency, None);
}

#[tokio::test]
async fn every_answer_has_a_correlation_id() {
    let served = serve().await;
    let id = |answer: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix("x-correlation-id: "));
        line.expect("an id").to_owned()
    };
    let made = id(&served.ask("POST /users/u-1", JSON, "{}").await);
    assert_eq!(served.last().correlation_id, made);
    assert_eq!(made.len(), 36);
    for bad in ["", "a b", "ä", &"x".repeat(129)] {
        let answer = served
            .ask("GET /nothing", &format!("X-Correlation-Id: {bad}\r\n"), "")
            .await;
        has(&answer, 404, "{\"error\":");
        assert_eq!(id(&answer).len(), 36, "{bad:?}");
    }
    for line in ["GET /health", "GET /own", "GET /uploads/x"] {
        assert_eq!(id(&served.ask(line, "X-Correlation-Id: mine\r\n", "").await), "mine");
    }
}

#[tokio::test]
async fn what_became_of_a_request_is_said_in_the_service_s_shape() {
    let cases = [
        (reply(409, r#"{"error":"taken"}"#), 409, "{\"error\":\"taken\"}"),
        (
            Answer::Reply {
                status: 204,
                body: None,
            },
            204,
            "",
        ),
        (Answer::Busy, 503, "retry-after: 1"),
        (Answer::Busy, 503, "\"code\":\"busy\""),
        (Answer::Unavailable("hush".to_owned()), 503, "retry-after: 1"),
        (Answer::Unavailable("hush".to_owned()), 503, "\"code\":\"unavailable\""),
        (Answer::Failed("hush".to_owned()), 500, "\"code\":\"failed\""),
        (Answer::IdempotencyMismatch, 422, "Idempotency-Key"),
        (
            Answer::Replayed {
                status: 201,
                body: Some("[1]".to_owned()),
            },
            201,
            "idempotency-replayed: true",
        ),
    ];
    for (answer, status, words) in cases {
        let served = serve_with("", move |_| Some(answer.clone())).await;
        let answer = served.ask("POST /users/u-1", JSON, "{}").await;
        has(&answer, status, words);
        assert!(!answer.contains("hush"), "{answer}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let served = serve().await;
    for (line, headers, body, status, words) in [
        ("GET /nothing", "", "", 404, "there is nothing at this path"),
        ("DELETE /own", "", "", 405, "allow: GET, PUT"),
        ("OPTIONS /own", "", "", 405, "allow: GET, PUT"),
        ("POST /health", "", "", 405, "{\"error\":"),
        ("POST /users/%ff", JSON, "{}", 400, "userId in the path"),
        ("POST /users/%0a", JSON, "{}", 400, "key"),
        ("POST /users/u-1?a=%", JSON, "{}", 400, "query"),
        (
            "POST /users/u-1",
            JSON,
            "{\"a\":",
            400,
            "{\"error\":\"the body is not JSON",
        ),
        ("POST /users/u-1", "", "{}", 415, "application/json"),
        (
            "POST /users/u-1",
            "Content-Type: text/plain\r\n",
            "{}",
            415,
            "application/json",
        ),
        (
            "POST /users/u-1",
            "Idempotency-Key: a b\r\n",
            "",
            400,
            "Idempotency-Key",
        ),
        (
            "POST /users/u-1",
            "Idempotency-Key: a\r\nIdempotency-Key: b\r\n",
            "",
            400,
            "Idempotency-Key",
        ),
    ] {
        has(&served.ask(line, headers, body).await, status, words);
    }
    let long = format!("POST /users/{}", "u".repeat(257));
    has(&served.ask(&long, JSON, "{}").await, 400, "256 bytes");
    assert_eq!(served.count(), 0);
}

#[tokio::test]
async fn the_same_request_has_the_same_fingerprint() {
    let served = serve().await;
    let mut digests = Vec::new();
    for (line, body) in [
        ("POST /users/u-1", "{}"),
        ("POST /users/u-1", "{}"),
        ("POST /users/u-1", "{ }"),
        ("POST /users/u-2", "{}"),
        ("POST /users/u-1?a=1", "{}"),
        ("POST /users/u-1/avatar", "{}"),
    ] {
        served.ask(line, &format!("{JSON}Idempotency-Key: k-1\r\n"), body).await;
        let idempotency = served.last().idempotency.expect("a key");
        assert_eq!((idempotency.key.as_str(), idempotency.digest.len()), ("k-1", 64));
        digests.push(idempotency.digest);
    }
    assert_eq!(digests[0], digests[1]);
    digests.remove(0);
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 5, "two different requests look the same");
    for boundary in ["XX", "YY"] {
        let body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"avatar\"; filename=\"a\"\r\n\r\nGIF89a\r\n--{boundary}--"
        );
        let headers = format!("Content-Type: multipart/form-data; boundary={boundary}\r\nIdempotency-Key: k\r\n");
        has(&served.ask("POST /users/u-1/avatar", &headers, body).await, 200, "done");
        digests.push(served.last().idempotency.expect("a key").digest);
    }
    assert_eq!(digests.pop(), digests.pop(), "the boundary counts");
    let headers = format!("{}Idempotency-Key: k-1\r\n", bearer(&token("u-1")));
    has(&served.ask("GET /own", &headers, "").await, 200, "done");
    assert_eq!(served.last().idempotency, None, "reading needs no memory");
}

#[tokio::test]
async fn a_probe_of_http_1_0_needs_no_host() {
    let served = serve().await;
    for (line, status) in [
        ("GET /health/live", 200),
        ("HEAD /health/live", 200),
        ("GET /health", 200),
        ("GET /health/ready", 503),
        ("GET /nothing", 404),
        ("POST /users/u-1", 200),
    ] {
        let answer = served.raw(format!("{line} HTTP/1.0\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.0 {status} ")), "{line}: {answer}");
    }
}
