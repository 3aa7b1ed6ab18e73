//! What was recorded is listed, replayed, compared, explained and forgotten, by the commands that an operator has.

use anyhow::{Context, ensure};
use sandman_tests::{
    Behaviour, Ended, Event, Host, Result, Settings, World, echo, guest, hostile, reloaded, rewritten, stamped,
};
use serde_json::Value;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("what_was_recorded_is_listed_and_replayed_to_the_byte", replayed).on_postgres_too(),
    Behaviour::new("a_version_that_fails_what_was_recorded_is_refused", refused),
    Behaviour::new("an_event_is_explained_and_a_key_is_forgotten", explained).on_postgres_too(),
    Behaviour::new(
        "letters_redrives_and_keys_in_payloads_are_part_of_the_story",
        whole_story,
    ),
    Behaviour::new("the_same_code_fails_in_the_same_way_whatever_its_number", same_code),
    Behaviour::new("a_key_is_forgotten_also_of_a_handler_that_is_gone", forgotten),
    Behaviour::new("recordings_stay_within_their_bound", bounded).on_postgres_too(),
    Behaviour::new("what_users_sent_is_for_those_who_may_read_it", scoped),
];

pub(crate) const ALL: &str = "{ rate = 1000, keep = \"1MiB\" }";

/// Runs a command on the host, which is expected to end with this code.
pub(crate) fn run(world: &World, host: &Host, arguments: &[&str], code: i32) -> Result<Ended> {
    let ended = world.command(&[arguments, &["--host", host.admin()]].concat(), &[])?;
    ensure!(
        ended.code() == code,
        "{arguments:?} ended with {}: {}{}",
        ended.status,
        ended.stdout,
        ended.stderr
    );
    Ok(ended)
}

pub(crate) fn recordings(world: &World, host: &Host, name: &str) -> Result<Vec<Value>> {
    let listed = run(world, host, &["recordings", name, "--json", "--limit", "1000"], 0)?;
    Ok(serde_json::from_str(&listed.stdout)?)
}

pub(crate) fn says(ended: &Ended, words: &[&str]) -> Result {
    for word in words {
        ensure!(ended.stdout.contains(word), "nothing of {word:?}:\n{}", ended.stdout);
    }
    Ok(())
}

/// A host on which ada has done well, bea was rejected, and cleo needed two attempts.
fn with_history(world: &World) -> Result<(Host, String, [Event; 3])> {
    let told = world.make_topic("hostile.told")?;
    let handler = hostile(&[&told])?.set("retry.first", "\"10ms\"").set("record", ALL);
    let host = world.host(&world.settings()?.handler(handler))?;
    let events = [
        Event::told("ada", "well", 0),
        Event::told_with("bea", "reject", 0, "it is closed"),
        Event::told("cleo", "fail", 1),
    ];
    world.send(&told, &events[..1])?;
    let mut done = world.reader(&world.topic("hostile.done"))?;
    done.until_count(1)?;
    world.send(&told, &events[1..])?;
    done.until_count(2)?;
    world.dead_letters(&told)?.until_count(1)?;
    Ok((host, told, events))
}

fn replayed(world: &World) -> Result {
    let (host, _, _) = with_history(world)?;
    let found = recordings(world, &host, "hostile")?;
    let of = |key: &str, attempt: u64| {
        let found = found.iter();
        let mut found = found.filter(|it| it["key"] == key && it["context"]["attempt"] == attempt);
        found
            .next()
            .with_context(|| format!("attempt {attempt} of {key} is not recorded"))
    };
    let (ada, bea, cleo) = (of("ada", 1)?, of("bea", 1)?, of("cleo", 1)?);
    ensure!(
        ada["outcome"]["decided"]["state"]["put"] == r#"{"count":1}"# && ada["state"].is_null(),
        "{ada}"
    );
    ensure!(
        ada["cpuMicros"].is_u64() && ada["memoryBytes"].as_u64() > Some(0),
        "{ada}"
    );
    ensure!(
        bea["deadLetter"] == true && bea["outcome"]["failed"]["code"] == "rejected",
        "{bea}"
    );
    ensure!(
        cleo["deadLetter"] == false && cleo["outcome"]["failed"]["code"] == "retries",
        "{cleo}"
    );
    let listed = run(world, &host, &["recordings", "hostile", "--failed"], 0)?;
    says(&listed, &["rejected, dead letter", "retries", "hostile.told"])?;
    // By the codes that dead letters have.
    let of_code = run(
        world,
        &host,
        &["recordings", "hostile", "--code", "rejected", "--json"],
        0,
    )?;
    let of_code: Value = serde_json::from_str(&of_code.stdout)?;
    ensure!(
        of_code
            .as_array()
            .is_some_and(|all| all.len() == 1 && all[0]["key"] == "bea"),
        "{of_code:#}"
    );

    // One from the host, on the version that ran.
    let id = bea["id"].as_str().unwrap_or_default().to_owned();
    let same = run(world, &host, &["replay", &id], 0)?;
    says(&same, &["rejected: it is closed", "is the recorded one, to the byte"])?;
    // All of them from a file, without a host, on a component that writes another event.
    run(world, &host, &["recordings", "hostile", "--export", "all.jsonl"], 0)?;
    world.file(
        "other.wasm",
        &rewritten("hostile", "didattemptcount", "dodattemptcount")?,
    )?;
    let other = ["replay", "all.jsonl", "--component", "other.wasm"];
    let differs = world.command(&other, &[])?;
    ensure!(differs.code() == 1, "{}{}", differs.stdout, differs.stderr);
    says(&differs, &["differs: ", "missing at events.hostile.done.payload.did"])?;
    let same = run(world, &host, &["replay", "all.jsonl"], 0)?;
    says(&same, &["the same outcome for each, to the byte"])?;
    // Another state gives another outcome.
    world.file("state.json", br#"{"count":41}"#)?;
    let ada = ada["id"].as_str().unwrap_or_default();
    let differs = run(world, &host, &["replay", ada, "--state", "state.json"], 1)?;
    says(&differs, &["value at state.count", "now       42"])?;
    world.file("bad.json", b"{bad")?;
    let bad = run(world, &host, &["replay", ada, "--state", "bad.json"], 4)?;
    ensure!(bad.stderr.contains("bad.json is not JSON"), "{}", bad.stderr);
    let alone = world.command(&["replay", "all.jsonl", "--host", "127.0.0.1:9"], &[])?;
    alone.says(3, &["no host answers", "--component"])?;
    // A dead letter is replayed by its number.
    let letters = run(world, &host, &["dlq", "list", "--json"], 0)?;
    let letters: Value = serde_json::from_str(&letters.stdout)?;
    let letter = letters["letters"][0]["id"].to_string();
    says(
        &run(world, &host, &["replay", &letter], 0)?,
        &["rejected: it is closed", "to the byte"],
    )?;
    let nothing = run(world, &host, &["replay", "r999999-0"], 4)?;
    ensure!(nothing.stderr.contains("there is no recording"), "{}", nothing.stderr);
    Ok(())
}

fn refused(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?.set("record", ALL)))?;
    // What was never recorded is replayed, and it is said.
    let first = world.file("second.wasm", &stamped(2)?)?;
    let empty = run(world, &host, &["deploy", "echo", &first], 0)?;
    says(&empty, &["nothing recorded yet"])?;
    let things: Vec<Event> = (1..=20).map(|n| Event::thing(&format!("key-{n}"), n)).collect();
    world.send(&input, &things)?;
    world.reader(&world.topic("thing.counted"))?.until_count(things.len())?;
    ensure!(!recordings(world, &host, "echo")?.is_empty(), "nothing is recorded");

    // Another outcome is shown and serves; a new failure does not.
    let third = world.file("third.wasm", &stamped(3)?)?;
    let shown = run(world, &host, &["deploy", "echo", &third], 0)?;
    says(
        &shown,
        &[
            "replayed",
            "with another outcome",
            "value at events.thing.counted.payload.by",
        ],
    )?;
    let failing = world.file(
        "failing.wasm",
        &rewritten("echo", "by1.0thing.happened", "by2.0thing.happened")?,
    )?;
    let refused = run(world, &host, &["deploy", "echo", &failing], 1)?;
    let words = ["refused at `replayed`", "new failure at outcome", "--accept-diffs"];
    ensure!(
        words.iter().all(|word| refused.stderr.contains(word)),
        "{}",
        refused.stderr
    );
    ensure!(host.version("echo")? == 3, "another version serves");
    let history = run(world, &host, &["history", "echo"], 0)?;
    says(
        &history,
        &["replayed: ", "new failure", "value at events.thing.counted.payload.by"],
    )?;

    let same = run(world, &host, &["diff", "echo", "3", &third], 0)?;
    says(&same, &["against itself", "have the same outcomes for"])?;
    let differs = run(world, &host, &["diff", "echo", "2", "3", "--json"], 1)?;
    let differs: Value = serde_json::from_str(&differs.stdout)?;
    let groups = differs["groups"].as_array().context("no groups")?;
    let by = groups
        .iter()
        .find(|group| group["path"] == "events.thing.counted.payload.by");
    let by = by.with_context(|| format!("no difference in `by`: {differs}"))?;
    ensure!(
        by["kind"] == "value" && by["example"]["first"] == "2" && by["example"]["second"] == "3",
        "{by}"
    );
    ensure!(
        by["count"] == differs["compared"] && differs["impurities"] == Value::Array(vec![]),
        "{differs}"
    );

    let accepted = run(world, &host, &["deploy", "echo", &failing, "--accept-diffs"], 0)?;
    says(&accepted, &["accepted: "])
}

fn explained(world: &World) -> Result {
    let (host, told, [ada, bea, _]) = with_history(world)?;
    let story = run(world, &host, &["explain", &ada.id], 0)?;
    let published = world.topic("hostile.done");
    let words = [
        &*format!("the event: hostile.told at {told}/"),
        "published because of it: hostile.done",
        "published by hostile, version 1",
        "hostile, version 1",
        "the state: nothing -> {\"count\":1}",
        &*format!("to {published}"),
        "looked at",
    ];
    says(&story, &words)?;
    // The event that came of it leads back to its cause.
    let done: Value = serde_json::from_str(&run(world, &host, &["explain", &ada.id, "--json"], 0)?.stdout)?;
    let records = done["records"].as_array().context("no records")?;
    let effect = records.iter().find(|record| record["is"] == "effect");
    let effect = effect.context("nothing was published")?["eventId"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let back = run(world, &host, &["explain", &effect], 0)?;
    says(&back, &["the event: hostile.done", "because of", &ada.id])?;

    let letter = run(world, &host, &["explain", &bea.id], 0)?;
    says(
        &letter,
        &[
            "dead letter: hostile.told",
            "after 1 attempt: it is closed",
            "given up, dead letter",
        ],
    )?;
    // It was given up after it came, and by the time at which that was.
    let letter = run(world, &host, &["explain", &bea.id, "--json"], 0)?;
    let letter: Value = serde_json::from_str(&letter.stdout)?;
    let records = letter["records"].as_array().context("no records")?;
    let at = |is: &str| {
        let found = records.iter().find(|record| record["is"] == is);
        found.and_then(|record| record["at"].as_str()).map(str::to_owned)
    };
    let (came, gone) = (
        at("itself").context("no event")?,
        at("deadLetter").context("no letter")?,
    );
    ensure!(
        came < gone && records.first().is_some_and(|first| first["is"] == "itself"),
        "came {came}, given up {gone}: {letter:#}"
    );
    let key = run(world, &host, &["explain", "--key", "cleo"], 0)?;
    says(
        &key,
        &[
            "failed (retries): attempt 1 of 1 that fail",
            "attempt 1:",
            "an event of the key: hostile.told",
            "  published: hostile.done",
        ],
    )?;
    let at = bea_place(world, &told)?;
    says(
        &run(world, &host, &["explain", &at], 0)?,
        &["the event: hostile.told", "it is closed"],
    )?;
    run(world, &host, &["explain", "nobody-knows"], 1)?;
    // Why there is nothing at a place.
    for (place, why) in [
        ("no-such-topic/0/0".to_owned(), "no such topic"),
        (format!("{told}/99/0"), "the topic has the partitions 0 to"),
        (format!("{told}/0/99999"), "no record at"),
    ] {
        says(&run(world, &host, &["explain", &place], 1)?, &[why])?;
    }
    let nothing = world.command(&["explain", "--host", host.admin()], &[])?;
    nothing.says(2, &["--key"])?;
    for wrong in [&["dlq", "list", "--key", ""][..], &["dlq", "release", ""]] {
        run(world, &host, wrong, 2)?;
    }

    let before = recordings(world, &host, "hostile")?;
    ensure!(before.iter().any(|it| it["key"] == "bea"), "bea is not recorded");
    let forgotten = run(world, &host, &["forget", "bea"], 0)?;
    says(
        &forgotten,
        &[
            "1 recording removed",
            "1 dead letter in the store",
            "perhaps records in Kafka",
        ],
    )?;
    let forgotten = run(world, &host, &["forget", "ada"], 0)?;
    says(&forgotten, &["still held: the state of hostile"])?;
    let after = recordings(world, &host, "hostile")?;
    ensure!(!after.is_empty(), "cleo is forgotten too");
    let of_cleo: Vec<_> = before.into_iter().filter(|it| it["key"] == "cleo").collect();
    ensure!(after == of_cleo, "{after:?}, where there was {of_cleo:?} of cleo");
    let logged = world.logged().concat();
    ensure!(
        !logged.contains("cleo") && !logged.contains("\"bea\""),
        "a key is in the log: {logged}"
    );
    Ok(())
}

fn bea_place(world: &World, told: &str) -> Result<String> {
    let all = world.all_of(told)?;
    let bea = all
        .iter()
        .find(|seen| seen.key_text() == "bea")
        .context("bea's event is gone")?;
    Ok(format!("{told}/{}/{}", bea.partition, bea.offset))
}

fn whole_story(world: &World) -> Result {
    let told = world.make_topic("hostile.told")?;
    let settings = |attempts: u32| -> Result<Settings> {
        let handler = hostile(&[&told])?
            .set("key", "\"payload:/text\"")
            .set("retry", &format!("{{ attempts = {attempts}, first = \"1ms\" }}"));
        Ok(world.settings()?.handler(handler))
    };
    let host = world.host(&settings(1)?)?;
    let fails = Event::told_with("record-key", "fail", 1, "u-77");
    let well = Event::told_with("record-key", "well", 0, "u-77");
    world.send(&told, &[fails.clone(), well.clone(), well.clone()])?;
    world.reader(&world.topic("hostile.done"))?.until_count(1)?;
    world.dead_letters(&told)?.until_count(1)?;

    // By the key that the handler reads, and not by the record's alone.
    let key = run(world, &host, &["explain", "--key", "u-77"], 0)?;
    let words = [
        "an event of the key: hostile.told",
        "dead letter: hostile.told",
        "letter 1: given up by hostile",
        "the same event as at",
        "handled once",
    ];
    says(&key, &words)?;
    // Without Kafka as well, the letter is in the store.
    run(world, &host, &["dlq", "redrive", "1"], 1)?;
    let story = ["explain", &fails.id, "--scan", "0"];
    let again = [
        "letter 1: given up by hostile",
        "retries",
        "redriven once",
        "a redrive of letter 1, which stays",
    ];
    says(&run(world, &host, &story, 0)?, &again)?;
    reloaded(world, &host, &settings(3)?)?;
    run(world, &host, &["dlq", "redrive", "1"], 0)?;
    let mended = run(world, &host, &story, 0)?;
    says(&mended, &["a redrive of letter 1, which left the store with it"])?;
    ensure!(
        !mended.stdout.contains("dead letters in the store\n  "),
        "{}",
        mended.stdout
    );
    // An id is an id, and not any text in a payload.
    run(world, &host, &["explain", "well"], 1)?;
    run(world, &host, &["explain", ""], 2)?;
    Ok(())
}

fn same_code(world: &World) -> Result {
    let told = world.make_topic("hostile.told")?;
    let handler = hostile(&[&told])?
        .set("retry", "{ attempts = 1 }")
        .set("replay", "\"strict\"")
        .set("record", ALL);
    let host = world.host(&world.settings()?.handler(handler))?;
    let failing = [
        "panic",
        "trap",
        "recurse",
        "allocate",
        "many-events",
        "reject",
        "undeclared",
    ];
    let events: Vec<Event> = failing.iter().map(|what| Event::told(what, what, 100)).collect();
    world.send(&told, &events)?;
    world.dead_letters(&told)?.until_count(failing.len())?;

    // A section that says nothing: another digest, so another version, of the same code.
    let mut same = std::fs::read(guest("hostile")?)?;
    same.extend(b"\x00\x05\x04note");
    let same = world.file("same.wasm", &same)?;
    let words = ["against itself", "have the same outcomes for"];
    says(&run(world, &host, &["diff", "hostile", "1", &same], 0)?, &words)?;
    let first = recordings(world, &host, "hostile")?;
    for recording in &first {
        let id = recording["id"].as_str().unwrap_or_default();
        run(world, &host, &["replay", id, "--component", &same], 0)?;
        let reason = recording["outcome"]["failed"]["reason"].to_string();
        ensure!(!reason.contains("version"), "the reason names a version: {reason}");
    }
    let deployed = run(world, &host, &["deploy", "hostile", &same], 0)?;
    says(&deployed, &["the same outcome for each", "version 2 serves"])?;
    says(&run(world, &host, &["diff", "hostile", "1", "2"], 0)?, &words)
}

fn forgotten(world: &World) -> Result {
    let (host, _, _) = with_history(world)?;
    ensure!(host.terminate()?.code() == 0, "the host did not stop well");
    let other = world.make_topic("thing.happened")?;
    let host = world.host(&world.settings()?.handler(echo(&[&other])?))?;
    let forgotten = run(world, &host, &["forget", "ada"], 0)?;
    says(
        &forgotten,
        &[
            "1 recording removed",
            "the state of hostile",
            "does not name: configure it again",
        ],
    )?;
    says(&run(world, &host, &["forget", "ada"], 0)?, &["0 recordings removed"])?;
    says(
        &run(world, &host, &["forget", "bea"], 0)?,
        &["1 dead letter in the store"],
    )
}

fn bounded(world: &World) -> Result {
    let told = world.make_topic("hostile.told")?;
    let handler = hostile(&[&told])?.set("record", "{ rate = 20, keep = \"256KiB\" }");
    let settings = world.settings()?.handler(handler);
    let host = world.host(&settings)?;
    // Each failure is a recording of more than a kilobyte.
    let text = "x".repeat(1_000);
    let events: Vec<_> = (0..300)
        .map(|n| Event::told_with(&format!("key-{n}"), "reject", n, &text))
        .collect();
    world.send(&told, &events)?;
    world.dead_letters(&told)?.until_count(events.len())?;
    let found = recordings(world, &host, "hostile")?;
    // However many of them one commit had: a quarter of it is the least that stays.
    let bytes: usize = found.iter().map(|it| it.to_string().len()).sum();
    ensure!((5..256).contains(&found.len()), "{} recordings are left", found.len());
    ensure!(bytes < 512 << 10, "{bytes} bytes are left");
    // The metrics tell both, also after a restart.
    let kept = |host: &Host| {
        let metrics = host.metrics_when("the bytes of recordings are told", |metrics| {
            metrics.sum("sandman_recording_bytes", &[("handler", "hostile")]) > Some(0.0)
        })?;
        metrics.sum("sandman_recording_bytes", &[]).context("no bytes")
    };
    let before = kept(&host)?;
    let gone = host.metrics()?.sum("sandman_recording_bytes_gone_total", &[]);
    ensure!(before <= f64::from(256 << 10), "{before} bytes are kept");
    ensure!(gone > Some(0.0), "{gone:?} bytes are gone");
    ensure!(host.terminate()?.code() == 0, "the host did not stop well");
    let host = world.host(&settings)?;
    let after = kept(&host)?;
    ensure!(after == before, "{after} bytes after a restart, {before} before");
    host.still_runs()
}

fn scoped(world: &World) -> Result {
    let told = world.make_topic("hostile.told")?;
    let settings = world
        .settings()?
        .handler(hostile(&[&told])?.set("record", "{ rate = 0 }"));
    let settings = settings
        .set("admin.read_data", "[\"oncall\"]")
        .variable("SANDMAN_ADMIN_TOKEN", "0123456789abcdef0123456789abcdef")
        .variable("SANDMAN_ADMIN__TOKENS__ONCALL", "fedcba9876543210fedcba9876543210");
    let host = world.host(&settings)?;
    world.send(&told, &[Event::told_with("bea", "reject", 0, "no")])?;
    world.dead_letters(&told)?.until_count(1)?;
    let ask = |token: &str| {
        let arguments = ["recordings", "hostile", "--json", "--host", host.admin()];
        world.command(&arguments, &[("SANDMAN_ADMIN_TOKEN", token)])
    };
    let refused = ask("0123456789abcdef0123456789abcdef")?;
    refused.says(3, &["read-data", "[admin] read_data"])?;
    let told = ask("fedcba9876543210fedcba9876543210")?;
    told.says(0, &[])?;
    // With a rate of 0 not even failures are recorded.
    ensure!(told.stdout.trim() == "[]", "{}", told.stdout);
    Ok(())
}
