//! What is measured of requests: by route, whatever the path.

use super::{JSON, Served, has, ok, reply, serve, serve_with};

const FORM: &str = "Content-Type: multipart/form-data; boundary=XX\r\n";

fn form(content: &str) -> String {
    format!("--XX\r\nContent-Disposition: form-data; name=\"avatar\"; filename=\"a\"\r\n\r\n{content}\r\n--XX--\r\n")
}

#[track_caller]
fn shows(served: &Served, lines: &[&str]) {
    let text = served.meters.render();
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line} is missing in\n{text}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_class_and_never_by_path() {
    let served = serve_with("", |work| {
        Some(if &*work.key == "u-409" { reply(409, "{}") } else { ok() })
    })
    .await;
    for user in ["u-1", "u-2", "u-409"] {
        served.ask(&format!("POST /users/{user}"), JSON, "{}").await;
    }
    served.ask("GET /own", "", "").await;
    served.ask("BREW /secret-user", "", "").await;
    served.ask("GET /healthy", "", "").await;
    served.ask("GET /health/live", "", "").await;
    served.ask("GET /uploads/avatars/avatar-1-x.png", "", "").await;
    shows(
        &served,
        &[
            "sandman_http_requests_total{method=\"POST\",route=\"/users/{userId}\",status=\"2xx\"} 2",
            "sandman_http_requests_total{method=\"POST\",route=\"/users/{userId}\",status=\"4xx\"} 1",
            "sandman_http_requests_total{method=\"GET\",route=\"/own\",status=\"4xx\"} 1",
            "sandman_http_requests_total{method=\"other\",route=\"other\",status=\"4xx\"} 2",
            "sandman_http_requests_total{method=\"GET\",route=\"/health\",status=\"2xx\"} 1",
            "sandman_http_requests_total{method=\"GET\",route=\"/uploads/\",status=\"4xx\"} 1",
            "sandman_http_request_seconds_count{method=\"POST\",route=\"/users/{userId}\"} 3",
        ],
    );
    let text = served.meters.render();
    assert!(!text.contains("u-1") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn a_request_that_gets_no_answer_in_time_counts_for_its_route() {
    let served = serve_with("timeout = \"200ms\"", |_| None).await;
    has(&served.ask("POST /users/u-1", JSON, "{}").await, 503, "");
    shows(
        &served,
        &["sandman_http_requests_total{method=\"POST\",route=\"/users/{userId}\",status=\"5xx\"} 1"],
    );
}

#[tokio::test]
async fn uploads_are_counted_with_their_bytes_and_why_they_were_not_taken() {
    let served = serve_with("upload = \"1KiB\"", |work| {
        Some(if &*work.key == "u-404" { reply(404, "{}") } else { ok() })
    })
    .await;
    let good = form("GIF89a!");
    served.ask("POST /users/u-1/avatar", FORM, &good).await;
    served.ask("POST /users/u-404/avatar", FORM, &good).await;
    served.ask("POST /users/u-1/avatar", FORM, form("<svg>")).await;
    served
        .ask(
            "POST /users/u-1/avatar",
            FORM,
            form(&format!("GIF89a{}", "x".repeat(1024))),
        )
        .await;
    served.ask("POST /users/u-1/avatar", FORM, "--XX").await;
    // JSON on a route that takes forms is no upload.
    served.ask("POST /users/u-1/avatar", JSON, "{").await;
    shows(
        &served,
        &[
            "sandman_uploads_total 2",
            "sandman_upload_bytes_total 14",
            "sandman_upload_rejections_total{reason=\"request\"} 1",
            "sandman_upload_rejections_total{reason=\"kind\"} 1",
            "sandman_upload_rejections_total{reason=\"size\"} 1",
            "sandman_upload_rejections_total{reason=\"form\"} 1",
            "sandman_upload_rejections_total{reason=\"store\"} 0",
        ],
    );
}

#[tokio::test]
async fn open_connections_are_shown_until_they_end() {
    let served = serve().await;
    let stream = tokio::net::TcpStream::connect(served.address)
        .await
        .expect("a connection");
    let open = |served: &Served, count: u32| {
        let line = format!("sandman_http_connections {count}");
        served.meters.render().lines().any(|found| found == line)
    };
    while !open(&served, 1) {
        tokio::task::yield_now().await;
    }
    drop(stream);
    while !open(&served, 0) {
        tokio::task::yield_now().await;
    }
}
