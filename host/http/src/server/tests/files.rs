//! Uploads: what is stored, under which name, when it goes again, and how it is served.

use std::fs;
use std::path::PathBuf;

use super::{Served, has, ok, reply, serve, serve_with};
use sandman_core::store::FileStore as _;
use sandman_core::work::Answer;

const FORM: &str = "Content-Type: multipart/form-data; boundary=XX\r\n";
const PNG: &[u8] = b"\x89PNG\r\n\x1A\nand little else";

fn form(field: &str, name: &str, content: &[u8]) -> Vec<u8> {
    let head = format!(
        "--XX\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\nContent-Type: image/svg+xml\r\n\r\n"
    );
    [head.as_bytes(), content, b"\r\n--XX--\r\n"].concat()
}

fn avatar(content: &[u8]) -> Vec<u8> {
    form("avatar", "me.png", content)
}

async fn upload(served: &Served, body: Vec<u8>) -> String {
    served.ask("POST /users/u-1/avatar", FORM, body).await
}

/// Every file in the folder of uploads.
fn stored(served: &Served) -> Vec<PathBuf> {
    let mut folders = vec![served.folder.path().join("data/uploads")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path)
            } else {
                files.push(path)
            }
        }
    }
    files
}

#[tokio::test]
async fn an_upload_is_stored_under_our_name_and_served() {
    let served = serve().await;
    has(
        &upload(&served, form("avatar", "../../../evil.html", PNG)).await,
        200,
        "done",
    );
    let file = served.last().files.pop().expect("a file");
    assert_eq!((file.field.as_str(), file.media_type.as_str()), ("avatar", "image/png"));
    assert_eq!((file.size, file.digest), (PNG.len() as u64, sandman_core::digest(PNG)));
    let name = file.url.strip_prefix("/uploads/avatars/avatar-").expect("our path");
    let (millis, random) = name
        .strip_suffix(".png")
        .and_then(|name| name.split_once('-'))
        .expect("our name");
    assert!(
        millis.len() == 13 && millis.parse::<u64>().is_ok() && random.len() == 32,
        "{name}"
    );
    assert_eq!(stored(&served).len(), 1);
    let listed = served.store.take_unnamed_files(i64::MAX, 2).expect("a store");
    assert_eq!(listed, [format!("avatar-{name}")], "no state names it yet");
    let answer = served.ask(&format!("GET {}", file.url), "", "").await;
    has(&answer, 200, "and little else");
    for header in [
        "content-type: image/png",
        "x-content-type-options: nosniff",
        "cache-control: public, max-age=31536000, immutable",
        "content-security-policy: default-src 'none'; sandbox",
        "x-correlation-id: ",
    ] {
        has(&answer, 200, header);
    }
    has(
        &served.ask(&format!("DELETE {}", file.url), "", "").await,
        405,
        "allow: GET, HEAD",
    );
    let head = served.ask(&format!("HEAD {}", file.url), "", "").await;
    has(&head, 200, "content-length: 23");
    assert!(!head.contains("little else"), "{head}");
}

#[tokio::test]
async fn a_file_that_a_client_has_is_not_sent_again() {
    let served = serve().await;
    upload(&served, avatar(PNG)).await;
    let file = served.last().files.pop().expect("a file");
    let answer = served.ask(&format!("GET {}", file.url), "", "").await;
    let tag = answer
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .expect("a tag");
    let answer = served
        .ask(&format!("GET {}", file.url), &format!("If-None-Match: {tag}\r\n"), "")
        .await;
    has(&answer, 304, "");
    for (known, status) in [
        (format!("W/{tag}"), 304),
        (format!("\"a\", {tag}"), 304),
        (format!("\"a\"\r\nIf-None-Match: W/{tag}, \"b\""), 304),
        ("*".to_owned(), 304),
        (tag.trim_matches('"').to_owned(), 200),
        (format!("w/{tag}"), 200),
        ("\"a\"".to_owned(), 200),
    ] {
        let headers = format!("If-None-Match: {known}\r\n");
        has(
            &served.ask(&format!("GET {}", file.url), &headers, "").await,
            status,
            "etag: ",
        );
    }
}

#[tokio::test]
async fn nothing_outside_of_the_folder_is_served() {
    let served = serve().await;
    fs::write(served.folder.path().join("data/secret.png"), PNG).expect("a file");
    for path in [
        "/uploads/../secret.png",
        "/uploads/%2e%2e/secret.png",
        "/uploads/avatars/../../secret.png",
        "/uploads/avatars/..%2f..%2fsecret.png",
        "/uploads/avatars%2f../secret.png",
        "/uploads//etc/passwd",
        "/uploads/",
        "/uploads/avatars",
        "/uploads/avatars/",
        "/uploads/avatars/avatar-1-2.png",
    ] {
        let answer = served.ask(&format!("GET {path}"), "", "").await;
        has(&answer, 404, "{\"error\":");
    }
}

#[tokio::test]
async fn what_is_no_good_upload_is_refused_and_leaves_nothing() {
    let served = serve_with("upload = \"4KiB\"", |_| Some(ok())).await;
    has(
        &upload(&served, avatar(b"<svg onload=alert(1)>")).await,
        400,
        "not a jpeg, png or gif",
    );
    has(&upload(&served, avatar(b"")).await, 400, "not a jpeg, png or gif");
    let large = [PNG, &[0; 4096]].concat();
    has(&upload(&served, avatar(&large)).await, 413, "larger than 4096 bytes");
    has(
        &upload(&served, vec![b'x'; 200 << 10]).await,
        413,
        "{\"error\":\"the body is larger",
    );
    let whole = avatar(PNG);
    has(
        &upload(&served, whole[..whole.len() - 6].to_vec()).await,
        400,
        "the form cannot be read",
    );
    has(
        &upload(&served, form("photo", "a.png", PNG)).await,
        400,
        "accepts no file",
    );
    has(
        &served.ask("POST /users/u-1", FORM, whole).await,
        415,
        "forms are not accepted here",
    );
    assert_eq!((served.count(), stored(&served).len()), (0, 0));
    // The handler says what a form without its file is.
    has(&upload(&served, b"--XX--\r\n".to_vec()).await, 200, "done");
    assert!(served.last().files.is_empty());
}

#[tokio::test]
async fn the_file_goes_again_unless_its_request_committed() {
    let unkept = [
        reply(404, "{}"),
        Answer::Busy,
        Answer::Unavailable("the disk is full".to_owned()),
        Answer::Failed("a bug".to_owned()),
        Answer::IdempotencyMismatch,
        Answer::Replayed {
            status: 200,
            body: None,
        },
    ];
    for answer in unkept {
        let given = answer.clone();
        let served = serve_with("", move |_| Some(given.clone())).await;
        upload(&served, avatar(PNG)).await;
        assert_eq!(served.last().files.len(), 1);
        assert_eq!(stored(&served), Vec::<PathBuf>::new(), "{answer:?}");
    }
}

#[tokio::test]
async fn the_file_goes_even_if_the_client_has_gone() {
    let served = serve_with("timeout = \"500ms\"", |_| None).await;
    has(&upload(&served, avatar(PNG)).await, 503, "there was no answer in time");
    let waiting = served.waiting().await;
    assert_eq!(stored(&served).len(), 1);
    waiting.send(reply(409, "{}")).expect("somebody still listens");
    served.stop.send(true).expect("a server that listens");
    // The server ends after the request did.
    let Served { task, folder, .. } = served;
    task.await.expect("no panic");
    let left = fs::read_dir(folder.path().join("data/uploads/avatars"))
        .expect("a folder")
        .count();
    assert_eq!(left, 0);
}
