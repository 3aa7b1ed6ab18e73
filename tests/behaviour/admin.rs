//! The admin API is for operators: not for whoever has no token, and not for web pages; and every call is written down.

use anyhow::ensure;
use sandman_tests::{Ask, Behaviour, Event, Result, World, echo, eventually, stamped};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("the_admin_api_wants_a_token_and_no_web_page", token_and_origin),
    Behaviour::new("commands_find_the_host_and_say_when_they_cannot_ask", commands),
];

const PATHS: [(&str, &str); 6] = [
    ("GET", "/v1/handlers"),
    ("GET", "/v1/handlers/echo/history"),
    ("POST", "/v1/handlers/echo/versions"),
    ("POST", "/v1/handlers/echo/rollback"),
    ("POST", "/v1/reload"),
    ("GET", "/openapi.json"),
];

fn token_and_origin(world: &World) -> Result {
    let topic = world.make_topic("thing.happened")?;
    let settings = world
        .settings()?
        .variable("SANDMAN_ADMIN_TOKEN", "the-right-one")
        .variable("SANDMAN_ADMIN__TOKENS__CI", "another-right-one")
        .handler(echo(&[&topic])?);
    let host = world.host(&settings)?;
    let client = host.operator();
    let ask = |(method, path): (&'static str, &str)| match method {
        "POST" => Ask::new(method, path).body("application/wasm", b"x"),
        _ => Ask::new(method, path),
    };
    for route in PATHS {
        client.ask(&ask(route))?.has(401)?;
        client.ask(&ask(route).token("the-wrong-one"))?.has(401)?;
        let page = ask(route)
            .token("the-right-one")
            .header("Origin", "https://evil.example");
        client.ask(&page)?.has(403)?;
    }
    let document = client
        .ask(&ask(("GET", "/openapi.json")).token("the-right-one"))?
        .has(200)?;
    ensure!(document["openapi"] == "3.1.0", "{document}");
    host.says(&["WARN", "audit", "refused", "/v1/handlers/echo/versions", "401"])?;

    let file = world.file("v2.wasm", &stamped(2)?)?;
    let deploy = ["deploy", "echo", &file, "--host", host.admin()];
    let stranger = world.command(&deploy, &[])?;
    ensure!(
        stranger.code() == 3 && stranger.stderr.contains("SANDMAN_ADMIN_TOKEN"),
        "{}",
        stranger.stderr
    );
    let ci = world.command(&deploy, &[("SANDMAN_ADMIN_TOKEN", "another-right-one")])?;
    ensure!(ci.code() == 0, "{}", ci.stderr);
    let history = ["history", "echo", "--json", "--host", host.admin()];
    let history = world.command(&history, &[("SANDMAN_ADMIN_TOKEN", "the-right-one")])?;
    let entries: serde_json::Value = serde_json::from_str(&history.stdout)?;
    ensure!(entries[0]["by"] == "ci" && entries[0]["version"] == 2, "{entries}");
    ensure!(
        entries.as_array().is_some_and(|entries| entries.len() == 2),
        "a stranger's deploy: {entries}"
    );
    host.says(&["INFO", "audit", "called", "by=\"ci\"", "/v1/handlers/echo/versions"])?;
    let log = host.terminate()?.stderr;
    ensure!(!log.contains("right-one"), "the log shows a token:\n{log}");
    Ok(())
}

fn commands(world: &World) -> Result {
    let topic = world.make_topic("thing.happened")?;
    let host = world.host(&world.settings()?.handler(echo(&[&topic])?))?;
    // The configuration says "any free port", which is no address to ask.
    let nowhere = world.command(&["handlers"], &[])?;
    ensure!(
        nowhere.code() == 3 && nowhere.stderr.contains("--host"),
        "{}",
        nowhere.stderr
    );
    let address = host.admin().trim_start_matches("http://").to_owned();
    let by_variable = world.command(&["handlers"], &[("SANDMAN_ADMIN__LISTEN", &address)])?;
    ensure!(
        by_variable.code() == 0 && by_variable.stdout.contains("echo"),
        "{}",
        by_variable.stderr
    );
    for (arguments, word) in [(&["health"][..], "ready"), (&["health", "--live"], "live")] {
        let health = world.command(&[arguments, &["--host", &address]].concat(), &[])?;
        ensure!(
            health.code() == 0 && health.stdout.trim() == word,
            "{}{}",
            health.stdout,
            health.stderr
        );
    }
    world.send(&topic, &[Event::thing("ann", 1)])?;
    let handlers = eventually("the lag is known", || {
        let json = world.command(&["handlers", "--json", "--host", &address], &[])?;
        let handlers: serde_json::Value = serde_json::from_str(&json.stdout)?;
        Ok((handlers[0]["lag"] == 0 && handlers[0]["memory"]["peak"] != 0).then_some(handlers))
    })?;
    for key in ["name", "version", "digest", "activatedAt", "rates", "lag", "memory"] {
        ensure!(!handlers[0][key].is_null(), "no {key} in {handlers}");
    }
    let history = world.command(&["history", "echo", "--host", &address], &[])?;
    ensure!(history.stdout.contains("sandman.toml"), "{}", history.stdout);
    let unknown = world.command(&["history", "ecko", "--host", &address], &[])?;
    ensure!(
        unknown.code() == 1 && unknown.stderr.contains("there are: echo"),
        "{}",
        unknown.stderr
    );
    host.terminate()?;
    world
        .command(&["health", "--host", &address], &[])?
        .says(3, &["no host answers"])?;
    let gone = world.command(&["handlers", "--host", &address], &[])?;
    ensure!(
        gone.code() == 3 && gone.stderr.contains("no host answers"),
        "{}",
        gone.stderr
    );
    Ok(())
}
