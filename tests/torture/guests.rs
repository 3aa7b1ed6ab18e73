//! Guests that do their worst, beside one that works.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::checker::Verdict;
use crate::consumer::Seen;
use crate::wait::PATIENCE;
use crate::{Event, Handler, Host, Result, bomb, grafted, guest};

use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::short(
        "guests-deeds",
        "guests loop, allocate, recurse, flood, lie, leave secrets and trap beside one that works",
        deeds,
    ),
    Scenario::long(
        "guests-deeds-unpooled",
        "the same where instances come from no pool",
        deeds_unpooled,
    ),
    Scenario::long(
        "guests-bombs",
        "components that explode when they are compiled or instantiated are deployed beside one that works",
        bombs,
    ),
    Scenario::long(
        "guests-bombs-unpooled",
        "the same where instances come from no pool",
        bombs_unpooled,
    ),
];

const SECRET: &str = "a secret of 32 bytes, to be found";

/// A deed, how much of it, and how the host counts it: its label in `sandman_invocations_total`.
const DEEDS: &[(&str, u64, &str)] = &[
    ("loop", 0, "exceeded"),
    ("log-for-ever", 0, "exceeded"),
    ("allocate", 0, "exceeded"),
    ("recurse", 0, "trap"),
    ("return-much", 32 << 20, "exceeded"),
    ("many-events", 1_000_000, "exceeded"),
    ("panic", 0, "trap"),
    ("trap", 0, "trap"),
    ("hide-then-trap", 0, "trap"),
    ("undeclared", 0, "contract"),
    ("bad-metadata", 0, "contract"),
    ("log-garbage", 0, "trap"),
    ("log-beyond", 0, "trap"),
    ("reject-garbage", 0, "trap"),
    ("reject-beyond", 0, "trap"),
    ("flood-log", 20_000, DONE),
    ("look", 0, DONE),
];

/// It is done all the same; all others become dead letters.
const DONE: &str = "ok";

/// The same guest, with an instance for each invocation, and with instances that are used again.
const HANDLERS: [(&str, &str, &str); 2] = [
    ("fresh", "hostile.told", "\"fresh\""),
    ("reused", "hostile.kept", "\"reused\""),
];

fn deeds(run: &Run<'_>) -> Result<Verdict> {
    deeds_with(run, "pooling")
}

fn deeds_unpooled(run: &Run<'_>) -> Result<Verdict> {
    deeds_with(run, "on-demand")
}

fn deeds_with(run: &Run<'_>, allocation: &str) -> Result<Verdict> {
    let mut settings = run.settings()?.set("host.allocation", &format!("{allocation:?}"));
    for (name, topic, instances) in HANDLERS {
        let topic = run.world.make_topic(topic)?;
        settings = settings.handler(
            Handler::new(name, &guest("hostile")?)
                .consumes(&[&topic])
                .emits(&["hostile.done"])
                .set("instances", instances)
                .set(
                    "limits",
                    r#"{ time = "500ms", memory = "64MiB", output = "1MiB", events = 32, log = "4KiB" }"#,
                )
                .set("retry", "{ attempts = 1 }"),
        );
    }
    let host = run.host(&settings)?;
    run.under(&Load::default(), || {
        run.until_seen(50, PATIENCE);
        for round in 0..run.size(1, 15) {
            let before = run.answered_events();
            let sent = tell(run, round)?;
            hold(run, &host, (round, sent))?;
            let meanwhile = run.answered_events() - before;
            ensure!(meanwhile > 50, "{meanwhile} others were served meanwhile");
        }
        Ok(())
    })?;
    run.finish(host)
}

/// Sends the deeds to both handlers in any order; answers how many.
fn tell(run: &Run<'_>, round: usize) -> Result<usize> {
    let mut sent = 0;
    for (name, topic, _) in HANDLERS {
        let mut events: Vec<_> = DEEDS
            .iter()
            .map(|(deed, n, _)| {
                let text = if deed.contains("hide") || *deed == "look" {
                    SECRET
                } else {
                    "help!"
                };
                Event::told_with(&format!("{name}-{round}-{deed}"), deed, *n, text)
            })
            .collect();
        for place in (1..events.len()).rev() {
            events.swap(place, run.below(place as u64 + 1) as usize);
        }
        sent += events.len();
        run.world.send(&run.world.topic(topic), &events)?;
    }
    Ok(sent)
}

/// Holds what became of the deeds of all rounds so far against what was to become of them.
fn hold(run: &Run<'_>, host: &Host, (round, sent): (usize, usize)) -> Result {
    let done_each = DEEDS.iter().filter(|(_, _, outcome)| *outcome == DONE).count();
    let mut letters = BTreeMap::new();
    for (name, topic, _) in HANDLERS {
        let wanted = (DEEDS.len() - done_each) * (round + 1);
        let mut reader = run.world.dead_letters(&run.world.topic(topic))?;
        for letter in reader.until_count(wanted)? {
            letters.insert(letter.key_text(), letter.header("sandman.reason"));
        }
        ensure!(letters.keys().any(|key| key.starts_with(name)), "nothing of {name}");
    }
    let mut reader = run.world.reader(&run.world.topic("hostile.done"))?;
    let done = reader.until_count(done_each * HANDLERS.len() * (round + 1))?;
    for event in done.iter().filter(|event| event.key_text().ends_with("-look")) {
        let found = event.payload()["found"].as_u64();
        ensure!(
            found == Some(0),
            "{} found the secret {found:?} times",
            event.key_text()
        );
    }
    for (name, ..) in HANDLERS {
        for (deed, _, outcome) in DEEDS {
            let key = format!("{name}-{round}-{deed}");
            judge(&key, *outcome == DONE, letters.get(&key), done)?;
            run.fault();
        }
        let counted = host
            .metrics()?
            .sums("sandman_invocations_total", &[("handler", name)], "outcome");
        for outcome in ["exceeded", "trap", "contract"] {
            let each = DEEDS.iter().filter(|(_, _, wanted)| *wanted == outcome).count();
            let (count, wanted) = (counted.get(outcome).copied(), (each * (round + 1)) as u64);
            ensure!(
                count == Some(wanted),
                "{name}: {count:?} are counted as {outcome}, not {wanted}: {letters:?}"
            );
        }
    }
    ensure!(sent == DEEDS.len() * HANDLERS.len());
    Ok(())
}

fn judge(key: &str, is_harmless: bool, reason: Option<&String>, done: &[Seen]) -> Result {
    let is_done = done.iter().any(|event| event.key_text() == key);
    if is_harmless {
        ensure!(is_done && reason.is_none(), "{key} was not done: {reason:?}");
        return Ok(());
    }
    let reason = reason.with_context(|| format!("no dead letter of {key}"))?;
    ensure!(!is_done, "{key} was done, and given up as well: {reason}");
    Ok(())
}

/// A bomb.
struct Bomb {
    what: &'static str,
    /// What is grafted onto the guest.
    module: fn() -> Result<Vec<u8>>,
    /// How often it is instantiated.
    instances: usize,
    /// The stage at which it is refused, and what is said of it, in one of these ways.
    refusals: &'static [(&'static str, &'static str)],
}

/// Which of its bounds a compiler meets first depends on the machine.
const TOO_MUCH_TO_COMPILE: &[(&str, &str)] = &[
    (
        "compiled",
        "compiling took more than 30s of CPU time (host.compile_time)",
    ),
    ("compiled", "it may use 201326592 bytes of memory (host.compile_memory)"),
];

/// Where there are two refusals, the first is the pool's, and the second is that of a store without one.
const BOMBS: &[Bomb] = &[
    Bomb {
        what: "much to compile",
        module: || Ok(bomb(8, 50_000)),
        instances: 0,
        refusals: TOO_MUCH_TO_COMPILE,
    },
    Bomb {
        what: "large to compile",
        module: || Ok(bomb(4, 40_000)),
        instances: 0,
        refusals: TOO_MUCH_TO_COMPILE,
    },
    Bomb {
        what: "a large table",
        module: || text("(module (table 100000000 funcref))"),
        instances: 1,
        refusals: &[
            ("compiled", "100000000 which exceeds the limit of 20000"),
            ("instantiated", "100000000 elements exceeds table limits"),
        ],
    },
    Bomb {
        what: "a large memory",
        module: || text("(module (memory 65536))"),
        instances: 1,
        refusals: &[
            ("compiled", "4294967296 which exceeds the limit of 0x1000000 bytes"),
            ("instantiated", "more than its 16777216 bytes of memory"),
        ],
    },
    Bomb {
        what: "many tables",
        module: || text("(module (table 1 funcref) (table 1 funcref))"),
        instances: 10,
        refusals: &[
            ("compiled", "tables count of 2 exceeds the per-instance limit of 1"),
            ("instantiated", "table count too high"),
        ],
    },
    Bomb {
        what: "many instances",
        module: || text("(module)"),
        instances: 80,
        refusals: &[
            ("compiled", "exceeds the configured maximum of 64"),
            ("instantiated", "instance count too high at 65"),
        ],
    },
    Bomb {
        what: "a thousand instances",
        module: || text("(module)"),
        instances: 1_000,
        refusals: &[("world", "instances count exceeds limit of 1000")],
    },
    Bomb {
        what: "an endless start",
        module: || text("(module (func $f (loop (br 0))) (start $f))"),
        instances: 1,
        refusals: &[("instantiated", "of CPU time")],
    },
    Bomb {
        what: "a start that recurses",
        module: || text("(module (func $f (call $f)) (start $f))"),
        instances: 1,
        refusals: &[("instantiated", "its stack is exhausted")],
    },
];

fn text(module: &str) -> Result<Vec<u8>> {
    Ok(wat::parse_str(module)?)
}

fn bombs(run: &Run<'_>) -> Result<Verdict> {
    bombs_with(run, "pooling")
}

fn bombs_unpooled(run: &Run<'_>) -> Result<Verdict> {
    bombs_with(run, "on-demand")
}

fn bombs_with(run: &Run<'_>, allocation: &str) -> Result<Verdict> {
    let topic = run.world.make_topic("hostile.told")?;
    let handler = Handler::new("hostile", &guest("hostile")?)
        .consumes(&[&topic])
        .emits(&["hostile.done"])
        .set("limits", r#"{ time = "500ms" }"#);
    let settings = run
        .settings()?
        .set("host.allocation", &format!("{allocation:?}"))
        .set("host.compile_time", "\"30s\"")
        .set("host.compile_memory", "\"192MiB\"")
        .handler(handler);
    let host = run.host(&settings)?;
    run.under(&Load::default(), || {
        run.until_seen(50, PATIENCE);
        for _ in 0..run.size(1, 2) {
            for bomb in BOMBS {
                let before = run.answered_events();
                run.note(drop_one(&host, bomb)?);
                run.fault();
                run.until_seen(20, Duration::from_secs(20));
                ensure!(
                    run.answered_events() > before,
                    "{}: nobody was served meanwhile",
                    bomb.what
                );
            }
        }
        run.world.send(&topic, &[Event::told("ann", "nothing", 1)])?;
        run.world.reader(&run.world.topic("hostile.done"))?.until_count(1)?;
        Ok(())
    })?;
    run.finish(host)
}

/// Deploys it; answers how it is refused.
fn drop_one(host: &Host, bomb: &Bomb) -> Result<String> {
    let Bomb { what, refusals, .. } = bomb;
    let component = grafted("hostile", &(bomb.module)()?, bomb.instances)?;
    let mut passed = Vec::new();
    let last = host.deploy("hostile", &component, |stage| {
        passed.push(stage.to_owned());
        true
    })?;
    let last = last.with_context(|| format!("{what}: the deploy did not end"))?;
    let text = |name: &str| last[name].as_str().unwrap_or_default();
    let (stage, error) = (text("stage"), text("error"));
    let fits = |(at, words): &(&str, &str)| stage == *at && error.contains(words);
    ensure!(
        text("outcome") == "refused" && refusals.iter().any(fits),
        "{what}: {last} after {passed:?}"
    );
    ensure!(
        host.version("hostile")? == 1,
        "{what}: version 1 does not serve any more"
    );
    host.still_runs()?;
    Ok(format!("{what}: refused at {stage}: {error}"))
}
