//! The wall clock jumps, repeats a second, or stands still, while triggers wait for their next attempt.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;

use crate::checker::{Rules, Verdict};
use crate::{Result, Settings};

use super::lives::Target;
use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::short(
        "time-jumps",
        "the wall clock jumps an hour forward and back during back-off, and between a kill and the next start",
        jumps,
    ),
    Scenario::short("time-leap-second", "the wall clock repeats seconds", leap_second),
    Scenario::short(
        "time-stands-still",
        "the wall clock stands still, over a kill and a start too",
        stands_still,
    ),
];

const LONG: Duration = Duration::from_secs(20);
const HOUR: i64 = 3_600_000;
const JUMPS: Rules = Rules {
    rolled_back: false,
    clock_jumps: true,
    redriven: false,
};
/// Long enough for the clock to jump, and for a kill, between two attempts.
const RETRY: &str = r#"{ attempts = 4, first = "700ms", factor = 2.0, max = "2s" }"#;

/// A third of the events fail at first.
fn failing() -> Load {
    Load {
        rate: 200,
        failing: 300,
        ..Load::default()
    }
}

/// The clock of a run's hosts: a file that says what it shows.
struct Clock(PathBuf);

impl Clock {
    fn of(run: &Run<'_>) -> Result<(Self, Settings)> {
        let clock = Self(run.world.folder().join("clock"));
        clock.shows("0")?;
        let settings = run.settings_with(run.handler()?.set("retry", RETRY))?;
        let settings = settings.fault("CLOCK", &clock.0.to_string_lossy());
        Ok((clock, settings))
    }

    /// Never half written: a host may look at any moment.
    fn shows(&self, what: &str) -> Result {
        let next = self.0.with_extension("next");
        std::fs::write(&next, what)?;
        Ok(std::fs::rename(&next, &self.0)?)
    }

    fn is_ahead(&self, millis: i64) -> Result {
        self.shows(&millis.to_string())
    }
}

/// Waits until triggers wait for their next attempt.
fn until_some_wait(run: &Run<'_>, host: &crate::Host) -> Result {
    host.metrics_when("triggers wait for their next attempt", |metrics| {
        metrics.sum("sandman_parked_triggers", &[]).unwrap_or_default() > 0.0
    })?;
    run.for_a_while(Duration::from_millis(500));
    Ok(())
}

/// The `timestamp` of each event that came out, to the hour of its day, in the order of a partition.
fn hours(run: &Run<'_>) -> Result<BTreeSet<String>> {
    let [first, _] = run.output_topics();
    let events = run.world.all_of(first)?;
    let hour = |time: &str| time.get(..13).unwrap_or_default().to_owned();
    Ok(events
        .iter()
        .map(|event| hour(event.json()["timestamp"].as_str().unwrap_or_default()))
        .collect())
}

/// How often an event tells of an earlier time than the one before it in its partition.
fn steps_back(run: &Run<'_>) -> Result<usize> {
    let [first, _] = run.output_topics();
    let mut times: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for event in run.world.all_of(first)? {
        let time = event.json()["timestamp"].as_str().unwrap_or_default().to_owned();
        times.entry(event.partition).or_default().push(time);
    }
    let back = |times: &Vec<String>| times.windows(2).filter(|pair| pair[1] < pair[0]).count();
    Ok(times.values().map(back).sum())
}

fn jumps(run: &Run<'_>) -> Result<Verdict> {
    let (clock, settings) = Clock::of(run)?;
    let mut host = run.host(&settings)?;
    let host = run.under(&failing(), || {
        for round in 0..run.size(1, 5) {
            // There and back again, beginning with either.
            let there = if (round + run.seed).is_multiple_of(2) {
                HOUR
            } else {
                -HOUR
            };
            for ahead in [there, 0, -there] {
                run.until_seen(50, LONG);
                until_some_wait(run, &host)?;
                clock.is_ahead(ahead)?;
                run.fault();
            }
            run.until_seen(50, LONG);
            until_some_wait(run, &host)?;
            // Due in an hour, or an hour ago, as the next host reads it.
            run.kill(host, Target::EventsAndRequests)?;
            clock.is_ahead(there)?;
            host = run.host(&settings)?;
            run.until_seen(50, LONG);
            clock.is_ahead(0)?;
        }
        run.until_seen(100, LONG);
        Ok(host)
    })?;
    let hours = hours(run)?;
    ensure!(hours.len() >= 3, "the clock did not jump for the host: {hours:?}");
    run.finish_by(host, JUMPS)
}

fn leap_second(run: &Run<'_>) -> Result<Verdict> {
    let (clock, settings) = Clock::of(run)?;
    let mut host = run.host(&settings)?;
    let host = run.under(&failing(), || {
        for second in 1..=run.size(5, 30) {
            until_some_wait(run, &host)?;
            clock.is_ahead(-1000 * (1 + (second - 1) % 5))?;
            run.fault();
            run.for_long(Duration::from_secs(1));
            if second % 5 == 0 {
                // The next host is on time again: what it publishes is later than all that the last one did.
                run.kill(host, Target::EventsAndRequests)?;
                clock.is_ahead(0)?;
                host = run.host(&settings)?;
            }
        }
        run.until_seen(100, LONG);
        Ok(host)
    })?;
    let back = steps_back(run)?;
    ensure!(
        back > 0,
        "no event is earlier than the one before it: the clock did not go back for the host"
    );
    run.finish_by(host, JUMPS)
}

fn stands_still(run: &Run<'_>) -> Result<Verdict> {
    let (clock, settings) = Clock::of(run)?;
    let mut host = run.host(&settings)?;
    let at = "still 1700000000000";
    let host = run.under(&failing(), || {
        for _ in 0..run.size(1, 5) {
            until_some_wait(run, &host)?;
            clock.shows(at)?;
            run.fault();
            run.until_seen(100, LONG);
            until_some_wait(run, &host)?;
            host = run.kill_and_start(host, &settings, Target::EventsAndRequests)?;
            run.until_seen(100, LONG);
            until_some_wait(run, &host)?;
            clock.is_ahead(0)?;
            run.fault();
            run.until_seen(100, LONG);
        }
        Ok(host)
    })?;
    let hours = hours(run)?;
    ensure!(
        hours.contains("2023-11-14T22"),
        "the clock did not stand still for the host: {hours:?}"
    );
    run.finish_by(host, JUMPS)
}
