//! Existing states come in whole or not at all, and a handler goes on from them.

use std::fs;
use std::ops::Range;

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, Ended, Event, Result, Settings, Tally, World, echo};
use serde_json::{Value, json};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("imported_states_are_what_the_handler_goes_on_from", gone_on_from).on_postgres_too(),
    Behaviour::new("a_file_with_mistakes_writes_nothing_and_names_them", mistakes).without_broker(),
    Behaviour::new("an_import_that_was_killed_goes_on", killed)
        .on_postgres_too()
        .without_broker(),
    Behaviour::new("what_cannot_be_imported_is_refused_with_a_reason", refused).without_broker(),
];

const TO_ECHO: &[&str] = &["--handler", "echo", "states.jsonl", "--json"];

fn tally(n: u64) -> Tally {
    Tally::default().after(n)
}

fn line(key: &str, state: &impl serde::Serialize) -> String {
    json!({ "key": key, "state": state }).to_string() + "\n"
}

/// One line for each number, each of a key of its own.
fn lines(numbers: Range<u64>) -> String {
    numbers.map(|n| line(&format!("u-{n}"), &tally(n))).collect()
}

fn settings(world: &World) -> Result<Settings> {
    Ok(world
        .settings_without_broker()
        .handler(echo(&[&world.topic("thing.happened")])?))
}

fn file(world: &World, text: &str) -> Result {
    Ok(fs::write(world.folder().join("states.jsonl"), text)?)
}

fn printed(ended: &Ended, code: i32) -> Result<Value> {
    ensure!(
        ended.code() == code,
        "{}: {}{}",
        ended.status,
        ended.stdout,
        ended.stderr
    );
    serde_json::from_str(&ended.stdout).with_context(|| format!("no JSON: {}", ended.stdout))
}

/// Imports the file and returns how many states were added, replaced and there already.
fn counts(world: &World, settings: &Settings, arguments: &[&str]) -> Result<[u64; 3]> {
    let done = printed(&world.import(settings, arguments)?, 0)?;
    let count = |name: &str| done["counts"][name].as_u64().context("no count");
    Ok([count("added")?, count("replaced")?, count("same")?])
}

fn gone_on_from(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let settings = world.settings()?.handler(echo(&[&input])?);
    let before = tally(3).after(4).after(5);
    file(world, &line("ada", &before))?;
    ensure!(
        counts(world, &settings, TO_ECHO)? == [1, 0, 0],
        "one state was to be added"
    );

    let host = world.host(&settings)?;
    // The store is the host's now, and looking at the file needs no store.
    let locked = world.import(&settings, TO_ECHO)?;
    let words = match world.is_on_postgres() {
        true => "stop all hosts first",
        false => "is in use by process",
    };
    ensure!(
        locked.code() == 1 && locked.stderr.contains(words),
        "{}: {}",
        locked.status,
        locked.stderr
    );
    let look = ["--handler", "echo", "states.jsonl", "--check", "--json"];
    printed(&world.import(&settings, &look)?, 0)?;

    world.send(&input, &[Event::thing("ada", 6), Event::thing("bob", 6)])?;
    let counted = world.reader(&world.topic("thing.counted"))?;
    let mut counted = counted;
    let seen = counted.until_count(2)?;
    for (key, expected) in [("ada", before.after(6)), ("bob", tally(6))] {
        let found = seen.iter().find(|seen| seen.key_text() == key).context("no event")?;
        let tally: Tally = serde_json::from_value(found.payload())?;
        ensure!(tally == expected, "{key}: {tally:?}");
    }
    host.terminate()?;

    // What the handler has put meanwhile is not what the file says, and the file does not win by itself.
    let told = printed(&world.import(&settings, TO_ECHO)?, 1)?;
    ensure!(told["problems"][0]["place"] == "key", "{told}");
    let overwrite = [TO_ECHO, &["--overwrite"]].concat();
    ensure!(
        counts(world, &settings, &overwrite)? == [0, 1, 0],
        "one state was to be replaced"
    );
    Ok(())
}

fn mistakes(world: &World) -> Result {
    let settings = settings(world)?;
    let secret = json!({ "count": 1, "sum": "passport-X1234567", "fold": 1, "last": 1 });
    let bad = [
        line("u-0", &tally(1)),
        line("bad", &secret),
        line("odd", &json!({ "count": 1 })),
        "{\"key\": \"cut\n".to_owned(),
    ];
    file(world, &format!("{}{}", lines(0..2_000), bad.concat()))?;
    let ended = world.import(&settings, &["--handler", "echo", "states.jsonl"])?;
    ensure!(ended.code() == 1, "{}", ended.status);
    for words in [
        &["line 2001, key", "line 1"][..],
        &["line 2002, state/sum", "type integer"],
        &["line 2003, state", "sum"],
        &["line 2004"],
        &["mistakes, nothing was written"],
    ] {
        let told = ended
            .stderr
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)));
        ensure!(told, "nothing of {words:?} in:\n{}", ended.stderr);
    }
    ensure!(
        !ended.stderr.contains("passport"),
        "it shows a value:\n{}",
        ended.stderr
    );
    let told = printed(&world.import(&settings, TO_ECHO)?, 1)?;
    ensure!(told["problems"][1]["line"] == 2_002, "{told}");

    file(world, &lines(0..2_000))?;
    ensure!(
        counts(world, &settings, TO_ECHO)? == [2_000, 0, 0],
        "something of the bad file was written"
    );
    Ok(())
}

fn killed(world: &World) -> Result {
    const ALL: u64 = 30_000;
    let settings = settings(world)?;
    file(world, &lines(0..ALL))?;
    // Somewhere in the writing: all that counts is that nothing is lost and nothing is in the way.
    world.import_killed_at(&settings, &["--handler", "echo", "states.jsonl"], "writing")?;
    let [added, replaced, same] = counts(world, &settings, TO_ECHO)?;
    ensure!(
        added + same == ALL && replaced == 0,
        "{added} added, {same} there already"
    );
    ensure!(counts(world, &settings, TO_ECHO)? == [0, 0, ALL], "not all are there");
    file(world, &lines(0..ALL + 5))?;
    ensure!(
        counts(world, &settings, TO_ECHO)? == [5, 0, ALL],
        "five were to be added"
    );
    Ok(())
}

fn refused(world: &World) -> Result {
    let good = settings(world)?;
    file(world, &lines(0..3))?;
    let stray = good.clone().set("stroe.url", "\"sqlite:elsewhere.db\"");
    let cases: &[(&Settings, &[&str], &[&str])] = &[
        (
            &good,
            &["--handler", "ehco", "states.jsonl"],
            &["no handler \"ehco\"", "echo"],
        ),
        (
            &good,
            &["--handler", "echo", "nowhere.jsonl"],
            &["nowhere.jsonl cannot be opened"],
        ),
        (&good, &["--handler", "echo", "."], &["cannot be read"]),
        (
            &stray,
            &["--handler", "echo", "states.jsonl"],
            &["did you mean `store`"],
        ),
        (
            &good.clone().set("store.url", "\"sqlite::memory:\""),
            &["--handler", "echo", "states.jsonl"],
            &["sqlite::memory:"],
        ),
    ];
    for (settings, arguments, words) in cases {
        let ended = world.import(settings, arguments)?;
        ensure!(ended.code() == 1, "{arguments:?}: {}", ended.status);
        for word in *words {
            ensure!(ended.stderr.contains(word), "nothing of {word:?} in:\n{}", ended.stderr);
        }
    }
    ensure!(
        world.import(&good, &["states.jsonl"])?.code() == 2,
        "no handler was named"
    );
    // Standard input is read twice too, and a token that only the host has is not asked for.
    let away = good.set("admin.listen", "\"0.0.0.0:3902\"");
    let piped = world.import_reading(&away, &["--handler", "echo", "-", "--json"], &lines(0..3))?;
    ensure!(printed(&piped, 0)?["counts"]["added"] == 3, "{}", piped.stdout);
    Ok(())
}
