//! The API's routes: who may call them, what they are answered, and the document about them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::api::{OPENAPI, routes};
use super::*;

async fn post(served: &Served, path: &str, headers: &str, body: &[u8]) -> String {
    let (host, length) = (served.address, body.len());
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    let mut stream = TcpStream::connect(served.address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("a request");
    stream.write_all(body).await.expect("a body");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_document_has_every_route_and_no_other() {
    let document: Value = serde_json::from_str(OPENAPI).expect("a document");
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let methods = item.as_object().expect("methods").keys();
        documented.extend(
            methods
                .filter(|key| *key != "parameters")
                .map(|method| format!("{method} {path}")),
        );
    }
    let served = routes().into_iter().map(|(method, path, _)| format!("{method} {path}"));
    let health = ["get /health", "get /health/live", "get /health/ready"].map(str::to_owned);
    assert_eq!(documented, served.chain(health).collect());
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    let document: Value = serde_json::from_str(OPENAPI).expect("a document");
    let references = OPENAPI
        .split("\"$ref\": \"#")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    let mut count = 0;
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
        count += 1;
    }
    assert!(count > 20, "only {count} references found");
}

#[tokio::test]
async fn every_route_of_the_document_is_served_and_needs_a_token() {
    let served = serve(Some("right")).await;
    for (method, path, _) in routes() {
        let path = path
            .replace("{name}", "echo")
            .replace("{id}", "1")
            .replace("{number}", "1")
            .replace("{job}", "1");
        let request = format!(
            "{} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 0\r\n",
            method.to_uppercase(),
            served.address
        );
        for wrong in ["", "Authorization: Bearer wrong\r\n", "Authorization: Bearer \r\n"] {
            has(&raw(&served, &format!("{request}{wrong}\r\n")).await, 401, "Bearer");
        }
        let origin = "Authorization: Bearer right\r\nOrigin: http://evil.example\r\n";
        has(&raw(&served, &format!("{request}{origin}\r\n")).await, 403, "origins");
        let answer = raw(&served, &format!("{request}Authorization: Bearer right\r\n\r\n")).await;
        assert!(
            // Some are for those who may read data.
            !answer.contains(" 401 ")
                && !answer.contains(" 404 ")
                && (!answer.contains(" 403 ") || answer.contains("read-data")),
            "{method} {path}: {answer}"
        );
    }
    has(
        &ask(&served, "/openapi.json", "Authorization: Bearer right\r\n").await,
        200,
        "3.1.0",
    );
}

#[tokio::test]
async fn orders_are_carried_out_in_the_name_of_the_token() {
    let control = Arc::new(Fake::default());
    let served = serve_with(&[("admin", "one"), ("ci", "two")], Arc::clone(&control)).await;
    let (one, two) = ("Authorization: Bearer one\r\n", "Authorization: Bearer two\r\n");
    let deployed = post(&served, "/v1/handlers/echo/versions", two, &[7; 1_000]).await;
    has(&deployed, 200, "application/x-ndjson");
    assert!(
        deployed.contains("\"stage\":\"received\"") && deployed.contains("\"outcome\":\"active\""),
        "{deployed}"
    );
    has(
        &post(&served, "/v1/handlers/echo/rollback", one, b"{\"to\": 3}").await,
        422,
        "refused",
    );
    has(
        &post(&served, "/v1/handlers/echo/rollback", one, b"").await,
        422,
        "refused",
    );
    let forced = b"{\"force\": true}";
    has(
        &post(&served, "/v1/handlers/echo/rollback", one, forced).await,
        422,
        "refused",
    );
    for (query, status, says) in [("?force=true", 200, "active"), ("?force=yes", 400, "force=true")] {
        let path = format!("/v1/handlers/echo/versions{query}");
        has(&post(&served, &path, one, b"x").await, status, says);
    }
    has(
        &post(&served, "/v1/handlers/echo/rollback", one, b"{\"too\": 3}").await,
        400,
        "too",
    );
    has(&post(&served, "/v1/reload", one, b"").await, 422, "host.sorce");
    assert_eq!(
        *control.ordered.lock(),
        [
            "deploy by ci: Some(1000)",
            "rollback by admin: Some(3)",
            "rollback by admin: None",
            "rollback by admin with force: None",
            "deploy by admin with force: Some(1)",
            "reload by admin"
        ]
    );
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_before_anything_is_ordered() {
    let control = Arc::new(Fake::default());
    let served = serve_with(&[], Arc::clone(&control)).await;
    has(
        &post(&served, "/v1/handlers/ehco/versions", "", b"x").await,
        404,
        "there are: echo",
    );
    has(
        &post(&served, "/v1/handlers/busy/versions", "", b"x").await,
        409,
        "another deploy",
    );
    has(
        &post(&served, "/v1/handlers/busy/rollback", "", b"").await,
        409,
        "another deploy",
    );
    has(&ask(&served, "/v1/handlers/ehco/history", "").await, 404, "ehco");
    assert_eq!(control.ordered.lock().len(), 0);
    // Too large: the host is told, so that it stands in the history.
    has(
        &post(&served, "/v1/handlers/echo/versions", "", &[7; 1_001]).await,
        413,
        "outcome",
    );
    assert_eq!(*control.ordered.lock(), ["deploy by local: None"]);
}

#[tokio::test]
async fn a_body_that_is_compressed_is_refused_and_nothing_is_ordered() {
    let control = Arc::new(Fake::default());
    let served = serve_with(&[], Arc::clone(&control)).await;
    let gzip = "Content-Encoding: gzip\r\n";
    for path in ["/v1/handlers/echo/versions", "/v1/handlers/echo/rollback"] {
        let answer = post(&served, path, gzip, b"\x1F\x8B\x08").await;
        has(&answer, 415, "compressed");
        has(&answer, 415, "accept-encoding: identity");
    }
    let latin = post(&served, "/v1/handlers/echo/rollback", "", b"{\"t\xE9\": 3}").await;
    has(&latin, 415, "UTF-8");
    assert_eq!(control.ordered.lock().len(), 0);
    let plain = post(
        &served,
        "/v1/handlers/echo/versions",
        "Content-Encoding: identity\r\n",
        b"x",
    )
    .await;
    has(&plain, 200, "active");
}

#[tokio::test]
async fn what_names_nothing_is_refused_as_everything_else_is() {
    // Of somebody who may read data.
    let served = serve_with(&[("oncall", "right")], Arc::new(Fake::default())).await;
    let token = "Authorization: Bearer right\r\n";
    for path in [
        "/v1/letters/first",
        "/v1/letters/jobs/-1",
        "/v1/handlers/echo/versions/x/component",
    ] {
        has(&ask(&served, path, token).await, 400, "{\"error\":\"");
    }
    let letters = br#"{"letters": {"code": "trap.panik"}}"#;
    for path in ["search", "redrive", "cancel", "drop"] {
        let answer = post(&served, &format!("/v1/letters/{path}"), token, letters).await;
        has(&answer, 400, "there is no such code; there are: decode, ");
    }
    let dry_run = br#"{"letters": {"code": "trap.panik"}, "dryRun": true}"#;
    has(
        &post(&served, "/v1/letters/redrive", token, dry_run).await,
        400,
        "no such code",
    );
    let recordings = br#"{"handler": "echo", "query": {"code": "trap.panik"}}"#;
    has(
        &post(&served, "/v1/recordings/search", token, recordings).await,
        400,
        "no such code",
    );
    has(&post(&served, "/v1/forget", token, b"{}").await, 400, "name a key");
}

#[tokio::test]
async fn a_held_key_is_released_by_one_of_its_letters() {
    let control = Arc::new(Fake::default());
    let served = serve_with(&[], Arc::clone(&control)).await;
    let release = async |body: &str| post(&served, "/v1/letters/release", "", body.as_bytes()).await;
    for (body, status, words) in [
        ("{}", 400, "say which key is meant"),
        (r#"{"letter": 1, "key": "ada"}"#, 400, "say which key is meant"),
        (r#"{"letter": 9}"#, 404, "there is no dead letter 9"),
        (
            r#"{"letter": 1, "handler": "other"}"#,
            409,
            "is of echo and not of other",
        ),
    ] {
        has(&release(body).await, status, words);
    }
    assert_eq!(control.ordered.lock().len(), 0);
    let answer = release(r#"{"letter": 1, "drop": true}"#).await;
    has(&answer, 200, "keyHash");
    assert!(!answer.contains("ada"), "{answer}");
    assert_eq!(
        *control.ordered.lock(),
        ["release of Some(\"echo\"), drop true, key \"ada\""]
    );
}

#[tokio::test]
async fn options_that_exclude_each_other_or_have_no_effect_are_refused() {
    let control = Arc::new(Fake::default());
    let served = serve_with(&[], Arc::clone(&control)).await;
    for (path, body, words) in [
        (
            "released",
            r#"{"key": "ada", "keyHash": "0123", "handlers": ["echo"]}"#,
            "and not as both",
        ),
        ("released", r#"{"handlers": ["echo"]}"#, "say which key is meant"),
        (
            "redrive",
            r#"{"letters": {"handler": "echo"}, "all": true}"#,
            "exclude each other",
        ),
        ("cancel", r#"{"all": true, "dryRun": true}"#, "no \\\"dryRun\\\""),
        ("cancel", r#"{"all": true, "force": true}"#, "no \\\"force\\\""),
        ("cancel", r#"{"all": true, "through": 2}"#, "no \\\"through\\\""),
        ("drop", r#"{"all": true, "through": 2}"#, "no \\\"through\\\""),
        ("drop", r#"{"all": true, "force": true}"#, "no \\\"force\\\""),
    ] {
        let answer = post(&served, &format!("/v1/letters/{path}"), "", body.as_bytes()).await;
        has(&answer, 400, words);
    }
    assert_eq!(control.ordered.lock().len(), 0);
}
