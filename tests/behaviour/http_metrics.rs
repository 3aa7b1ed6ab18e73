//! Operators see how the routes do, and nobody who uses them.

use anyhow::ensure;
use sandman_tests::{Behaviour, DreamScape, Form, OWN, Result, World};
use serde_json::json;

pub const BEHAVIOURS: &[Behaviour] = &[Behaviour::new("requests_and_uploads_are_measured_by_route", by_route)];

const USER: &str = "user-4711-with-a-name";

fn by_route(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let user = app.user(USER)?;
    user.create(&json!({ "firstName": "Ada", "lastName": "Lovelace" }))?
        .has(201)?;
    user.create(&json!({ "firstName": "Ada", "lastName": "Lovelace" }))?
        .has(409)?;
    for seat in ["aisle", "window", "roof"] {
        user.put(&json!({ "travelPreferences": { "seatPreference": seat } }))?;
    }
    user.picture(&Form::avatar(Form::GIF))?.has(200)?;
    user.picture(&Form::avatar(b"<svg>"))?.has(400)?;
    app.client()?.get(&format!("/{USER}"))?.has(404)?;

    let metrics = app.host().metrics()?;
    let (of_user, avatar) = (format!("{OWN}/{{userId}}"), format!("{OWN}/{{userId}}/avatar"));
    for (method, route, status, count) in [
        ("POST", of_user.as_str(), "2xx", 1.0),
        ("POST", &of_user, "4xx", 1.0),
        ("PUT", OWN, "2xx", 2.0),
        ("PUT", OWN, "4xx", 1.0),
        ("POST", &avatar, "2xx", 1.0),
        ("POST", &avatar, "4xx", 1.0),
        ("GET", OWN, "2xx", 0.0),
        ("other", "other", "4xx", 1.0),
    ] {
        let labels = [("method", method), ("route", route), ("status", status)];
        let found = metrics.sum("sandman_http_requests_total", &labels);
        ensure!(
            found == Some(count),
            "{method} {route} {status}: {found:?}, not {count}"
        );
    }
    let timed = metrics.sum(
        "sandman_http_request_seconds_count",
        &[("route", OWN), ("method", "PUT")],
    );
    ensure!(timed == Some(3.0), "{timed:?} requests were timed");
    let bytes = metrics.sum("sandman_upload_bytes_total", &[]);
    ensure!(bytes == Some(Form::GIF.len() as f64), "{bytes:?} bytes were uploaded");
    let rejected = metrics.sum("sandman_upload_rejections_total", &[("reason", "kind")]);
    ensure!(rejected == Some(1.0), "{rejected:?} uploads were rejected");
    ensure!(
        metrics.sum("sandman_http_connections", &[]) >= Some(1.0),
        "the client's connection is not shown"
    );
    ensure!(!metrics.text().contains(USER), "the metrics show a user");
    Ok(())
}
