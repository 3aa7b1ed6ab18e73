//! What clients, proxies, probes and pages of the field send is taken, or refused by the status that tells them why.

use anyhow::ensure;
use sandman_tests::{Ask, Behaviour, Client, DreamScape, Form, Result, User, World};
use serde_json::json;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("uploads_are_taken_however_a_client_names_the_file", named_files),
    Behaviour::new("bodies_that_are_encoded_are_refused_with_415", encoded),
    Behaviour::new(
        "probes_without_a_host_and_pages_with_tracing_are_served",
        probes_and_pages,
    ),
];

/// How clients write the parameters of a file's disposition.
const NAMED: &[&str] = &[
    "name=\"avatar\"; filename*=UTF-8''m%C3%A9.png",
    "name=\"avatar\"; filename=\"me.png\"; filename*=UTF-8''m%C3%A9.png",
    "Name=\"avatar\"; FileName=\"me.png\"",
    "name=avatar; filename=me.png",
    "filename=\"a; name=b.png\"; name=\"avatar\"",
    "name=\"avatar\"; filename*0=\"a long \"; filename*1=\"name.png\"",
];

fn member(app: &DreamScape<'_>) -> Result<User> {
    let user = app.user("ada")?;
    user.create(&json!({ "firstName": "Ada", "lastName": "Lovelace" }))?
        .has(201)?;
    Ok(user)
}

fn named_files(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let user = member(&app)?;
    for named in NAMED {
        let form = Form::default().part(named, Form::PNG);
        let reply = user.picture(&form)?;
        ensure!(reply.status == 200, "{named}: {} {}", reply.status, reply.text());
        let url = reply.json()["avatar"].as_str().unwrap_or_default().to_owned();
        ensure!(
            user.client().get(&url)?.body == Form::PNG,
            "{named}: {url} is not the picture"
        );
    }
    ensure!(app.uploads()?.len() == NAMED.len(), "{:?}", app.uploads()?);
    Ok(())
}

fn encoded(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let user = member(&app)?;
    let zipped: &[u8] = b"\x1F\x8B\x08\x00\x00\x00\x00\x00";
    let json = "application/json";
    let forms = Form::media_type();
    let latin = Form::default().part(
        "name=\"note\"\r\nContent-Type: text/plain; charset=iso-8859-1",
        b"caf\xE9",
    );
    let avatar = format!("{}/avatar", user.path());
    let compressed = |ask: Ask| ask.header("Content-Encoding", "gzip");
    let before = user.settings()?.has(200)?;
    for (ask, word) in [
        (
            compressed(Ask::new("POST", &user.path()).body(json, zipped)),
            "compressed",
        ),
        (compressed(Ask::new("POST", &avatar).body(&forms, zipped)), "compressed"),
        (
            Ask::new("POST", &user.path()).body(json, b"{\"firstName\":\"Andr\xE9\"}"),
            "UTF-8",
        ),
        (
            Ask::new("POST", &user.path()).body("application/json; charset=utf-16", b"{}"),
            "UTF-8",
        ),
        (Ask::new("POST", &avatar).body(&forms, &latin.bytes()), "UTF-8"),
    ] {
        let reply = user.client().ask(&ask)?;
        reply.refuses(415, &[word])?;
        let offered = reply.header("Accept-Encoding");
        ensure!(
            (word == "compressed") == (offered == "identity"),
            "{word}: Accept-Encoding {offered:?}"
        );
    }
    let deploy = Ask::new("POST", "/v1/handlers/profile/versions").body("application/wasm", zipped);
    let reply = app.host().operator().ask(&compressed(deploy))?;
    reply.refuses(415, &["compressed"])?;
    user.settings()?.is(200, &before)?;
    ensure!(app.uploads()?.is_empty(), "left behind: {:?}", app.uploads()?);
    Ok(())
}

fn probes_and_pages(world: &World) -> Result {
    let app = DreamScape::start_with(world, &[("SANDMAN_HTTP__CORS", "https://app.example")])?;
    for client in [app.client()?, Client::new(app.host().admin())] {
        for path in ["/health", "/health/live", "/health/ready"] {
            client
                .raw(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?
                .has(200)?;
        }
    }
    let headers = "authorization,baggage,content-type,sentry-trace,traceparent,tracestate,x-b3-traceid";
    let asked = Ask::new("OPTIONS", "/api/v1/users/profile")
        .header("Origin", "https://app.example")
        .header("Access-Control-Request-Method", "PUT")
        .header("Access-Control-Request-Headers", headers);
    let reply = app.client()?.ask(&asked)?;
    ensure!(
        (200..300).contains(&reply.status),
        "a preflight is answered {}",
        reply.status
    );
    ensure!(
        reply.header("Access-Control-Allow-Origin") == "https://app.example",
        "{reply:?}"
    );
    ensure!(reply.header("Access-Control-Allow-Headers") == headers, "{reply:?}");
    Ok(())
}
