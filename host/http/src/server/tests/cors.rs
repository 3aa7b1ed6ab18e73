//! Cross-origin requests, as browsers make them.

use super::{JSON, Served, has, ok, serve, serve_with};

const CORS: &str = "cors = [\"https://app.example\", \"http://localhost:3000\"]\n";
const OURS: &str = "Origin: https://app.example\r\n";

/// What a browser asks before it sends a request with these headers.
async fn preflight(served: &Served, origin: &str, headers: &str) -> String {
    let asked = format!(
        "Origin: {origin}\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: {headers}\r\n"
    );
    served.ask("OPTIONS /own", &asked, "").await
}

/// The entries of a header that is a list, lower case.
fn listed(answer: &str, header: &str) -> Vec<String> {
    let lines = answer.lines().filter_map(|line| line.split_once(": "));
    let values = lines.filter(|(name, _)| *name == header).map(|(_, value)| value);
    let entries = values.flat_map(|value| value.split(','));
    entries.map(|entry| entry.trim().to_ascii_lowercase()).collect()
}

#[track_caller]
fn allows(answer: &str, headers: &str) {
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    let allowed = listed(answer, "access-control-allow-headers");
    for header in headers.split(',') {
        assert!(allowed.iter().any(|allowed| allowed == header), "no {header}: {answer}");
    }
}

/// Headers of the host's own.
const OWN: &str = "authorization,content-type,idempotency-key,traceparent,tracestate,x-correlation-id";
/// Headers that a page's tracing or its framework adds to every request.
const TRACING: &[&str] = &[
    "traceparent,tracestate,baggage",
    "baggage,content-type,sentry-trace",
    "authorization,b3,content-type,x-b3-sampled,x-b3-spanid,x-b3-traceid",
    "x-datadog-origin,x-datadog-parent-id,x-datadog-sampling-priority,x-datadog-trace-id",
    "newrelic,x-newrelic-id,x-requested-with,x-request-id",
    "uber-trace-id",
    "some-thing-of-tomorrow",
];

#[tokio::test]
async fn pages_may_send_whichever_headers_their_tools_add() {
    let served = serve_with(CORS, |_| Some(ok())).await;
    for headers in [OWN].iter().chain(TRACING) {
        let answer = preflight(&served, "https://app.example", headers).await;
        has(&answer, 200, "access-control-allow-origin: https://app.example");
        has(&answer, 200, "access-control-allow-credentials: true");
        has(&answer, 200, "access-control-max-age: 600");
        allows(&answer, headers);
        let methods = listed(&answer, "access-control-allow-methods");
        assert_eq!(methods, ["get", "head", "post", "put", "patch", "delete"]);
        // An answer that depends on what was asked must not be kept for who asks otherwise.
        let vary = listed(&answer, "vary");
        assert!(
            vary.contains(&"origin".to_owned()) && vary.contains(&"access-control-request-headers".to_owned()),
            "{answer}"
        );
    }
    assert_eq!(served.count(), 0);
}

#[tokio::test]
async fn the_headers_of_pages_can_be_bounded() {
    let served = serve_with(&format!("{CORS}cors_headers = [\"sentry-trace\", \"baggage\"]"), |_| {
        Some(ok())
    })
    .await;
    let answer = preflight(&served, "https://app.example", "sentry-trace,x-other").await;
    allows(&answer, "sentry-trace,baggage");
    allows(&answer, OWN);
    assert!(!answer.contains("x-other"), "{answer}");
    let none = serve_with(&format!("{CORS}cors_headers = []"), |_| Some(ok())).await;
    let answer = preflight(&none, "https://app.example", "baggage").await;
    allows(&answer, OWN);
    assert!(!answer.contains("baggage"), "{answer}");
}

#[tokio::test]
async fn only_pages_of_configured_origins_may_read_answers() {
    let served = serve_with(CORS, |_| Some(ok())).await;
    let local = preflight(&served, "http://localhost:3000", "baggage").await;
    has(&local, 200, "access-control-allow-origin: http://localhost:3000");
    let own = served.ask("POST /users/u-1", &format!("{JSON}{OURS}"), "{}").await;
    has(&own, 200, "access-control-allow-origin: https://app.example");
    has(&own, 200, "vary: origin");
    for other in [
        "https://app.example.evil.example",
        "http://app.example",
        "https://app.example:8443",
        "https://APP.example",
        "null",
        "*",
        "",
    ] {
        let asked = preflight(&served, other, "baggage").await;
        let read = served.ask("GET /health", &format!("Origin: {other}\r\n"), "").await;
        for answer in [asked, read] {
            assert!(!answer.contains("access-control-allow-origin"), "{other}: {answer}");
            assert!(answer.contains("vary: origin"), "{other}: {answer}");
        }
    }
    let answer = served.ask("GET /health", "", "").await;
    assert!(!answer.contains("access-control-allow-origin"), "{answer}");
    has(&answer, 200, "vary: origin");
    let off = serve().await;
    let answer = off.ask("GET /health", OURS, "").await;
    assert!(
        !answer.contains("access-control-") && !answer.contains("vary"),
        "{answer}"
    );
    has(
        &preflight(&off, "https://app.example", "baggage").await,
        405,
        "allow: GET, PUT",
    );
}

/// Headers that a page may read anyway, and those that are no matter of its own.
const READ_ANYWAY: &[&str] = &["cache-control", "content-length", "content-type"];
const NOT_FOR_PAGES: &[&str] = &[
    "connection",
    "date",
    "vary",
    "x-content-type-options",
    "content-security-policy",
];

#[tokio::test]
async fn a_page_may_read_every_header_that_it_is_answered_with() {
    let answering = |work: &sandman_core::work::RequestWork| {
        Some(match work.body.as_deref() {
            Some("1") => sandman_core::work::Answer::Busy,
            Some("2") => sandman_core::work::Answer::Replayed {
                status: 200,
                body: None,
            },
            _ => ok(),
        })
    };
    let served = serve_with(CORS, answering).await;
    let form = "Content-Type: multipart/form-data; boundary=XX\r\n";
    let picture = "--XX\r\nContent-Disposition: form-data; name=\"avatar\"; filename=\"a\"\r\n\r\nGIF89a\r\n--XX--";
    served.ask("POST /users/u-1/avatar", form, picture).await;
    let picture = served.last().files.pop().expect("a file").url;
    let (gzip, picture) = (format!("{JSON}Content-Encoding: gzip\r\n"), format!("GET {picture}"));
    for (line, headers, body, status) in [
        ("POST /users/u-1", JSON, "{}", 200),
        ("POST /users/u-1", JSON, "1", 503),
        ("POST /users/u-1", JSON, "2", 200),
        ("POST /users/u-1", &gzip, "x", 415),
        ("PUT /own", "", "", 401),
        ("DELETE /own", "", "", 405),
        ("GET /nothing", "", "", 404),
        ("GET /health/live", "", "", 200),
        (&picture, "", "", 200),
    ] {
        let answer = served.ask(line, &format!("{OURS}{headers}"), body).await;
        has(&answer, status, "access-control-allow-origin: https://app.example");
        let exposed = listed(&answer, "access-control-expose-headers");
        let head = answer.split("\r\n\r\n").next().unwrap_or_default();
        for (name, _) in head.lines().filter_map(|line| line.split_once(": ")) {
            let known =
                READ_ANYWAY.contains(&name) || NOT_FOR_PAGES.contains(&name) || name.starts_with("access-control-");
            assert!(
                known || exposed.iter().any(|exposed| exposed == name),
                "{name} of {answer}"
            );
        }
    }
}
