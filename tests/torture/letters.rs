//! Dead letters that are redriven, keys that are held and released, and stores of both that are full, while hosts die.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use witness::Asked;

use crate::checker::{Expected, Rules, Verdict};
use crate::wait::eventually;
use crate::{Ask, Host, Result, Settings};

use super::lives::Target;
use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::short(
        "letters-redriven",
        "kill -9 while dead letters are redriven and new events of their keys come",
        redriven,
    ),
    Scenario::short(
        "letters-released",
        "kill -9 while keys are held, and while what waited for them is released",
        released,
    ),
    Scenario::long(
        "letters-half-fail",
        "a handler fails for half of its keys, is killed, and handles them after all",
        half_fail,
    ),
    Scenario::long(
        "letters-full",
        "more dead letters than the store keeps: the oldest go, and all of them are on Kafka",
        full,
    ),
    Scenario::long(
        "letters-hold-full",
        "more waits for held keys than the store keeps, and the host is killed",
        hold_full,
    ),
    Scenario::long(
        "letters-recordings",
        "recordings at their bound while hosts die: what is kept is replayed to the byte",
        recordings,
    ),
];

/// Thousands of steps for each: letters are not all redriven before a kill.
const BURN: u64 = 60_000;
/// With so many attempts everything that fails at first is handled.
const ENOUGH: u32 = 5;

/// A handler that gives up after so many attempts.
fn settings(run: &Run<'_>, exhausted: &str, attempts: u32) -> Result<Settings> {
    let retry = format!("{{ attempts = {attempts}, first = \"10ms\", max = \"50ms\" }}");
    let handler = run.handler()?.set("retry", &retry).set("limits.time", "\"10s\"");
    run.settings_with(handler.set("exhausted", &format!("\"{exhausted}\"")))
}

/// The same with as many attempts as it takes, and one thread for it: it is not done before a kill.
fn mending(run: &Run<'_>, exhausted: &str) -> Result<Settings> {
    Ok(settings(run, exhausted, ENOUGH)?.set("host.workers", "1"))
}

/// Events that fail so often in a thousand, and take their time.
fn failing(keys: usize, failing: u32) -> Load {
    Load {
        keys,
        failing,
        refused: 0,
        burn: BURN,
        ..Load::default()
    }
}

/// Events and requests that do not fail, beside what is redriven.
fn beside(keys: usize) -> Load {
    Load {
        keys,
        failing: 0,
        refused: 0,
        ..Load::light()
    }
}

/// The letters that the host has: how many, and the newest `most` of them.
fn letters(host: &Host, most: usize) -> Result<(usize, Vec<Value>)> {
    let asked = json!({ "letters": {}, "limit": most });
    let told = host
        .operator()
        .ask(&Ask::new("POST", "/v1/letters/search").json(&asked))?
        .has(200)?;
    let count = told["count"].as_u64().context("no count of letters")?;
    let all = told["letters"].as_array().cloned();
    Ok((usize::try_from(count)?, all.context("no letters")?))
}

fn count(host: &Host) -> Result<usize> {
    Ok(letters(host, 1)?.0)
}

/// Waits until there are so many of something or fewer, for as long as they become fewer: a slow machine may need longer for
/// all of them than anything is waited for.
fn falls(what: &str, wanted: i64, count: impl Fn() -> Result<i64>) -> Result {
    let mut last = count()?;
    while last > wanted {
        last = eventually(&format!("there are fewer {what} than {last}"), || {
            let now = count()?;
            Ok((now < last).then_some(now))
        })?;
    }
    Ok(())
}

/// Waits until the host has so many letters or fewer.
fn at_most(host: &Host, wanted: usize) -> Result {
    falls("letters", i64::try_from(wanted)?, || {
        host.still_runs()?;
        Ok(i64::try_from(count(host)?)?)
    })
}

/// Waits until every record is handled, given up or held.
fn taken_in(run: &Run<'_>, host: &Host) -> Result {
    falls("records to handle", 0, || {
        host.still_runs()?;
        run.lag()
    })
}

/// Has all letters redriven.
fn redrive(host: &Host) -> Result {
    let order = json!({ "letters": {}, "all": true });
    let asked = host
        .operator()
        .ask(&Ask::new("POST", "/v1/letters/redrive").json(&order))?;
    let ordered = asked.has(200)?["ordered"].as_u64();
    ensure!(ordered > Some(0), "nothing was ordered");
    Ok(())
}

/// Releases the keys of a load that are held; says how many.
fn release(host: &Host, keys: usize) -> Result<usize> {
    let mut released = 0;
    for key in 0..keys {
        let order = json!({ "key": format!("user-{key}") });
        let asked = host
            .operator()
            .ask(&Ask::new("POST", "/v1/letters/release").json(&order))?;
        released += asked.has(200)?["released"].as_array().map_or(0, Vec::len);
    }
    Ok(released)
}

/// Kills the host again and again while its letters become fewer, down to `rest`, and says how often that hit it in the midst
/// of it.
fn killed_meanwhile(run: &Run<'_>, mut host: Host, settings: &Settings, rest: usize) -> Result<Host> {
    let (kills, mut hits) = (run.size(3, 10), Vec::new());
    for round in 0..kills {
        let left = count(&host)?;
        if left <= rest {
            break;
        }
        at_most(&host, left - ((left - rest) / (kills - round + 2)).max(1))?;
        host = run.kill_and_start(host, settings, Target::Letters)?;
        hits.push(count(&host)?);
        if round % 3 == 1 {
            run.for_a_while(Duration::from_millis(300));
            host = run.kill_and_start(host, settings, Target::Start)?;
        }
    }
    hits.retain(|left| *left > rest);
    ensure!(
        !hits.is_empty(),
        "all was done before the first kill: this shows nothing"
    );
    run.note(format!("letters that were left after kills: {hits:?}"));
    at_most(&host, rest)?;
    Ok(host)
}

fn redriven(run: &Run<'_>) -> Result<Verdict> {
    let host = run.host(&settings(run, "dead-letter", 1)?)?;
    let load = Load {
        refused: 20,
        ..failing(40, 500)
    };
    run.send(&load, run.size(1_200, 8_000))?;
    run.journal.expect_of_failing(Expected::Redriven);
    taken_in(run, &host)?;
    let all = count(&host)?;
    let mending = mending(run, "dead-letter")?;
    let host = run.kill_and_start(host, &mending, Target::Events)?;
    ensure!(count(&host)? == all, "letters came or went with a kill");
    redrive(&host)?;
    let refused = run.journal.refused();
    let host = run.under(&beside(40), || killed_meanwhile(run, host, &mending, refused))?;
    // What is refused fails again, once: the order was carried out for each exactly once.
    eventually("each of those that are refused has failed again", || {
        let left = letters(&host, 1_000)?.1;
        let again = left.iter().filter(|letter| letter["redriven"] == 1).count();
        Ok((again == refused).then_some(()))
    })?;
    let rules = Rules {
        redriven: true,
        ..Rules::default()
    };
    run.finish_by(host, rules)
}

/// Keys, of which each is held soon.
const HELD: usize = 12;

fn released(run: &Run<'_>) -> Result<Verdict> {
    let holding = settings(run, "hold-key", 1)?;
    let host = run.host(&holding)?;
    let inputs = run.size(900, 5_000);
    run.send(&failing(HELD, 100), inputs)?;
    run.journal.expect_of_failing(Expected::Released);
    eventually("something waits", || Ok((count(&host)? > 50).then_some(())))?;
    let host = run.kill_and_start(host, &holding, Target::Consumer)?;
    taken_in(run, &host)?;
    let held = count(&host)?;
    ensure!(held > inputs / 2, "{held} of {inputs} wait: keys are not held");
    let mending = mending(run, "hold-key")?;
    let host = run.kill_and_start(host, &mending, Target::Start)?;
    ensure!(count(&host)? == held, "what waits came or went with a kill");
    let keys = release(&host, HELD)?;
    run.note(format!("{held} letters waited for {keys} keys"));
    // Few: they wait behind what is being released.
    let few = Load {
        rate: 15,
        ..beside(HELD)
    };
    let host = run.under(&few, || killed_meanwhile(run, host, &mending, HELD))?;
    eventually("no key is held", || {
        host.still_runs()?;
        // A letter that should have held its key and did not is nothing that a release takes: the checker judges it.
        let is_held = |letter: &Value| letter["held"].is_string();
        Ok((!letters(&host, 1_000)?.1.iter().any(is_held)).then_some(()))
    })?;
    run.finish(host)
}

fn half_fail(run: &Run<'_>) -> Result<Verdict> {
    let twice = settings(run, "dead-letter", 2)?;
    let mut host = run.host(&twice)?;
    for _ in 0..run.size(3, 12) {
        let enter = |n: u64| {
            let fails = if n.is_multiple_of(2) { 3 } else { 0 };
            let asked = Asked {
                fails,
                burn: BURN / 2,
                ..Asked::default()
            };
            run.enter(&format!("user-{}", n % 40), asked)
        };
        let inputs: Vec<_> = (0..run.size(200, 1_000)).map(enter).collect();
        run.send_all(&inputs)?;
        run.until_seen(run.below(50) as usize, Duration::from_secs(20));
        host = run.kill_and_start(host, &twice, Target::Events)?;
    }
    let given_up = run.journal.expect_of_failing(Expected::Redriven);
    taken_in(run, &host)?;
    let letters = count(&host)?;
    ensure!(
        letters == given_up,
        "{letters} letters of {given_up} that were given up"
    );
    let mending = mending(run, "dead-letter")?;
    let host = run.kill_and_start(host, &mending, Target::Events)?;
    redrive(&host)?;
    let host = killed_meanwhile(run, host, &mending, 0)?;
    let rules = Rules {
        redriven: true,
        ..Rules::default()
    };
    run.finish_by(host, rules)
}

/// Bytes that a store keeps where it is to be full.
const LITTLE: &str = "\"64KiB\"";
const LITTLE_BYTES: f64 = 65_536.0;

fn full(run: &Run<'_>) -> Result<Verdict> {
    let giving_up = settings(run, "dead-letter", 1)?.set("store.dead_letters", LITTLE);
    let mut host = run.host(&giving_up)?;
    let load = Load {
        burn: 0,
        ..failing(40, 500)
    };
    let host = run.under(&load, || {
        for _ in 0..run.size(2, 10) {
            run.until_seen(run.size(300, 1_000), Duration::from_secs(60));
            host = run.kill_and_start(host, &giving_up, Target::EventsAndRequests)?;
        }
        run.until_seen(run.size(300, 1_000), Duration::from_secs(60));
        Ok(host)
    })?;
    taken_in(run, &host)?;
    // Those that were not on Kafka stayed; the next letters have them go.
    let bytes = eventually("the store keeps no more than it may", || {
        run.send(&failing(40, 1_000), 1)?;
        let bytes = host.metrics()?.sum("sandman_dead_letter_bytes", &[]);
        Ok(bytes.filter(|bytes| (1.0..=LITTLE_BYTES).contains(bytes)))
    })?;
    let given_up = run.journal.expect_of_failing(Expected::GivenUp);
    taken_in(run, &host)?;
    let kept = count(&host)?;
    ensure!(
        kept > 10 && kept < given_up / 2,
        "{kept} of {given_up} letters are kept"
    );
    run.note(format!("{kept} of {given_up} letters are kept, in {bytes} bytes"));
    // What is kept can be redriven; of the rest the records are on Kafka.
    let mending = mending(run, "dead-letter")?.set("store.dead_letters", LITTLE);
    let host = run.kill_and_start(host, &mending, Target::Events)?;
    redrive(&host)?;
    at_most(&host, 0)?;
    let rules = Rules {
        redriven: true,
        ..Rules::default()
    };
    run.finish_by(host, rules)
}

fn hold_full(run: &Run<'_>) -> Result<Verdict> {
    let little = |settings: Settings| settings.set("host.parked", "50").set("store.held", LITTLE);
    let holding = little(settings(run, "hold-key", 1)?);
    let mut host = run.host(&holding)?;
    let load = failing(HELD, 100);
    run.send(&load, run.size(1_500, 6_000))?;
    run.journal.expect_of_failing(Expected::Released);
    let says_so = |host: &Host| {
        eventually("the host says that the hold is full", || {
            let health = host.operator().get("/health")?.json();
            let reason = health["handlers"][0]["reason"].as_str().unwrap_or_default().to_owned();
            Ok(reason.contains("store.held").then_some(()))
        })
    };
    says_so(&host)?;
    for _ in 0..run.size(2, 8) {
        host = run.kill_and_start(host, &holding, Target::Start)?;
        says_so(&host)?;
    }
    let still = count(&host)?;
    let bytes = host.metrics_when("the size of what waits is known", |metrics| {
        metrics.sum("sandman_held_bytes", &[]) > Some(LITTLE_BYTES / 2.0)
    })?;
    let bytes = bytes.sum("sandman_held_bytes", &[]).unwrap_or_default();
    // The letters that hold the keys come on top.
    ensure!(bytes < 2.0 * LITTLE_BYTES, "{still} letters wait, in {bytes} bytes");
    run.send(&load, 100)?;
    run.journal.expect_of_failing(Expected::Released);
    let mending = little(mending(run, "hold-key")?);
    host = run.kill_and_start(host, &mending, Target::Start)?;
    let keys = release(&host, HELD)?;
    run.note(format!(
        "{still} letters of {keys} keys are all that the store keeps, in {bytes} bytes"
    ));
    host = killed_meanwhile(run, host, &mending, 0)?;
    run.finish(host)
}

/// Recordings of an exported file, by line.
fn exported(run: &Run<'_>, file: &str) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(run.world.folder().join(Path::new(file)))?;
    let lines = text.lines().map(|line| Ok(serde_json::from_str(line)?));
    lines.collect()
}

fn recordings(run: &Run<'_>) -> Result<Verdict> {
    let handler = run.handler()?.set("record", "{ rate = 1000, keep = \"64KiB\" }");
    let settings = run.settings_with(handler)?;
    let mut host = run.host(&settings)?;
    let load = Load {
        failing: 100,
        refused: 50,
        ..Load::default()
    };
    let host = run.under(&load, || {
        for _ in 0..run.size(3, 15) {
            run.until_seen(run.size(200, 1_000), Duration::from_secs(60));
            host = run.kill_and_start(host, &settings, Target::EventsAndRequests)?;
        }
        run.until_seen(run.size(200, 1_000), Duration::from_secs(60));
        Ok(host)
    })?;
    run.settle(&host)?;
    let bytes = host.metrics()?.sum("sandman_recording_bytes", &[]).unwrap_or_default();
    let gone = host.metrics()?.sum("sandman_recording_bytes_gone_total", &[]);
    ensure!(
        bytes > 0.0 && bytes <= LITTLE_BYTES,
        "{bytes} bytes of recordings are kept"
    );
    ensure!(gone > Some(0.0), "no recording made room: this shows nothing");
    let command = |arguments: &[&str]| run.world.command(&[arguments, &["--host", host.admin()]].concat(), &[]);
    let written = command(&["recordings", "witness", "--export", "all.jsonl"])?;
    ensure!(written.code() == 0, "{written:?}");
    let kept = exported(run, "all.jsonl")?;
    let failures = kept.iter().filter(|kept| kept["outcome"]["failed"].is_object()).count();
    run.note(format!(
        "{} recordings are kept in {bytes} bytes, {failures} of them failures",
        kept.len()
    ));
    ensure!(
        failures > 0 && failures < kept.len(),
        "{failures} failures of {}",
        kept.len()
    );
    let again = command(&["replay", "all.jsonl"])?;
    ensure!(
        again.code() == 0 && again.stdout.contains("the same outcome for each, to the byte"),
        "{again:?}"
    );
    run.finish(host)
}
