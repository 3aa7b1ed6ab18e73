//! A component runs once, alone, and does there what it does in the host.

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, Event, Result, World, echo, guest, hostile};
use serde_json::{Value, json};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_dead_letter_fails_alone_as_it_did_in_the_host", dead_letters),
    Behaviour::new("an_outcome_is_shown_with_all_that_it_holds", outcomes).without_broker(),
    Behaviour::new("each_way_to_fail_is_told_apart", failures).without_broker(),
    Behaviour::new("what_cannot_be_invoked_is_refused_with_a_reason", refused).without_broker(),
];

fn dead_letters(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let handler = hostile(&[&input])?.set("retry", "{ attempts = 1 }");
    let settings = world.settings()?.handler(handler);
    let _host = world.host(&settings)?;
    let orders = [
        Event::told_with("u-1", "reject", 0, "too late"),
        Event::told_with("u-2", "panic", 0, "it fell"),
        Event::told("u-3", "undeclared", 1),
        Event::bytes("u-4", b"{\"eventId\":\"no envelope\""),
    ];
    world.send(&input, &orders)?;
    let mut letters = world.dead_letters(&input)?;
    for letter in letters.until_count(orders.len())? {
        let reason = letter.header("sandman.reason");
        let value = letter.value.clone().context("no value")?;
        let file = world.file("letter.json", &value)?;
        let alone = world.command(
            &[
                "invoke",
                "hostile",
                "--event",
                &file,
                "--key",
                &letter.key_text(),
                "--json",
            ],
            &[],
        )?;
        let told: Value = serde_json::from_str(&alone.stdout)?;
        ensure!(alone.code() == 4, "{}: {}", alone.status, alone.stdout);
        ensure!(
            told["reason"] == json!(reason),
            "the letter says {reason:?}, alone it says {told}"
        );
    }
    Ok(())
}

fn outcomes(world: &World) -> Result {
    let echo = guest("echo")?.to_string_lossy().into_owned();
    let event = world.file("event.json", &Event::thing("ada", 7).value.context("no value")?)?;
    let shown = world.command(&["invoke", &echo, "--event", &event, "--key", "ada"], &[])?;
    ensure!(shown.code() == 0, "{}{}", shown.stdout, shown.stderr);
    for word in [
        "state   {",
        "event   thing.counted 1.0",
        "ms of CPU time",
        "MiB of memory",
    ] {
        ensure!(shown.stdout.contains(word), "nothing of {word:?} in:\n{}", shown.stdout);
    }
    let told = |arguments: &[&str]| -> Result<Value> {
        let ended = world.command(
            &[&["invoke", &echo, "--json", "--event", &event], arguments].concat(),
            &[],
        )?;
        ensure!(ended.code() == 0, "{}{}", ended.stdout, ended.stderr);
        Ok(serde_json::from_str(&ended.stdout)?)
    };
    let first = told(&[])?;
    ensure!(
        first["cpuMicros"].as_u64() > Some(0) && first["memoryBytes"].as_u64() > Some(65_535),
        "{first}"
    );
    ensure!(first["state"]["document"]["count"] == 1, "{first}");
    // The same goes on from a state that is given.
    let state = world.file("state.json", first["state"]["document"].to_string().as_bytes())?;
    let second = told(&["--state", &state])?;
    ensure!(second["state"]["document"]["count"] == 2, "{second}");
    // What the handler does not consume is no failure.
    let other = Event::new("nobody.asked", "ada", &json!({}));
    let other = world.file("event.json", &other.value.context("no value")?)?;
    ensure!(other == event, "another file");
    let ignored = told(&[])?;
    ensure!(
        ignored["outcome"] == "ignored"
            && ignored["reason"] == "the handler does not consume `nobody.asked`; it consumes `thing.happened`",
        "{ignored}"
    );
    Ok(())
}

fn failures(world: &World) -> Result {
    let hostile = guest("hostile")?.to_string_lossy().into_owned();
    for (order, outcome, words) in [
        (Event::told_with("k", "reject", 0, "too late"), "rejected", "too late"),
        (Event::told_with("k", "retry", 0, "come again"), "retry", "come again"),
        (Event::told("k", "trap", 0), "trap", "unreachable"),
        (Event::told_with("k", "panic", 0, "it fell"), "trap", "it fell"),
        (Event::told("k", "loop", 0), "exceeded", "50 ms of CPU time"),
        (Event::told("k", "allocate", 0), "exceeded", "16777216 bytes of memory"),
        (Event::told("k", "undeclared", 1), "invalid", "hostile.secret"),
        (Event::new("hostile.told", "k", &json!({ "n": 1 })), "rejected", "do"),
        (Event::bytes("k", b"[]"), "rejected", "not a JSON object"),
    ] {
        let event = world.file("event.json", &order.value.context("no value")?)?;
        let ended = world.command(&["invoke", &hostile, "--event", &event, "--json"], &[])?;
        ensure!(
            ended.code() == 4,
            "{outcome}: {}\n{}{}",
            ended.status,
            ended.stdout,
            ended.stderr
        );
        let told: Value = serde_json::from_str(&ended.stdout)?;
        ensure!(told["outcome"] == outcome, "not {outcome}: {told}");
        ensure!(
            told["reason"].to_string().contains(words),
            "nothing of {words:?} in {told}"
        );
        ensure!(
            told["state"]["change"] == "keep" && told["events"] == json!([]),
            "it decided: {told}"
        );
        let shown = world.command(&["invoke", &hostile, "--event", &event], &[])?;
        ensure!(
            shown.code() == 4 && shown.stderr.contains(words),
            "{}\n{}",
            shown.status,
            shown.stderr
        );
    }
    Ok(())
}

fn refused(world: &World) -> Result {
    let handler = echo(&[&world.topic("thing.happened")])?;
    let toml = world.settings_without_broker().handler(handler).text();
    let event = world.file("event.json", &Event::thing("ada", 1).value.context("no value")?)?;
    let request = world.file("request.json", b"{\"method\":\"GET\",\"route\":\"/nowhere\"}")?;
    let cut = world.file("cut.json", b"{\"method\":\"GET\"}")?;
    let cases: &[(&[&str], i32, &[&str])] = &[
        (&["ehco", "--event", &event], 1, &["no handler \"ehco\"", "echo"]),
        (
            &["nowhere.wasm", "--event", &event],
            1,
            &["nowhere.wasm cannot be read", "sandman build"],
        ),
        (&["./event.json", "--event", &event], 1, &["WebAssembly component"]),
        (
            &["echo", "--event", "nowhere.json"],
            1,
            &["nowhere.json cannot be read"],
        ),
        (
            &["echo", "--event", &event, "--state", "sandman.toml"],
            1,
            &["sandman.toml is not JSON"],
        ),
        (
            &["echo", "--event", &event, "--settings", "{1}"],
            1,
            &["--settings is not JSON"],
        ),
        (&["echo", "--request", &request], 1, &["no route `GET /nowhere`"]),
        (&["echo", "--request", &cut], 1, &["request", "route"]),
        (&["echo"], 2, &["--event", "--request"]),
        (
            &["echo", "--event", &event, "--request", &request],
            2,
            &["cannot be used with"],
        ),
    ];
    for (arguments, code, words) in cases {
        let ended = world.sandman(&[&["invoke"], *arguments].concat(), &toml, &[])?;
        ended.says(*code, words).with_context(|| format!("{arguments:?}"))?;
    }
    Ok(())
}
