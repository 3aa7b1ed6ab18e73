//! Requests hidden in requests: whoever stands before the host, and reads them in another way, must not be fooled.

use std::io::{Read, Write};

use anyhow::ensure;
use serde_json::json;
use witness::Asked;

use crate::checker::{Fate, Verdict};
use crate::wait::PATIENCE;
use crate::{Client, Host, Result};

use super::http::{SOME, connect};
use super::vitals::Vitals;
use super::{Load, Run};

/// A way to hide a request: the bytes before it, given its length, and those after it.
type Hiding = (&'static str, fn(usize) -> String, &'static str);

const ASK: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n";

const HIDINGS: &[Hiding] = &[
    ("in a body", |n| format!("{ASK}Content-Length: {n}\r\n\r\n"), ""),
    (
        "a length and chunks",
        |n| {
            format!(
                "{ASK}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                n + 5
            )
        },
        "",
    ),
    (
        "chunks and a length",
        |n| {
            format!(
                "{ASK}Transfer-Encoding: chunked\r\nContent-Length: {}\r\n\r\n0\r\n\r\n",
                n + 5
            )
        },
        "",
    ),
    (
        "a length that ends before the chunk does",
        |n| format!("{ASK}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{n:x}\r\n"),
        "\r\n0\r\n\r\n",
    ),
    (
        "two lengths",
        |n| format!("{ASK}Content-Length: 0\r\nContent-Length: {n}\r\n\r\n"),
        "",
    ),
    (
        "a list of lengths",
        |n| format!("{ASK}Content-Length: 0, {n}\r\n\r\n"),
        "",
    ),
    (
        "a length with a sign",
        |_| format!("{ASK}Content-Length: +0\r\n\r\n"),
        "",
    ),
    ("a negative length", |_| format!("{ASK}Content-Length: -1\r\n\r\n"), ""),
    ("a length in hex", |_| format!("{ASK}Content-Length: 0x0\r\n\r\n"), ""),
    (
        "an endless length",
        |_| format!("{ASK}Content-Length: 18446744073709551616\r\n\r\n"),
        "",
    ),
    (
        "an encoding that is not known",
        |_| format!("{ASK}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        "",
    ),
    (
        "an encoding behind chunked",
        |_| format!("{ASK}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        "",
    ),
    (
        "two encodings",
        |_| format!("{ASK}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
        "",
    ),
    (
        "an encoding with a control character",
        |_| format!("{ASK}Transfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n"),
        "",
    ),
    (
        "a folded header",
        |_| format!("{ASK}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
        "",
    ),
    (
        "a space before the colon",
        |n| format!("{ASK}Content-Length : {n}\r\n\r\n"),
        "",
    ),
    (
        "a space before the first header",
        |n| format!("GET /health/live HTTP/1.1\r\n Content-Length: {n}\r\nHost: x\r\n\r\n"),
        "",
    ),
    (
        "a header after a bare line feed",
        |n| {
            format!(
                "{ASK}X: a\nTransfer-Encoding: chunked\r\nContent-Length: {}\r\n\r\n0\r\n\r\n",
                n + 5
            )
        },
        "",
    ),
    (
        "a header after a bare carriage return",
        |_| format!("{ASK}X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        "",
    ),
    ("a null", |_| format!("{ASK}X: a\0b\r\n\r\n"), ""),
    (
        "chunks in HTTP/1.0",
        |_| {
            "GET /health/live HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n"
                .to_owned()
        },
        "",
    ),
    ("HTTP/0.9", |_| "GET /health/live\r\n".to_owned(), ""),
    (
        "HTTP/9.9",
        |_| "GET /health/live HTTP/9.9\r\nHost: x\r\n\r\n".to_owned(),
        "",
    ),
    (
        "a chunk of endless size",
        |_| format!("{ASK}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff0\r\n"),
        "",
    ),
    (
        "a chunk of negative size",
        |_| format!("{ASK}Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n0\r\n\r\n"),
        "",
    ),
    (
        "chunks that bare line feeds end",
        |_| format!("{ASK}Transfer-Encoding: chunked\r\n\r\n1\nx\n0\n\n"),
        "",
    ),
    (
        "a chunk extension with a line feed in it",
        |n| format!("{ASK}Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n{n:x}\r\n"),
        "\r\n0\r\n\r\n",
    ),
];

pub(super) fn smuggling(run: &Run<'_>) -> Result<Verdict> {
    let host = run.host(&run.settings()?)?;
    run.under(&Load::default(), || {
        run.until_seen(100, PATIENCE);
        let before = Vitals::of(&host)?;
        // Two requests, one behind the other, are two.
        let (id, honest) = hidden(run);
        let said = say(&host, [format!("{ASK}\r\n").as_bytes(), &honest].concat())?;
        ensure!(answers(&said) == 2, "two honest requests were answered {said}");
        run.journal.hear(id, Fate::Acknowledged);
        for _ in 0..run.size(1, 20) {
            for (what, before, after) in HIDINGS {
                let (id, inner) = hidden(run);
                // Whoever sees it in there must not carry it out.
                run.journal.hear(id, Fate::Failed);
                let bytes = [before(inner.len()).as_bytes(), &inner, after.as_bytes()].concat();
                let said = say(&host, bytes)?;
                ensure!(answers(&said) <= 1, "{what}: answered {said}");
                Client::new(host.http()?).get("/health")?.has(200)?;
                run.fault();
            }
        }
        before.grown_by_less(&host, SOME)?;
        Ok(())
    })?;
    run.finish(host)
}

/// A request as it is to be hidden, and the id of its input.
fn hidden(run: &Run<'_>) -> (u64, Vec<u8>) {
    let (key, asked) = run.enter("smuggled", Asked::default());
    let body = json!(asked).to_string();
    let request = format!(
        "POST /work/{key} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    (asked.id, request.into_bytes())
}

/// How many requests were carried out.
fn answers(said: &str) -> usize {
    said.matches("HTTP/1.1 200 ").count() + said.matches("HTTP/1.0 200 ").count()
}

/// Everything that the host says to these bytes until it hangs up: at the latest because of what comes behind them,
/// which is no request.
fn say(host: &Host, bytes: Vec<u8>) -> Result<String> {
    let mut stream = connect(host.http()?)?;
    // It may hang up before it has read all.
    let _ = stream.write_all(&[bytes, b"\0 is no request\r\n\r\n".to_vec()].concat());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
