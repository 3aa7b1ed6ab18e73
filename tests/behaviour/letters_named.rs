//! Keys that nobody can type, or that the operator may not read, are named by what has them; and what a command is told that names
//! nothing is said in words.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, Ended, Event, Host, Result, Settings, World, eventually, hostile, numbers, strict};
use serde_json::Value;

use crate::time_travel::{ALL, run, says};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_key_that_cannot_be_typed_is_named_by_a_letter", by_letter),
    Behaviour::new("what_names_no_letter_and_no_recording_is_said_in_words", nothing),
];

/// The token of somebody who may not read what users sent, and of somebody who may.
const OPERATOR: &str = "0123456789012345678901234567890123456789";
const ONCALL: &str = "9876543210987654321098765432109876543210";

/// None of them can be an argument, or is one by mistake; the last one makes lines and colours.
const KEYS: [&str; 3] = ["", "nul\0", "esc\u{1b}[31m\u{7}\nredriven 99 times"];

fn settings(world: &World, input: &String, attempts: u32) -> Result<Settings> {
    let handler = hostile(&[input])?
        .set("exhausted", "\"hold-key\"")
        .set("record", ALL)
        .set("retry", &format!("{{ attempts = {attempts}, first = \"1ms\" }}"));
    let settings = world
        .settings()?
        .handler(handler)
        .set("admin.read_data", "[\"oncall\"]");
    let settings = settings.variable("SANDMAN_ADMIN_TOKEN", OPERATOR);
    Ok(settings.variable("SANDMAN_ADMIN__TOKENS__ONCALL", ONCALL))
}

fn with(world: &World, host: &Host, token: &str, arguments: &[&str]) -> Result<Ended> {
    let arguments = [arguments, &["--host", host.admin()]].concat();
    world.command(&arguments, &[("SANDMAN_ADMIN_TOKEN", token)])
}

fn told(world: &World, host: &Host, token: &str, arguments: &[&str]) -> Result<Value> {
    let ended = with(world, host, token, &[arguments, &["--json"]].concat())?;
    ensure!(ended.code() == 0, "{ended:?}");
    serde_json::from_str(&ended.stdout).with_context(|| format!("{ended:?}"))
}

/// The number of the letter of a key that holds it, or of one that waits.
fn letter(all: &Value, key: &str, held: &str) -> Result<String> {
    let letters = all["letters"].as_array().context("no letters")?;
    let found = letters
        .iter()
        .find(|letter| letter["key"] == key && letter["held"] == held);
    Ok(found.with_context(|| format!("{key:?} has no letter: {all:#}"))?["id"].to_string())
}

fn by_letter(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let before = settings(world, &input, 1)?;
    let host = world.host(&before)?;
    let mut events = Vec::new();
    for key in KEYS {
        events.extend([Event::told(key, "fail", 1), Event::told(key, "nothing", 2)]);
    }
    world.send(&input, &events)?;
    eventually("all of it is held", || {
        let all = told(world, &host, ONCALL, &["dlq", "list"])?;
        Ok((all["count"] == 6).then_some(()))
    })?;
    let all = told(world, &host, ONCALL, &["dlq", "list"])?;
    let operator = |arguments: &[&str]| with(world, &host, OPERATOR, arguments);
    let [empty, nul, esc] = KEYS;

    // Who may not read the key names it by a letter all the same, and is not told it.
    let head = letter(&all, nul, "head")?;
    operator(&["dlq", "release", "--letter", &head, "--dry-run"])?.says(1, &[])?;
    let again = operator(&["dlq", "release", "--letter", &head])?;
    says(&again, &["held again for hostile, with 1 letter behind", "#"])?;
    ensure!(again.code() == 1 && !again.stdout.contains("nul"), "{again:?}");
    let behind = letter(&all, empty, "behind")?;
    let would = operator(&["dlq", "drop", "--held-by", &behind, "--dry-run"])?;
    says(
        &would,
        &[
            "hostile  would be dropped",
            "1 would be dropped, 1 would be handled, 0 would fail; nothing",
        ],
    )?;
    ensure!(would.code() == 0, "{would:?}");
    let dropped = operator(&["dlq", "drop", "--held-by", &behind])?;
    says(
        &dropped,
        &[
            "dropped the letter that held the key",
            "everything that waited is handled",
        ],
    )?;
    ensure!(dropped.code() == 0, "{dropped:?}");

    // What it cannot be.
    operator(&["dlq", "release", "--letter", &behind])?.says(1, &["there is no dead letter"])?;
    operator(&["dlq", "release", "--letter", &head, "--handler", "other"])?.says(1, &["is of hostile"])?;
    operator(&["dlq", "release", "nobody", "--dry-run"])?.says(1, &["no handler holds this key"])?;
    operator(&["dlq", "drop", "--held", "nobody", "--dry-run"])?.says(1, &["no handler holds this key"])?;
    for nothing in [
        &["dlq", "release", ""][..],
        &["dlq", "release"],
        &["dlq", "drop", "--held", ""],
        &["forget", ""],
    ] {
        ensure!(operator(nothing)?.code() == 2, "{nothing:?}");
    }

    // After the cause was mended.
    world.file("sandman.toml", settings(world, &input, 2)?.text().as_bytes())?;
    operator(&["reload"])?.says(0, &[])?;
    for key in [nul, esc] {
        let released = operator(&["dlq", "release", "--letter", &letter(&all, key, "head")?])?;
        says(&released, &["released for hostile: everything that waited is handled"])?;
    }
    let mut done = world.reader(&world.topic("hostile.done"))?;
    let seen = done.until_count(5)?;
    for (key, expected) in KEYS.into_iter().zip([vec![2], vec![1, 2], vec![1, 2]]) {
        ensure!(numbers(seen, key) == expected, "{key:?}: {:?}", numbers(seen, key));
    }

    // What was recorded of it is forgotten by one of its recordings.
    let of_key = |key: &str| {
        let found = told(world, &host, ONCALL, &["recordings", "hostile", "--limit", "1000"])?;
        let ids = found.as_array().context("no recordings")?.iter();
        let ids = ids.filter(|recording| recording["key"] == key);
        Ok::<_, anyhow::Error>(
            ids.filter_map(|recording| recording["id"].as_str().map(str::to_owned))
                .collect(),
        )
    };
    for key in KEYS {
        let ids: BTreeSet<String> = of_key(key)?;
        let one = ids.first().with_context(|| format!("nothing is recorded of {key:?}"))?;
        let forgotten = told(world, &host, ONCALL, &["forget", "--of", one])?;
        ensure!(forgotten["recordings"] == ids.len(), "{forgotten:#}");
        ensure!(of_key(key)?.is_empty(), "something is left of {key:?}");
    }
    with(world, &host, ONCALL, &["forget", "--of", "x"])?.says(1, &["--of takes a recording"])
}

fn nothing(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let handler = hostile(&[&input])?.set("retry", "{ attempts = 1 }").set("record", ALL);
    let host = world.host(&world.settings()?.handler(handler))?;
    world.send(&input, &[Event::told_with("ada", "panic", 0, "at night")])?;
    world.dead_letters(&input)?.until_count(1)?;

    // A failure has one name everywhere.
    let compiled = || {
        let files = std::fs::read_dir(world.folder().join("data/compiled"))?;
        let names: Vec<_> = files
            .map(|file| Ok(file?.file_name()))
            .collect::<std::io::Result<_>>()?;
        Ok::<_, std::io::Error>(names.into_iter().collect::<BTreeSet<_>>())
    };
    let before = compiled()?;
    let other = world.file("other.wasm", &strict()?)?;
    says(
        &run(world, &host, &["replay", "1"], 0)?,
        &["failed  trap.panic: the guest panicked"],
    )?;
    let replayed = run(world, &host, &["replay", "1", "--json"], 0)?;
    let replayed: Value = serde_json::from_str(&replayed.stdout)?;
    ensure!(replayed["outcome"]["failed"]["code"] == "trap.panic", "{replayed:#}");
    world.file("state.json", b"{}")?;
    run(
        world,
        &host,
        &["replay", "1", "--component", &other, "--state", "state.json"],
        0,
    )?;
    // Only the host keeps compiled code there.
    ensure!(compiled()? == before, "{before:?} became {:?}", compiled()?);

    for (arguments, code, words) in [
        (&["replay", ""][..], 2, "a value is required"),
        (&["replay", "r12"], 4, "r12 is no recording (r12-0"),
        (&["replay", "99"], 4, "there is no dead letter 99"),
        (&["dlq", "redrive", "99", "--cancel"], 1, "there is no dead letter 99"),
        (
            &["dlq", "redrive", "--all", "--through", "9"],
            1,
            "is not kept; there are: 1",
        ),
        (
            &["recordings", "hostile", "--export", "x.jsonl", "--json"],
            2,
            "cannot be used with",
        ),
    ] {
        let ended = run(world, &host, arguments, code)?;
        ensure!(ended.stderr.contains(words), "{arguments:?}: {ended:?}");
    }
    // There is nothing of an order to take back, but there is the letter.
    says(
        &run(world, &host, &["dlq", "redrive", "1", "--cancel"], 0)?,
        &["0 letters cancelled and kept"],
    )?;
    says(
        &run(world, &host, &["recordings", "hostile", "--key", "bob"], 0)?,
        &["no recordings"],
    )?;
    let explained = run(world, &host, &["explain", "nothing", "--scan", "0"], 1)?;
    says(
        &explained,
        &[
            "nothing was found",
            "Kafka: 0; not looked at: all of it, since --scan is 0",
        ],
    )?;
    let history = host.operator().get("/v1/handlers/hostile/history")?.has(200)?;
    let handler = host.handler("hostile")?;
    ensure!(history[0]["at"] == handler["activatedAt"], "{history:#} {handler:#}");
    Ok(())
}
