//! A version that differs from itself is named, and a deploy that differs from what serves is for the handler to bear.

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, Event, Result, Settings, World, echo, hostile, reloaded, rewritten, stamped};
use serde_json::Value;

use super::time_travel::{ALL, recordings, run, says};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_guest_that_keeps_something_differs_from_itself", keeps_something),
    Behaviour::new("what_a_deploy_may_change_is_for_the_handler_to_say", bears),
    Behaviour::new(
        "a_call_that_met_a_state_is_recorded_with_it_and_replayed_on_it",
        met_a_state,
    ),
];

const BUG: &str = "its outcome does not depend on its input alone";

fn keeps_something(world: &World) -> Result {
    let told = world.make_topic("hostile.told")?;
    let with = |instances: &str| -> Result<Settings> {
        let handler = hostile(&[&told])?
            .set("record", ALL)
            .set("instances", &format!("{instances:?}"));
        Ok(world.settings()?.handler(handler))
    };
    let host = world.host(&with("reused")?)?;
    // Keys of their own, so that all of them are of the sample.
    let keep = |n: u64| Event::told(&format!("keeper-{n}"), "keep", 0);
    // Among many that are the same each time, and that it did before.
    let well: Vec<_> = (0..60)
        .map(|n| Event::told(&format!("key-{n}"), "nothing", n))
        .collect();
    world.send(&told, &well)?;
    let mut done = world.reader(&world.topic("hostile.done"))?;
    done.until_count(well.len())?;
    let mut kept = Value::Null;
    for n in 1..=3 {
        world.send(&told, &[keep(n as u64)])?;
        kept = done
            .until_count(well.len() + n)?
            .last()
            .context("nothing came")?
            .payload();
    }
    ensure!(kept["kept"] == 3, "its instances are not reused: {kept}");

    // What it makes of the same event depends on how often it was called.
    let differs = run(world, &host, &["diff", "hostile", "1", "1"], 1)?;
    let path = "events.hostile.done.payload.kept";
    let found = recordings(world, &host, "hostile")?;
    let bug = format!("BUG: version 1 differs from itself in 3 of {}", found.len());
    says(&differs, &[&bug, BUG, path])?;
    let differs = run(world, &host, &["diff", "hostile", "1", "1", "--json"], 1)?;
    let differs: Value = serde_json::from_str(&differs.stdout)?;
    ensure!(
        differs["impurities"][0]["path"] == path && differs["impurities"][0]["count"] == 3,
        "{differs:#}"
    );
    let last = found.first().context("nothing is recorded")?;
    let id = last["id"].as_str().unwrap_or_default().to_owned();
    let replayed = run(world, &host, &["replay", &id], 1)?;
    says(&replayed, &["BUG: this is the component that ran", BUG, path])?;
    // Another component, or another state, may well make something else of it.
    world.file("state.json", b"{}")?;
    let other = rewritten("hostile", "didattemptcount", "dodattemptcount")?;
    let other = world.file("other.wasm", &other)?;
    for more in [["--state", "state.json"], ["--component", &other]] {
        let replayed = run(world, &host, &[&["replay", &id][..], &more].concat(), 1)?;
        ensure!(!replayed.stdout.contains("BUG"), "{}", replayed.stdout);
    }

    // Where each call has an instance of its own, nothing is kept, and nothing differs.
    reloaded(world, &host, &with("fresh")?)?;
    world.send(&told, &[keep(4)])?;
    done.until_count(well.len() + 4)?;
    let same = run(world, &host, &["diff", "hostile", "1", "1"], 0)?;
    let found = recordings(world, &host, "hostile")?;
    let of_all = format!("have the same outcomes for {} recordings", found.len());
    says(&same, &["against itself", &of_all])?;
    let id = found
        .first()
        .and_then(|last| last["id"].as_str())
        .context("nothing is recorded")?;
    says(&run(world, &host, &["replay", id], 0)?, &["to the byte"])
}

fn bears(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let with = |replay: &str| -> Result<Settings> {
        let handler = echo(&[&input])?
            .set("record", ALL)
            .set("replay", &format!("{replay:?}"));
        Ok(world.settings()?.handler(handler))
    };
    let host = world.host(&with("strict")?)?;
    let things: Vec<Event> = (1..=10).map(|n| Event::thing(&format!("key-{n}"), n)).collect();
    world.send(&input, &things)?;
    world.reader(&world.topic("thing.counted"))?.until_count(things.len())?;
    let deploy = |file: &str, more: &[&str], code: i32| {
        let ended = run(world, &host, &[&["deploy", "echo", file], more].concat(), code)?;
        Ok::<_, anyhow::Error>([ended.stdout, ended.stderr].concat())
    };
    // The newest entry of the history: its outcome and what it says.
    let newest = || -> Result<(String, String)> {
        let history = host.operator().get("/v1/handlers/echo/history")?.has(200)?;
        let newest = history.get(0).context("no history")?;
        Ok((newest["outcome"].to_string(), newest["detail"].to_string()))
    };
    let serves = |number: u64| -> Result {
        let now = host.version("echo")?;
        ensure!(now == number, "version {now} serves, not {number}");
        Ok(())
    };
    let other = "10 with another outcome; value at events.thing.counted.payload.by (10)";

    let second = world.file("second.wasm", &stamped(2)?)?;
    let refused = deploy(&second, &[], 1)?;
    let words = [
        "refused at `replayed`",
        other,
        "--accept-diffs",
        "version 1 continues to serve",
    ];
    ensure!(words.iter().all(|word| refused.contains(word)), "{refused}");
    serves(1)?;
    let (outcome, detail) = newest()?;
    ensure!(
        outcome.contains("refused") && detail.contains(other),
        "{outcome}: {detail}"
    );

    let accepted = deploy(&second, &["--accept-diffs"], 0)?;
    ensure!(
        accepted.contains("accepted: ") && accepted.contains(other),
        "{accepted}"
    );
    serves(2)?;
    let (outcome, detail) = newest()?;
    ensure!(
        outcome.contains("active") && detail.contains("accepted: ") && detail.contains(other),
        "{outcome}: {detail}"
    );

    // Even one that fails for all of it, where nothing is replayed.
    let failing = rewritten("echo", "by1.0thing.happened", "by2.0thing.happened")?;
    let failing = world.file("failing.wasm", &failing)?;
    let refused = deploy(&failing, &[], 1)?;
    ensure!(refused.contains("new failure at outcome"), "{refused}");
    reloaded(world, &host, &with("off")?)?;
    let deployed = deploy(&failing, &[], 0)?;
    let off = "not replayed: `replay` of the handler is";
    ensure!(deployed.contains(off), "{deployed}");
    serves(3)?;
    let (outcome, detail) = newest()?;
    ensure!(
        outcome.contains("active") && detail.contains(off),
        "{outcome}: {detail}"
    );
    Ok(())
}

/// What a guest makes of an event depends on its state: without it a replay would make something else.
fn met_a_state(world: &World) -> Result {
    let told = world.make_topic("hostile.told")?;
    let host = world.host(&world.settings()?.handler(hostile(&[&told])?.set("record", ALL)))?;
    let mut done = world.reader(&world.topic("hostile.done"))?;
    for n in 1..=2 {
        world.send(&told, &[Event::told("ada", "well", n as u64)])?;
        done.until_count(n)?;
    }
    let found = recordings(world, &host, "hostile")?;
    let second = found.iter().find(|it| it["state"] == r#"{"count":1}"#);
    let second = second.with_context(|| format!("no recording has the state before it: {found:#?}"))?;
    ensure!(
        second["outcome"]["decided"]["state"]["put"] == r#"{"count":2}"#,
        "{second:#}"
    );
    let id = second["id"].as_str().unwrap_or_default();
    let same = run(world, &host, &["replay", id], 0)?;
    says(&same, &["is the recorded one, to the byte"])?;
    world.file("state.json", br#"{"count":7}"#)?;
    let other = run(world, &host, &["replay", id, "--state", "state.json"], 1)?;
    says(&other, &["value at state.count", "8"])
}
