//! Every mistake in a configuration is named, all at once, by `sandman check` and by `sandman run`.

use anyhow::ensure;
use sandman_tests::{Behaviour, Ended, Handler, Result, World, echo, guest, shipped_guest};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("every_bad_setting_is_named", every_bad_setting).without_broker(),
    Behaviour::new("all_mistakes_are_named_at_once", all_at_once).without_broker(),
    Behaviour::new("bad_components_are_named", bad_components).without_broker(),
    Behaviour::new("bad_variables_are_named", bad_variables).without_broker(),
    Behaviour::new("a_good_configuration_is_checked_without_a_broker", good).without_broker(),
    Behaviour::new(
        "mistakes_of_settings_and_of_components_are_named_in_one_round",
        one_round,
    )
    .without_broker(),
    Behaviour::new(
        "kafka_options_that_make_no_client_are_named_with_all_other_mistakes",
        options_with_others,
    )
    .without_broker(),
    Behaviour::new("a_key_that_no_consumed_payload_can_have_is_warned_of", key_nowhere).without_broker(),
    Behaviour::new(
        "a_folder_of_compiled_code_that_cannot_be_used_is_named_by_its_key",
        compiled,
    )
    .without_broker(),
];

const TOPIC: &str = "dreamscape.thing.happened";

/// A line of the configuration that is wrong, and words that the report has.
const BAD: &[(&str, &str, &[&str])] = &[
    ("host.workers", "0", &["host.workers", "from 1 to"]),
    ("host.wrokers", "8", &["host.wrokers", "did you mean `workers`"]),
    ("host.grace", "\"20\"", &["host.grace", "duration"]),
    ("host.log", "\"xml\"", &["host.log", "\"text\", \"json\""]),
    ("kafka.brokers", "\"localhost\"", &["kafka.brokers", "host:port"]),
    ("kafka.partitions", "0", &["kafka.partitions", "from 1"]),
    ("kafka.options.acks", "1", &["kafka.options.acks", "fixed"]),
    (
        "kafka.options.\"isolation.level\"",
        "\"read_uncommitted\"",
        &["isolation.level", "fixed"],
    ),
    (
        "kafka.options.\"transaction.timeout.ms\"",
        "1000",
        &["kafka.options", "`transaction.timeout.ms`", "`message.timeout.ms`"],
    ),
    (
        "kafka.options.\"session.timeout.ms\"",
        "90000",
        &["kafka.options", "`session.timeout.ms`", "`max.poll.interval.ms`"],
    ),
    (
        "kafka.options.\"receive.message.max.bytes\"",
        "1000",
        &["kafka.options", "`receive.message.max.bytes`"],
    ),
    ("kafka.sasl", "{}", &["kafka.sasl", "KAFKA_SASL_USERNAME"]),
    ("store.url", "\"mysql:x\"", &["store.url", "sqlite:PATH"]),
    ("uploads.url", "\"ftp:x\"", &["uploads.url", "file:PATH"]),
    ("http.listen", "\"3002\"", &["http.listen", "IP address and a port"]),
    (
        "admin.listen",
        "\"0.0.0.0:3902\"",
        &["admin.listen", "SANDMAN_ADMIN_TOKEN"],
    ),
    ("hosts.source", "\"x\"", &["hosts", "did you mean `host`"]),
    (
        "handlers.echo.limits",
        r#"{ time = "2h" }"#,
        &["handlers.echo.limits.time", "from 1ms"],
    ),
    (
        "handlers.echo.limits",
        r#"{ memory = "1" }"#,
        &["handlers.echo.limits.memory", "KiB"],
    ),
    (
        "handlers.echo.limits",
        "{ event = 3 }",
        &["handlers.echo.limits.event", "did you mean `events`"],
    ),
    (
        "handlers.echo.retry",
        "{ attempts = 0 }",
        &["handlers.echo.retry.attempts", "from 1"],
    ),
    (
        "handlers.echo.retry",
        r#"{ first = "2m", max = "1m" }"#,
        &["handlers.echo.retry.max", "shorter than first"],
    ),
    (
        "handlers.echo.instances",
        "\"pooled\"",
        &["handlers.echo.instances", "\"fresh\", \"reused\""],
    ),
    (
        "handlers.echo.topic",
        "[]",
        &["handlers.echo.topic", "did you mean `topics`"],
    ),
    (
        "routes",
        "[{ method = \"PUT\", path = \"users\" }]",
        &["routes[0].path", "routes[0].handlers"],
    ),
];

fn both(world: &World, toml: &str, variables: &[(&str, &str)]) -> Result<[Ended; 2]> {
    let run = |command| world.sandman(&[command, "--config", "sandman.toml"], toml, variables);
    Ok([run("check")?, run("run")?])
}

/// Refused by both commands, with exit code 1 and all of the words on stderr.
fn refused(world: &World, toml: &str, variables: &[(&str, &str)], words: &[&str]) -> Result {
    for ended in both(world, toml, variables)? {
        ensure!(
            ended.code() == 1,
            "{} for {words:?}: {}{}",
            ended.status,
            ended.stdout,
            ended.stderr
        );
        ensure!(!ended.stdout.contains("ready"), "it said that it was ready");
        for word in words {
            ensure!(ended.stderr.contains(word), "nothing of {word:?} in:\n{}", ended.stderr);
        }
    }
    Ok(())
}

fn every_bad_setting(world: &World) -> Result {
    for (key, value, words) in BAD {
        let handler = echo(&[&TOPIC.to_owned()])?;
        let settings = world.settings_without_broker();
        let toml = match key.strip_prefix("handlers.echo.") {
            Some(key) => settings.handler(handler.set(key, value)).text(),
            None => settings.set(key, value).handler(handler).text(),
        };
        refused(world, &toml, &[], words)?;
    }
    refused(world, "[host\nsource = 1", &[], &["line 1, column"])
}

fn all_at_once(world: &World) -> Result {
    let settings = world
        .settings_without_broker()
        .without("host.source")
        .set("host.workers", "\"many\"")
        .set("kafka.partitons", "3")
        .handler(echo(&[])?.set("instances", "\"pooled\""));
    let words = [
        "4 mistakes",
        "host.source",
        "host.workers",
        "did you mean `partitions`",
        "handlers.echo.instances",
    ];
    refused(world, &settings.text(), &[], &words)
}

fn bad_components(world: &World) -> Result {
    let topic = TOPIC.to_owned();
    let with = |handler: Handler| world.settings_without_broker().handler(handler).text();
    let file = |name: &str, bytes: &[u8]| -> Result<Handler> {
        let path = world.folder().join(name);
        std::fs::write(&path, bytes)?;
        Ok(Handler::new("broken", &path).consumes(&[&topic]))
    };
    let missing = Handler::new("missing", &world.folder().join("nowhere.wasm")).consumes(&[&topic]);
    refused(
        world,
        &with(missing),
        &[],
        &["handlers.missing", "nowhere.wasm", "sandman build"],
    )?;
    let garbage = with(file("garbage.wasm", b"not wasm at all")?);
    refused(world, &garbage, &[], &["broken", "WebAssembly component"])?;
    let module = with(file("module.wasm", b"\0asm\x01\0\0\0")?);
    refused(world, &module, &[], &["broken", "WebAssembly component"])?;
    let empty = with(file("empty.wasm", &wat::parse_str("(component)")?)?);
    refused(world, &empty, &[], &["broken", "does not export"])?;
    let ungranted = echo(&[&topic])?.emits(&["thing.counted"]);
    refused(world, &with(ungranted), &[], &["handlers.echo", "emits `thing.echoed`"])?;
    let both = with(Handler::new("echo", &guest("echo")?).consumes(&[&topic]));
    refused(world, &both, &[], &["emits `thing.counted`", "emits `thing.echoed`"])
}

fn bad_variables(world: &World) -> Result {
    let toml = world
        .settings_without_broker()
        .handler(echo(&[&TOPIC.to_owned()])?)
        .text();
    let bad: &[(&str, &str, &[&str])] = &[
        (
            "SANDMAN_HOST__WORKERS",
            "many",
            &["host.workers", "SANDMAN_HOST__WORKERS"],
        ),
        (
            "SANDMAN_HOST__WORKRES",
            "3",
            &["host.workres", "did you mean `workers`"],
        ),
        (
            "SANDMAN_HANDLERS__ECHO__LIMITS__TIME",
            "2h",
            &["handlers.echo.limits.time", "from 1ms"],
        ),
        ("KAFKA_BROKERS", "nowhere", &["KAFKA_BROKERS", "host:port"]),
        ("KAFKA_SSL", "perhaps", &["KAFKA_SSL"]),
        ("KAFKA_SASL_USERNAME", "ada", &["KAFKA_SASL_PASSWORD"]),
    ];
    for (name, value, words) in bad {
        refused(world, &toml, &[(name, value)], words)?;
    }
    Ok(())
}

fn good(world: &World) -> Result {
    let toml = world
        .settings_without_broker()
        .handler(echo(&[&TOPIC.to_owned()])?)
        .text();
    let ended = world.sandman(&["check", "--config", "sandman.toml"], &toml, &[])?;
    ensure!(ended.code() == 0, "{}: {}", ended.status, ended.stderr);
    for word in ["echo", "no mistakes"] {
        ensure!(ended.stdout.contains(word), "nothing of {word:?} in {}", ended.stdout);
    }
    // Whoever checks need not be the user that the host runs as.
    let left = world.folder().join("data");
    ensure!(!left.exists(), "the check has left {} behind", left.display());
    Ok(())
}

fn one_round(world: &World) -> Result {
    let topic = TOPIC.to_owned();
    let missing = |name: &str| Handler::new(name, &world.folder().join("nowhere.wasm")).consumes(&[&topic]);
    let toml = world
        .settings_without_broker()
        .set("host.workers", "0")
        .handler(echo(&[&topic])?)
        .handler(missing("missing"))
        .handler(missing("mistaken").set("instances", "\"pooled\""))
        .text();
    let ended = world.sandman(&["check", "--config", "sandman.toml"], &toml, &[])?;
    ensure!(ended.code() == 1, "{}", ended.status);
    let (good, bad) = (&ended.stdout, &ended.stderr);
    for word in [
        "3 mistakes",
        "host.workers",
        "handlers.missing.component",
        "handlers.mistaken.instances",
    ] {
        ensure!(bad.contains(word), "nothing of {word:?} in:\n{bad}");
    }
    ensure!(
        !bad.contains("handlers.mistaken.component"),
        "its own keys first:\n{bad}"
    );
    ensure!(good.contains("handler echo:"), "the good one is not told of:\n{good}");
    Ok(())
}

fn compiled(world: &World) -> Result {
    let settings = world
        .settings_without_broker()
        .set("host.compiled", "\"sandman.toml/compiled\"")
        .handler(echo(&[&TOPIC.to_owned()])?);
    let ended = world.host_that_ends("", &settings)?;
    ensure!(ended.code() == 1, "{}", ended.status);
    for word in ["host.compiled", "sandman.toml/compiled"] {
        ensure!(ended.stderr.contains(word), "nothing of {word:?} in:\n{}", ended.stderr);
    }
    Ok(())
}

fn options_with_others(world: &World) -> Result {
    let toml = world
        .settings_without_broker()
        .set("host.workers", "0")
        .set("kafka.options.\"session.timeout.ms\"", "90000")
        .set("kafka.options.\"ssl.ca.location\"", "\"/nowhere/ca.pem\"")
        .handler(echo(&[&TOPIC.to_owned()])?)
        .text();
    let variables = [
        ("KAFKA_SSL", "true"),
        ("KAFKA_SASL_USERNAME", " "),
        ("KAFKA_SASL_PASSWORD", "x"),
    ];
    refused(
        world,
        &toml,
        &variables,
        &[
            "4 mistakes",
            "host.workers",
            "`session.timeout.ms`",
            "/nowhere/ca.pem",
            "is empty",
        ],
    )
}

fn key_nowhere(world: &World) -> Result {
    let check = |key: &str| {
        let handler = Handler::new("profile", &shipped_guest("profile")?)
            .consumes(&[&TOPIC.to_owned()])
            .emits(&["user.updated", "user.profile.updated"])
            .set("key", &format!("\"{key}\""));
        let toml = world.settings_without_broker().handler(handler).text();
        let ended = world.sandman(&["check", "--config", "sandman.toml"], &toml, &[])?;
        ensure!(ended.code() == 0, "{}: {}", ended.status, ended.stderr);
        Ok(ended.stderr)
    };
    for key in ["payload:/userIdd", "payload:/userId/x"] {
        let said = check(key)?;
        for word in [
            "handlers.profile.key",
            "`user.created`",
            key.trim_start_matches("payload:"),
        ] {
            ensure!(said.contains(word), "nothing of {word:?} for {key}: {said}");
        }
    }
    let said = check("payload:/userId")?;
    ensure!(!said.contains("handlers.profile.key"), "{said}");
    Ok(())
}
