//! What is kept and told of what a guest does and says: a sample of its invocations, its words, and what became of letters.

use anyhow::ensure;
use sandman_tests::{Behaviour, Ended, Event, Result, Settings, World, hostile, reloaded};
use serde_json::Value;

use super::time_travel::{ALL, recordings, run, says};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_burst_of_fresh_keys_is_recorded", burst),
    Behaviour::new("a_reason_of_several_lines_is_one_text_everywhere", several_lines),
    Behaviour::new(
        "what_a_guest_says_is_in_no_log_and_for_those_who_may_read_it",
        guest_text,
    ),
    Behaviour::new("a_letter_that_ends_as_a_duplicate_is_told_as_one", passed_over),
];

fn burst(world: &World) -> Result {
    let told = world.make_topic("hostile.told")?;
    let host = world.host(&world.settings()?.handler(hostile(&[&told])?))?;
    let events: Vec<_> = (0..30).map(|n| Event::told(&format!("key-{n}"), "well", n)).collect();
    world.send(&told, &events)?;
    world.reader(&world.topic("hostile.done"))?.until_count(events.len())?;
    let found = recordings(world, &host, "hostile")?.len();
    ensure!((20..=30).contains(&found), "{found} of 30 are recorded, at 20 a second");
    Ok(())
}

fn several_lines(world: &World) -> Result {
    let told = world.make_topic("hostile.told")?;
    let host = world.host(&world.settings()?.handler(hostile(&[&told])?.set("record", ALL)))?;
    let reason = "first\nsecond\u{1b}[2J";
    world.send(&told, &[Event::told_with("bea", "reject", 0, reason)])?;
    world.dead_letters(&told)?.until_count(1)?;
    // As the guest said it, for the fixtures of its own tests; escaped where it is shown.
    run(world, &host, &["recordings", "hostile", "--export", "lines.jsonl"], 0)?;
    let exported = run(world, &host, &["recordings", "hostile", "--export", "-"], 0)?;
    let exported: Value = serde_json::from_str(exported.stdout.trim())?;
    ensure!(exported["outcome"]["failed"]["reason"] == reason, "{exported:#}");
    let same = run(world, &host, &["replay", "lines.jsonl"], 0)?;
    let escaped = "first\\nsecond\\u{1b}[2J";
    says(&same, &["to the byte"])?;
    says(&run(world, &host, &["dlq", "show", "1"], 0)?, &[escaped])?;
    let letters = world.all_of(&format!("{told}.dlq"))?;
    ensure!(letters[0].header("sandman.reason") == escaped, "{letters:?}");
    Ok(())
}

const ADMIN: &str = "0123456789abcdef0123456789abcdef";
const ONCALL: &str = "fedcba9876543210fedcba9876543210";

fn guest_text(world: &World) -> Result {
    let told = world.make_topic("hostile.told")?;
    let settings = world
        .settings()?
        .handler(hostile(&[&told])?.set("retry", "{ attempts = 2, first = \"1ms\" }"));
    let settings = settings
        .set("admin.read_data", "[\"oncall\"]")
        .variable("SANDMAN_ADMIN_TOKEN", ADMIN)
        .variable("SANDMAN_ADMIN__TOKENS__ONCALL", ONCALL);
    let host = world.host(&settings)?;
    let secret = "ada-lovelace-1815";
    let failing = ["panic", "reject", "retry"];
    let events: Vec<_> = failing.map(|what| Event::told_with("bea", what, 0, secret)).to_vec();
    world.send(&told, &events)?;
    // A record whose value is a text, and no object.
    let text = format!("\"{secret}\"");
    world.send(&told, &[Event::bytes("bea", text.as_bytes())])?;
    let letters = world.dead_letters(&told)?.until_count(4)?.to_vec();
    let ask = |arguments: &[&str], token: &str, code: i32| -> Result<Ended> {
        let arguments = [arguments, &["--host", host.admin()]].concat();
        let ended = world.command(&arguments, &[("SANDMAN_ADMIN_TOKEN", token)])?;
        ensure!(ended.code() == code, "{arguments:?}: {ended:?}");
        Ok(ended)
    };
    let listed = ["dlq", "list", "--json"];
    let rehearsed = ["dlq", "redrive", "--all", "--dry-run"];
    // Where the data is told, the guest's words are: to those who may read it, and with the record on Kafka.
    let read = ask(&listed, ONCALL, 0)?;
    ensure!(read.stdout.matches(secret).count() >= 3, "{read:?}");
    says(&ask(&rehearsed, ONCALL, 1)?, &[secret])?;
    let on_kafka = letters
        .iter()
        .filter(|letter| letter.header("sandman.reason").contains(secret));
    ensure!(on_kafka.count() == 3, "{letters:?}");
    // Elsewhere it is the code, and where it panicked.
    let words = [
        "trap.panic",
        "the guest panicked at tests/guests/hostile/src/",
        "the guest rejected it",
    ];
    says(&ask(&listed, ADMIN, 0)?, &words)?;
    for ended in [
        ask(&listed, ADMIN, 0)?,
        ask(&rehearsed, ADMIN, 1)?,
        ask(&["dlq", "show", "1"], ADMIN, 0)?,
    ] {
        ensure!(!ended.stdout.contains(secret), "{ended:?}");
    }
    let logged = world.logged().concat();
    ensure!(
        logged.contains("trap.panic") && logged.contains("the guest panicked at"),
        "{logged}"
    );
    ensure!(!logged.contains(secret), "what a user sent is in the log: {logged}");
    Ok(())
}

fn passed_over(world: &World) -> Result {
    let told = world.make_topic("hostile.told")?;
    let settings = |attempts: u32| -> Result<Settings> {
        let retry = format!("{{ attempts = {attempts}, first = \"1ms\" }}");
        Ok(world.settings()?.handler(hostile(&[&told])?.set("retry", &retry)))
    };
    let host = world.host(&settings(1)?)?;
    let event = Event::told("ada", "fail", 1);
    world.send(&told, std::slice::from_ref(&event))?;
    world.dead_letters(&told)?.until_count(1)?;
    reloaded(world, &host, &settings(2)?)?;
    // The producer tries again, and that is handled: the letter is of an event that has been by now.
    world.send(&told, &[event])?;
    let mut done = world.reader(&world.topic("hostile.done"))?;
    done.until_count(1)?;
    // A record that was no event was never recorded, and never will be.
    world.send(&told, &[Event::bytes("eve", b"no event")])?;
    world.dead_letters(&told)?.until_count(2)?;
    let never = run(world, &host, &["replay", "2"], 4)?;
    never.says(4, &["its record is not an event with which a guest could be called"])?;
    let listed = run(world, &host, &["dlq", "list", "--code", "decode"], 0)?;
    says(&listed, &["eve"])?;

    let redriven = run(world, &host, &["dlq", "redrive", "--key", "ada"], 0)?;
    says(
        &redriven,
        &["1 redriven: 0 handled, 0 failed again, 1 skipped as duplicates"],
    )?;
    let story = run(world, &host, &["explain", "--key", "ada"], 0)?;
    says(
        &story,
        &[
            "skipped: its event had been handled before; a redrive of letter 1",
            "the same event as at",
            "which was given up",
        ],
    )?;
    host.metrics_when("the duplicate is counted", |metrics| {
        metrics.sum("sandman_duplicates_total", &[("handler", "hostile")]) == Some(1.0)
    })?;
    ensure!(
        world.all_of(&world.topic("hostile.done"))?.len() == 1,
        "it was handled twice"
    );
    // What was not run is nothing to run again.
    let all = run(world, &host, &["recordings", "hostile", "--export", "-"], 0)?.stdout;
    ensure!(
        !all.contains(r#""outcome":"duplicate""#) && all.contains("failed"),
        "{all}"
    );
    Ok(())
}
