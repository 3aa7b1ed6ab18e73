//! The host is killed or stopped, anywhere, or another takes its place.

use std::time::Duration;

use crate::checker::Verdict;
use crate::wait::eventually;
use crate::world::PARTITIONS;
use crate::{Host, Metrics, Result};

use super::gate::Gate;
use super::hosts::TRANSACTION_TIMEOUT;
use super::lives::Target;
use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::short("crash-anywhere", "kill -9 at random moments under load", anywhere),
    Scenario::short(
        "crash-at-every-step",
        "kill -9 at each step from consume to relay acknowledgement",
        at_every_step,
    ),
    Scenario::long(
        "crash-stopped",
        "stopped until its group, and Kafka's transaction, went on without it",
        stopped,
    ),
    Scenario::short(
        "crash-rival",
        "another relay takes the transactional id, in and between transactions",
        rival,
    ),
];

/// The steps that only events come to.
const OF_EVENTS: [&str; 2] = ["received", "offered"];

/// The steps of the way, as the environment writes them: first those that only events come to.
const STEPS: [&str; 15] = [
    "received",
    "offered",
    "taken",
    "ran",
    "queued",
    "folded",
    "written",
    "committed",
    "settled",
    "relayed",
    "begun",
    "pointed",
    "delivered",
    "visible",
    "acknowledged",
];

/// Steps at which the relay stands between two transactions, or in one.
const RELAYING: [&str; 4] = ["relayed", "begun", "pointed", "delivered"];

/// Longer than Kafka leaves a transaction open: 30 s, and up to 10 s until it looks.
const TRANSACTION_ENDED: Duration = Duration::from_secs(45);

/// No step is so far away from the next one under load.
const FAR: Duration = Duration::from_secs(30);

fn anywhere(run: &Run<'_>) -> Result<Verdict> {
    let settings = run.settings()?;
    let mut host = run.host(&settings)?;
    let host = run.under(&Load::default(), || {
        for round in 1..=run.size(3, 50) {
            run.at_work(&host, Target::EventsAndRequests)?;
            // While it catches up with what waited for it, and later.
            if round % 3 == 0 {
                run.until_caught_up(&host, Duration::from_secs(20))?;
            }
            run.until_seen(run.below(200) as usize, Duration::from_secs(20));
            run.for_a_while(Duration::from_millis(300));
            host = run.kill_and_start(host, &settings, Target::EventsAndRequests)?;
            if round % 5 == 0 {
                // And before anything has come to the new host.
                run.for_a_while(Duration::from_millis(300));
                host = run.kill_and_start(host, &settings, Target::Start)?;
            }
        }
        Ok(host)
    })?;
    run.finish(host)
}

fn at_every_step(run: &Run<'_>) -> Result<Verdict> {
    let settings = run.settings()?;
    let load = Load {
        keys: run.size(20, 100),
        rate: 100,
        ..Load::default()
    };
    let host = run.under(&load, || {
        for _ in 0..run.size(1, 2) {
            for step in STEPS {
                // Events and requests are on their way when it dies; what the next one finds is what this one left.
                let times = 1 + run.below(run.size(5, 60));
                run.dies_at(&settings, (step, times), Target::EventsAndRequests)?;
            }
        }
        for step in STEPS.iter().filter(|step| !OF_EVENTS.contains(step)) {
            // And while the next one puts right what the last one left, before it is given anything by Kafka.
            run.dies(&settings.clone().fault("CRASH", &format!("{step}:1")))?;
        }
        let host = run.host(&settings)?;
        goes_on(run, &host)?;
        Ok(host)
    })?;
    run.finish(host)
}

fn stopped(run: &Run<'_>) -> Result<Verdict> {
    // It stands still for longer than Kafka leaves its transaction open.
    let (gate, settings) = Gate::new(run, run.settings()?.without(TRANSACTION_TIMEOUT))?;
    let host = run.host(&settings)?;
    run.under(&Load::light(), || {
        for round in 0..run.size(1, 3) {
            run.until_seen(100, FAR);
            // In a transaction, so that the relay, too, has to find out that it was given up.
            run.at_work(&host, Target::EventsAndRequests)?;
            gate.hold(&host, RELAYING[1 + run.below(3) as usize])?;
            run.hits(&host, "stopped", Target::EventsAndRequests)?;
            host.freeze()?;
            let stranger = run.world.foreign_member("witness", run.input_topic())?;
            stranger.holds("everything", |held| held == PARTITIONS as usize)?;
            if round == 1 {
                run.for_long(TRANSACTION_ENDED);
            }
            gate.go_on()?;
            host.thaw()?;
            stranger.holds("no longer everything", |held| held < PARTITIONS as usize)?;
            stranger.leave();
            goes_on(run, &host)?;
        }
        Ok(())
    })?;
    run.finish(host)
}

fn rival(run: &Run<'_>) -> Result<Verdict> {
    let (gate, settings) = Gate::new(run, run.settings()?)?;
    let host = run.host(&settings)?;
    run.under(&Load::light(), || {
        for round in 0..run.size(4, 24) {
            run.until_seen(run.below(100) as usize, FAR);
            run.at_work(&host, Target::EventsAndRequests)?;
            gate.hold(&host, RELAYING[round % RELAYING.len()])?;
            run.hits(&host, "fenced by a rival", Target::EventsAndRequests)?;
            let failures = |metrics: &Metrics| {
                let failures = metrics.sum("sandman_relay_transaction_failures_total", &[]);
                failures.unwrap_or_default()
            };
            let before = failures(&host.metrics()?);
            let rival = run.world.rival()?;
            if run.below(2) == 0 {
                // The host stands still: nobody takes the id back in between.
                rival.write_and_abort(&run.output_topics()[0])?;
            }
            gate.go_on()?;
            host.metrics_when("the relay is fenced", |metrics| failures(metrics) > before)?;
            // A transaction of the rival that is under way when the host takes the id back ends there.
            eventually("the host takes the transactional id back", || {
                host.still_runs()?;
                let written = rival.write_and_abort(&run.output_topics()[0]);
                Ok(written.is_err().then_some(()))
            })?;
            goes_on(run, &host)?;
        }
        Ok(())
    })?;
    run.finish(host)
}

/// Waits until more inputs from Kafka are answered than a transaction that was under way may hold.
pub(super) fn goes_on(run: &Run<'_>, host: &Host) -> Result {
    let wanted = run.answered_events() + 50;
    eventually("the host goes on", || {
        host.still_runs()?;
        Ok((run.answered_events() >= wanted).then_some(()))
    })
}
