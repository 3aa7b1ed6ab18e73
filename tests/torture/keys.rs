//! Keys that fail, keys that are hot, and keys without number.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use witness::Asked;

use crate::checker::{Expected, Verdict};
use crate::wait::PATIENCE;
use crate::{Host, Result, Settings, eventually};

use super::lives::Target;
use super::vitals::Vitals;
use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::short(
        "keys-poison",
        "one key fails for ever while thousands of others are answered; what waits behind it is bounded",
        poison,
    ),
    Scenario::short(
        "keys-hot",
        "one key has nine tenths of the load, and the host is killed",
        hot,
    ),
    Scenario::short(
        "keys-queue-full",
        "the producer's queue holds less than a commit publishes",
        queue_full,
    ),
    Scenario::short(
        "keys-above-watermark",
        "kill -9 while a key in back-off holds the offset that is done below thousands that are",
        above_watermark,
    ),
    Scenario::long(
        "keys-million",
        "a million distinct keys: nothing is lost and memory is bounded",
        million,
    ),
];

const LONG: Duration = Duration::from_secs(20);
/// More attempts than a run has time for.
const FOR_EVER: &str = r#"{ attempts = 1000, first = "100ms", factor = 1.5, max = "500ms" }"#;
/// What a partition may hold behind keys in back-off, where a scenario shows the bound; past it nothing more is read.
const PARKED: usize = 200;
/// What may be in memory and not behind a back-off: it may come to wait there once it was read.
const IN_FLIGHT: usize = 500;

/// A load without failures of its own.
fn calm(keys: usize) -> Load {
    Load {
        keys,
        failing: 0,
        refused: 0,
        ..Load::default()
    }
}

/// Settings whose handler never gives up.
fn never_giving_up(run: &Run<'_>) -> Result<Settings> {
    let settings = run.settings_with(run.handler()?.set("retry", FOR_EVER))?;
    Ok(settings
        .set("host.parked", &PARKED.to_string())
        .set("host.in_flight", &IN_FLIGHT.to_string()))
}

/// Inputs of one key; the first of them fails for ever.
fn poisoned(run: &Run<'_>, key: &str, count: usize) -> Result {
    let asked = |n| Asked {
        fails: if n == 0 { u64::MAX } else { 0 },
        ..Asked::default()
    };
    let inputs: Vec<(Arc<str>, Asked)> = (0..count).map(|n| run.enter(key, asked(n))).collect();
    if let Some((_, first)) = inputs.first() {
        run.journal.expect(first.id, Expected::DeadLetter);
    }
    run.send_all(&inputs)?;
    run.fault();
    Ok(())
}

fn parked(host: &Host) -> Result<usize> {
    let parked = host.metrics()?.sum("sandman_parked_triggers", &[]);
    Ok(parked.unwrap_or_default() as usize)
}

fn poison(run: &Run<'_>) -> Result<Verdict> {
    let settings = never_giving_up(run)?;
    let host = run.host(&settings)?;
    // Fewer than the bound wait behind it: nobody else is disturbed.
    poisoned(run, "poison", 20)?;
    host.metrics_when("the key is in back-off", |metrics| {
        metrics.sum("sandman_parked_triggers", &[]).unwrap_or_default() >= 19.0
    })?;
    let others = run.size(1_000, 10_000);
    let (before, load) = (run.seen()[1], calm(others));
    run.send(&load, others)?;
    run.send(&load, others)?;
    eventually("all others are answered", || {
        host.still_runs()?;
        Ok((run.seen()[1] >= before + 2 * others).then_some(()))
    })?;
    // Now and then it is tried, and not parked for that moment.
    eventually("the key fails still", || Ok((parked(&host)? >= 19).then_some(())))?;

    // Far past the bound: the partition is held, and no more is in memory than the bounds say.
    poisoned(run, "flood", 10 * IN_FLIGHT)?;
    host.metrics_when("as many wait as may", |metrics| {
        metrics.sum("sandman_parked_triggers", &[]).unwrap_or_default() >= PARKED as f64
    })?;
    let end = Instant::now() + Duration::from_secs(run.size(3, 20));
    let mut most = 0;
    while Instant::now() < end {
        most = most.max(parked(&host)?);
        run.for_long(Duration::from_millis(100));
    }
    // The keys may share a partition or not.
    let bound = 2 * PARKED + IN_FLIGHT;
    ensure!(
        most <= bound,
        "{most} wait behind the keys, and the bounds come to {bound}"
    );
    run.note(format!("at most {most} of {} waited", 10 * IN_FLIGHT + 20));

    // With fewer attempts both are given up, and all that waited is answered.
    let host = run.kill_and_start(host, &run.settings()?, Target::Events)?;
    run.finish(host)
}

fn hot(run: &Run<'_>) -> Result<Verdict> {
    let settings = run.settings()?;
    let mut host = run.host(&settings)?;
    let load = Load {
        hot: 90,
        ..Load::default()
    };
    let count = run.size(1_000, 2_000);
    for _ in 0..run.size(1, 10) {
        let before = run.seen()[1];
        run.send(&load, count)?;
        run.until_seen(run.below(count as u64 / 2) as usize, LONG);
        let answered = run.seen()[1] - before;
        ensure!(answered < count, "all was answered before the kill: this shows nothing");
        host = run.kill_and_start(host, &settings, Target::Events)?;
        // Most of it, so that a slow machine has no more to catch up with at the end.
        run.until_seen((before + count * 9 / 10).saturating_sub(run.seen()[1]), PATIENCE);
    }
    run.send(&load, count)?;
    run.finish(host)
}

fn queue_full(run: &Run<'_>) -> Result<Verdict> {
    // A commit of 200 units has 400 records.
    let settings = run
        .settings()?
        .set("host.batch", "200")
        .set("kafka.options.\"queue.buffering.max.messages\"", "7");
    let mut host = run.host(&settings)?;
    for round in 0..run.size(2, 10) {
        run.send(&Load::default(), run.size(1_000, 3_000))?;
        if round > 0 {
            run.until_seen(run.below(500) as usize, LONG);
            host = run.kill_and_start(host, &settings, Target::Events)?;
        }
    }
    run.send(&Load::default(), run.size(1_000, 3_000))?;
    run.settle(&host)?;
    let metrics = host.metrics()?;
    let units = |name: &str| {
        metrics
            .sum(&format!("sandman_commit_units{name}"), &[])
            .unwrap_or_default()
    };
    ensure!(
        2.0 * units("_sum") > 7.0 * units("_count"),
        "commits held {} units on the average, of two events each: the queue was never full",
        units("_sum") / units("_count")
    );
    run.finish(host)
}

fn above_watermark(run: &Run<'_>) -> Result<Verdict> {
    let settings = never_giving_up(run)?;
    let mut host = run.host(&settings)?;
    for key in 0..6 {
        poisoned(run, &format!("low-{key}"), 2)?;
    }
    let load = calm(run.size(200, 2_000));
    for _ in 0..run.size(2, 8) {
        let (count, before) = (run.size(600, 1_500), run.seen()[1]);
        run.send(&load, count)?;
        // Nearly all, so that what is done lies in pieces.
        let wanted = before + count - run.below(count as u64 / 4) as usize;
        eventually("most are answered", || {
            host.still_runs()?;
            Ok((run.seen()[1] >= wanted).then_some(()))
        })?;
        let (behind, seen) = (run.lag()?, run.seen()[1]);
        ensure!(
            usize::try_from(behind)? > seen / 2,
            "{behind} records behind, and {seen} are answered: no key holds the offset"
        );
        host = run.kill_and_start(host, &settings, Target::Events)?;
    }
    // It tries the keys that fail again; all others are done.
    let host = run.kill_and_start(host, &run.settings()?, Target::Consumer)?;
    run.finish(host)
}

/// So many events are sent, and answered, at a time.
const AT_ONCE: u64 = 5_000;
/// What the bounds of the settings below come to, with the host itself and a wide margin for what has none of its own:
/// the sandbox's pool, SQLite's pages, the client library's threads.
const MEMORY: u64 = 400 << 20;
/// What it may grow by between three fifths of the keys and all of them.
const GROWTH: u64 = 64 << 20;

fn million(run: &Run<'_>) -> Result<Verdict> {
    let settings = run
        .settings()?
        .set("host.batch", "2000")
        .set("host.cache", "\"32MiB\"")
        .set("host.in_flight", "5000")
        .set("host.in_flight_bytes", "\"16MiB\"")
        .set("kafka.options.\"queued.max.messages.kbytes\"", "8192");
    let mut host = run.host(&settings)?;
    let keys: u64 = run.size(50_000, 1_000_000);
    let mut early = 0;
    for first in (0..keys).step_by(AT_ONCE as usize) {
        let enter = |n| run.enter(&format!("user-{n}"), Asked::default());
        let inputs: Vec<_> = (first..keys.min(first + AT_ONCE)).map(enter).collect();
        run.send_all(&inputs)?;
        if first == keys / 2 {
            host = run.kill_and_start(host, &settings, Target::Events)?;
        }
        if first == keys * 6 / 10 {
            early = Vitals::of(&host)?.memory;
        }
    }
    let mut seen = 0;
    while run.seen()[1] < keys as usize {
        host.still_runs()?;
        ensure!(run.seen()[1] > seen, "nothing came for a minute after {seen} of {keys}");
        seen = run.seen()[1];
        run.until_seen(keys as usize - seen, Duration::from_secs(60));
    }
    let vitals = Vitals::of(&host)?;
    run.note(format!(
        "{keys} keys: at most {} MiB, {} MiB after three fifths of them, {} MiB at the end",
        vitals.peak >> 20,
        early >> 20,
        vitals.memory >> 20
    ));
    ensure!(
        vitals.peak <= MEMORY,
        "the host took {} MiB for {keys} keys, and its bounds come to {} MiB",
        vitals.peak >> 20,
        MEMORY >> 20
    );
    ensure!(vitals.memory <= early + GROWTH, "it grows with the keys");
    run.finish(host)
}
