//! Guests that loop, allocate without end, recurse, return too much, flood the log or trap: each is bounded and named, and
//! nobody else notices.

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, Event, Handler, Result, World, echo, hostile, rewritten};
use serde_json::{Value, json};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("hostile_guests_are_bounded_named_and_disturb_nobody", bounded_and_named),
    Behaviour::new("a_guest_that_floods_the_log_is_cut_short", floods_the_log),
    Behaviour::new("a_schema_that_branches_into_itself_holds_up_nobody", branches),
    Behaviour::new("what_guests_write_forges_nothing_in_the_log", forges_nothing),
    Behaviour::new("a_component_that_imports_wasi_does_not_load", imports_wasi).without_broker(),
];

/// A deed, how much of it, and words that the dead letter's reason has.
const DEEDS: &[(&str, u64, &[&str])] = &[
    ("loop", 0, &["more than its 2000 ms of CPU time"]),
    ("allocate", 0, &["more than its 268435456 bytes of memory"]),
    ("recurse", 0, &["stack"]),
    ("return-much", 100 << 20, &["more than its", "bytes"]),
    ("many-events", 1_000, &["more than its 32"]),
    ("panic", 0, &["panicked", "help!", "tests/guests/hostile/src/lib.rs:"]),
    ("trap", 0, &["unreachable"]),
    ("hide-then-trap", 0, &["unreachable"]),
    ("undeclared", 0, &["hostile.secret"]),
];
const OTHERS: usize = 10;

fn bounded_and_named(world: &World) -> Result {
    let (told, happened) = (world.make_topic("hostile.told")?, world.make_topic("thing.happened")?);
    let limits = r#"{ time = "2s", memory = "256MiB", output = "1MiB", events = 32 }"#;
    let handler = hostile(&[&told])?
        .set("limits", limits)
        .set("retry", "{ attempts = 1 }");
    let host = world.host(&world.settings()?.handler(handler).handler(echo(&[&happened])?))?;
    let mut events = Vec::new();
    for (deed, n, _) in DEEDS {
        events.push(Event::told_with(deed, deed, *n, "help!"));
        events.extend((0..OTHERS).map(|key| Event::told(&format!("good-{key}"), "nothing", 1)));
    }
    let landed = world.send(&told, &events)?;
    let mut ledger = sandman_tests::Ledger::default();
    world.send(&happened, &ledger.rounds(50, 10, 0))?;

    let mut reader = world.dead_letters(&told)?;
    let letters = reader.until_count(DEEDS.len())?;
    for (number, (deed, _, words)) in DEEDS.iter().enumerate() {
        let offset = landed[number * (OTHERS + 1)].1.to_string();
        let of = letters
            .iter()
            .find(|letter| letter.key_text() == *deed && letter.header("sandman.offset") == offset);
        let reason = of
            .with_context(|| format!("no dead letter of {deed}"))?
            .header("sandman.reason");
        for word in *words {
            ensure!(
                reason.contains(word),
                "{deed}: the reason {reason:?} does not say {word:?}"
            );
        }
    }
    let good = DEEDS.len() * OTHERS;
    let mut done = world.reader(&world.topic("hostile.done"))?;
    let seen = done.until_count(good)?;
    ensure!(
        seen.iter().all(|event| event.key_text().starts_with("good-")),
        "a hostile deed was done"
    );
    ledger.settle(world)?;
    host.still_runs()
}

fn floods_the_log(world: &World) -> Result {
    let told = world.make_topic("hostile.told")?;
    let handler = hostile(&[&told])?.set("limits", r#"{ time = "5s", log = "4KiB" }"#);
    let host = world.host(&world.settings()?.handler(handler))?;
    let orders = [
        Event::told_with("ada", "flood-log", 20_000, "noise"),
        Event::told("ada", "long-log", 1 << 20),
    ];
    world.send(&told, &orders)?;
    // Both are done all the same: the log is no part of the outcome.
    world.reader(&world.topic("hostile.done"))?.until_count(2)?;
    host.says(&["hostile", "cut"])?;
    let log = host.terminate()?.stderr;
    let noise = log.matches("noise").count();
    ensure!((1..1_000).contains(&noise), "{noise} lines of 20,000 are in the log");
    ensure!(log.len() < 100_000, "the log has {} bytes", log.len());
    Ok(())
}

fn branches(world: &World) -> Result {
    let told = world.make_topic("hostile.told")?;
    let component = world.file(
        "deep.wasm",
        &rewritten("hostile", "describes itself:well", "describes itself:deep")?,
    )?;
    let handler = Handler::new("hostile", component.as_ref());
    let handler = handler.consumes(&[&told]).emits(&["hostile.done"]);
    let host = world.host(&world.settings()?.handler(handler))?;
    // A hundred levels are 2^100 ways to read it.
    let nested = |inmost: Value| (0..100).fold(inmost, |inner, _| json!([inner]));
    let event = |key: &str, inmost: Value| {
        let payload = json!({ "do": "nothing", "n": 1, "nest": nested(inmost) });
        Event::new("hostile.told", key, &payload)
    };
    world.send(&told, &[event("bad", json!("secret")), event("good", json!([]))])?;
    let mut letters = world.dead_letters(&told)?;
    let reason = letters.until_count(1)?[0].header("sandman.reason");
    for word in ["hostile.told", "at `/nest`", "anyOf"] {
        ensure!(reason.contains(word), "the reason {reason:?} does not say {word:?}");
    }
    ensure!(!reason.contains("secret"), "the reason shows the payload: {reason:?}");
    let mut done = world.reader(&world.topic("hostile.done"))?;
    ensure!(done.until_count(1)?[0].key_text() == "good", "the good one is not done");
    host.still_runs()
}

/// Forges a line, hides what follows, and turns the direction.
const FORGED: &str = "so\n2026-01-01T00:00:00Z ERROR sandman::forged: all is lost\r\u{1b}[2J\u{202e}\u{9b}31m";

fn forges_nothing(world: &World) -> Result {
    let told = world.make_topic("hostile.told")?;
    let handler = hostile(&[&told])?.set("retry", "{ attempts = 1 }");
    let host = world.host(&world.settings()?.handler(handler))?;
    let much = "x".repeat(500 << 10);
    let orders = [
        Event::told_with("a", "flood-log", 1, FORGED),
        Event::told_with("b", "reject", 0, FORGED),
        Event::told_with("c", "panic", 0, FORGED),
        Event::told_with("d", "reject", 0, &much),
    ];
    world.send(&told, &orders)?;
    let mut letters = world.dead_letters(&told)?;
    for letter in letters.until_count(3)? {
        let reason = letter.header("sandman.reason");
        ensure!(reason.len() <= 4 << 10, "the reason has {} bytes", reason.len());
        ensure!(!reason.contains(acts), "the reason acts: {reason:?}");
    }
    let log = host.terminate()?.stderr;
    ensure!(log.contains("all is lost"), "the guest's line is not there: {log}");
    ensure!(
        !log.contains(|letter: char| letter != '\n' && acts(letter)),
        "the log acts: {log:?}"
    );
    let forged = log.lines().find(|line| line.starts_with("2026-01-01"));
    ensure!(forged.is_none(), "a guest has forged {forged:?}");
    ensure!(log.len() < 100_000, "the log has {} bytes", log.len());
    Ok(())
}

fn acts(letter: char) -> bool {
    letter.is_control() || letter == '\u{202e}'
}

/// A component that imports one function of WASI and nothing else.
const IMPORTS_WASI: &str = r#"(component (import "wasi:cli/environment@0.2.0" (instance
    (export "get-arguments" (func (result (list string)))))))"#;

fn imports_wasi(world: &World) -> Result {
    let component = world.folder().join("stranger.wasm");
    std::fs::write(&component, wat::parse_str(IMPORTS_WASI)?)?;
    let topic = "thing.happened".to_owned();
    let handler = Handler::new("stranger", &component).consumes(&[&topic]);
    let settings = world.settings_without_broker().handler(handler).text();
    for command in ["check", "run"] {
        let ended = world.sandman(&[command, "--config", "sandman.toml"], &settings, &[])?;
        ensure!(ended.code() == 1, "{command}: {} {}", ended.status, ended.stderr);
        for word in ["stranger", "wasi:cli/environment@0.2.0", "not granted"] {
            ensure!(
                ended.stderr.contains(word),
                "{command} says nothing of {word:?}: {}",
                ended.stderr
            );
        }
    }
    Ok(())
}
