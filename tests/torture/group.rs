//! The group takes partitions away and gives them back.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use witness::Asked;

use crate::checker::Verdict;
use crate::world::PARTITIONS;
use crate::{Host, Result, World, eventually};

use super::gate::Gate;
use super::lives::Target;
use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::short(
        "group-strangers",
        "a foreign member joins and another leaves every half second; then one after the other, as the group can follow",
        strangers,
    ),
    Scenario::short(
        "group-back-at-once",
        "partitions are taken away and given back as soon as they are gone, under load",
        back_at_once,
    ),
    // Long, since it takes luck to take partitions away in the right moment of a machine of any speed.
    Scenario::long(
        "group-while-running",
        "partitions are taken away while handlers run for longer than a revocation waits",
        while_running,
    ),
    Scenario::long(
        "group-poll-interval",
        "a consumer that stands still is thrown out of its group, others read meanwhile, and it comes back",
        poll_interval,
    ),
];

const HALF: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_secs(20);

/// How often hosts of this world were told this of a partition.
pub(super) fn told(world: &World, what: &str) -> usize {
    let logged = world.logged();
    logged.iter().filter(|line| line.contains(what)).count()
}

/// How often a host of this world had to give a partition back.
fn revoked(world: &World) -> usize {
    told(world, "partition revoked")
}

/// Waits until the host has all partitions.
fn has_all(run: &Run<'_>) -> Result {
    eventually("the host has all partitions", || {
        let has = told(run.world, "partition assigned") - revoked(run.world);
        Ok((has == 3).then_some(()))
    })
}

fn strangers(run: &Run<'_>) -> Result<Verdict> {
    let host = run.host(&run.settings()?)?;
    run.under(&Load::default(), || {
        run.at_work(&host, Target::EventsAndRequests)?;
        let long = run.size(Duration::from_secs(6), Duration::from_secs(60));
        storm(run, long)?;
        // Where they come that fast, the group is hardly ever done with one, and few partitions move.
        let (end, enough) = (Instant::now() + long, run.size(1, 5));
        // On a slow machine most of them leave before they are given anything.
        while Instant::now() < end || (revoked(run.world) < enough && Instant::now() < end + LONG) {
            let stranger = run.world.foreign_member("witness", run.input_topic())?;
            run.for_long(HALF);
            // Answers when the group has heard it.
            stranger.leave();
            run.fault();
        }
        run.until_seen(50, LONG);
        Ok(())
    })?;
    let moved = revoked(run.world);
    run.note(format!(
        "{} strangers came and left; {moved} times a partition was taken away for one",
        run.faults()
    ));
    ensure!(
        moved >= run.size(1, 5),
        "partitions were taken away {moved} times: this shows nothing"
    );
    run.finish(host)
}

/// Every half second one comes and the one before it goes, whatever the group has heard of them.
fn storm(run: &Run<'_>, long: Duration) -> Result {
    let (mut beat, end) = (Instant::now(), Instant::now() + long);
    thread::scope(|scope| {
        let mut last = None;
        while beat < end {
            let stranger = run.world.foreign_member("witness", run.input_topic())?;
            if let Some(last) = last.replace(stranger) {
                scope.spawn(|| last.leave());
            }
            run.fault();
            beat += HALF;
            run.for_long(beat.saturating_duration_since(Instant::now()));
        }
        Ok(())
    })
}

fn back_at_once(run: &Run<'_>) -> Result<Verdict> {
    let host = run.host(&run.settings()?)?;
    let rounds = run.size(3, 15);
    run.under(&Load::default(), || {
        for _ in 0..rounds {
            has_all(run)?;
            run.until_seen(run.below(100) as usize, LONG);
            run.hits(&host, "partitions taken away", Target::EventsAndRequests)?;
            let stranger = run.world.foreign_member("witness", run.input_topic())?;
            stranger.holds_some()?;
            stranger.leave();
        }
        run.until_seen(50, LONG);
        Ok(())
    })?;
    let moved = revoked(run.world);
    ensure!(moved >= rounds, "{moved} partitions were taken away in {rounds} rounds");
    run.finish(host)
}

/// How often the host ran a guest.
fn invocations(host: &Host) -> Result<usize> {
    let count = host.metrics()?.sum("sandman_invocations_total", &[]);
    Ok(count.unwrap_or_default() as usize)
}

/// Has a partition taken away while handlers spend so many thousand steps; says whether they were at it still.
fn taken_away(run: &Run<'_>, host: &Host, burn: u64) -> Result<bool> {
    let slow = |n| {
        run.enter(
            &format!("slow-{n}"),
            Asked {
                burn,
                ..Asked::default()
            },
        )
    };
    // More of them than cores.
    let inputs: Vec<_> = (0..8).map(slow).collect();
    let before = run.seen()[1];
    run.send_all(&inputs)?;
    host.metrics_when("handlers run", |metrics| {
        metrics.sum("sandman_in_flight_triggers", &[]).unwrap_or_default() >= 6.0
    })?;
    let stranger = run.world.foreign_member("witness", run.input_topic())?;
    stranger.holds_some()?;
    let at_it = run.seen()[1] < before + inputs.len();
    stranger.leave();
    eventually("all are answered", || {
        host.still_runs()?;
        Ok((run.seen()[1] >= before + inputs.len()).then_some(()))
    })?;
    Ok(at_it)
}

fn while_running(run: &Run<'_>) -> Result<Verdict> {
    let handler = run.handler()?.set("limits", r#"{ time = "60s" }"#);
    let host = run.host(&run.settings_with(handler)?.set("host.workers", "8"))?;
    // A few seconds for each on a slow machine; on a fast one it takes more to be at it still when a stranger has joined.
    let (mut rounds, mut burn) = (0, 1_500_000);
    while rounds < run.size(1, 4) {
        if taken_away(run, &host, burn + run.below(burn))? {
            rounds += 1;
            run.fault();
        } else {
            burn *= 2;
            ensure!(
                burn < 30_000_000,
                "all was done before partitions were taken away, which shows nothing"
            );
        }
    }
    let (ran, sent) = (invocations(&host)?, run.journal.len());
    ensure!(
        ran > sent,
        "{ran} invocations for {sent} inputs: nothing was given up in the middle, which shows nothing"
    );
    run.finish(host)
}

fn poll_interval(run: &Run<'_>) -> Result<Verdict> {
    let settings = run.settings()?.set("kafka.options.\"max.poll.interval.ms\"", "6000");
    let (gate, settings) = Gate::new(run, settings)?;
    let host = run.host(&settings)?;
    let load = Load {
        rate: 100,
        ..Load::default()
    };
    run.under(&load, || {
        for round in 1..=run.size(1, 2) {
            run.until_seen(200, LONG);
            run.at_work(&host, Target::EventsAndRequests)?;
            gate.hold(&host, "received")?;
            run.hits(&host, "the consumer stands still", Target::EventsAndRequests)?;
            let stranger = run.world.foreign_member("witness", run.input_topic())?;
            stranger.holds("all partitions", |held| held == PARTITIONS as usize)?;
            let end = Instant::now() + Duration::from_secs(40);
            let degraded = || -> Result<bool> {
                let health = host.operator().get("/health")?.json();
                Ok(health["status"] == "degraded")
            };
            while !degraded()? {
                ensure!(Instant::now() < end, "nobody is told that the consumer stands still");
                run.for_long(HALF);
            }
            gate.go_on()?;
            host.says(&["WARN", "max.poll.interval.ms"])?;
            stranger.leave();
            eventually("the consumer is back", || {
                host.still_runs()?;
                Ok((!degraded()?).then_some(()))
            })?;
            ensure!(run.journal.len() > round, "no load");
        }
        run.until_seen(200, LONG);
        Ok(())
    })?;
    run.finish(host)
}
