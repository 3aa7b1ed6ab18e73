//! The disk under the store fails, is full, forgets, or gives back something else.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use witness::Asked;

use crate::checker::{Fate, Verdict};
use crate::wait::PATIENCE;
use crate::{Ask, Client, Ended, Host, Result, eventually};

use super::lives::Target;
use super::shim::{Disk, Failure};
use super::swap::version;
use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::short(
        "disk-power-loss",
        "the power is lost under load: what was not synced is gone",
        power_loss,
    ),
    Scenario::short(
        "disk-fsync-fails",
        "fsync fails, the host ends, and later the power is lost as well",
        fsync_fails,
    ),
    Scenario::short(
        "disk-full",
        "the disk is full for a while, and the host goes on by itself",
        full,
    ),
    Scenario::long(
        "disk-read-only",
        "the disk becomes read-only under the host, and stays so over a restart",
        read_only,
    ),
    Scenario::long(
        "disk-outbox",
        "Kafka is away until the outbox is at its bound: the rest is told to come again",
        outbox,
    )
    .on_its_own_kafka(),
];

fn power_loss(run: &Run<'_>) -> Result<Verdict> {
    let disk = Disk::new(run)?;
    let settings = disk.under(&run.settings()?)?;
    let mut host = run.host(&settings)?;
    let mut lost = 0;
    let host = run.under(&Load::default(), || {
        for _ in 0..run.size(3, 30) {
            run.at_work(&host, Target::EventsAndRequests)?;
            run.until_seen(run.below(200) as usize, Duration::from_secs(20));
            run.for_a_while(Duration::from_millis(300));
            run.hits(&host, "the power is lost", Target::EventsAndRequests)?;
            disk.while_writing();
            run.lose_address();
            host.kill()?;
            lost += disk.loses_power()?;
            host = run.host(&settings)?;
        }
        Ok(host)
    })?;
    ensure!(lost > 0, "no write was lost: this shows nothing");
    run.note(format!("{lost} writes were lost"));
    run.finish(host)
}

/// After a failed fsync nobody knows what the disk has: the host ends. What can be read then may not be on the disk, and
/// a host that builds on it must not lose it when the power goes later.
fn fsync_fails(run: &Run<'_>) -> Result<Verdict> {
    let disk = Disk::new(run)?;
    let settings = disk.under(&run.settings()?)?;
    let mut host = run.host(&settings)?;
    let mut lost = 0;
    let host = run.under(&Load::default(), || {
        for round in 0..run.size(3, 21) {
            run.until_seen(1 + run.below(200) as usize, Duration::from_secs(20));
            let once = round % 3 == 2;
            let how = if once { Failure::FsyncOnce } else { Failure::Fsync };
            let before = disk.failures(how);
            run.hits(&host, "fsync fails", Target::EventsAndRequests)?;
            disk.breaks(how)?;
            if round % 3 == 0 {
                eventually("fsync fails", || Ok((disk.failures(how) > before).then_some(())))?;
                run.lose_address();
                host.kill()?;
            } else {
                ends(run, host, &["durable is not known", "check the disk"])?;
            }
            disk.heals()?;
            if once {
                // Whatever the host did while it ended, the disk may not have heard of it.
                lost += disk.loses_power()?;
            }
            host = run.host(&settings)?;
            // What it does now stands on what fsync failed for.
            run.at_work(&host, Target::EventsAndRequests)?;
            run.until_seen(100, Duration::from_secs(20));
            run.kill(host, Target::EventsAndRequests)?;
            lost += disk.loses_power()?;
            host = run.host(&settings)?;
        }
        Ok(host)
    })?;
    ensure!(lost > 0 || !run.full, "no write was lost: this shows nothing");
    run.note(format!(
        "fsync failed {} times, {lost} writes were lost",
        disk.failures(Failure::Fsync) + disk.failures(Failure::FsyncOnce)
    ));
    run.finish(host)
}

/// The host ends by itself and says why.
fn ends(run: &Run<'_>, host: Host, words: &[&str]) -> Result {
    let ended = host.wait(PATIENCE)?;
    run.lose_address();
    refused(&ended, words)
}

pub(super) fn refused(ended: &Ended, words: &[&str]) -> Result {
    ensure!(ended.code() == 1, "it ended with {}: {}", ended.status, ended.stderr);
    let last = ended.stderr.lines().last().unwrap_or_default();
    for word in words {
        ensure!(last.contains(word), "it says nothing of {word:?}: {last}");
    }
    Ok(())
}

fn full(run: &Run<'_>) -> Result<Verdict> {
    let disk = Disk::new(run)?;
    let settings = disk.under(&run.settings()?)?;
    let host = run.host(&settings)?;
    run.under(&Load::default(), || {
        for _ in 0..run.size(2, 10) {
            run.until_seen(1 + run.below(200) as usize, Duration::from_secs(20));
            let before = disk.failures(Failure::Full);
            run.hits(&host, "the disk is full", Target::EventsAndRequests)?;
            disk.breaks(Failure::Full)?;
            eventually("a write finds no space", || {
                Ok((disk.failures(Failure::Full) > before).then_some(()))
            })?;
            eventually("health tells of it", || {
                let health = host.operator().get("/health")?;
                Ok(health.text().contains("free space on its disk").then_some(()))
            })?;
            request_is_put_off(run, &host)?;
            version_is_refused(&host)?;
            run.for_a_while(Duration::from_secs(3));
            disk.heals()?;
            let seen = run.answered_events();
            run.until_seen(100, PATIENCE);
            ensure!(
                run.answered_events() >= seen + 100,
                "it does not go on when there is space again"
            );
        }
        Ok(())
    })?;
    run.note(format!(
        "{} writes found no space, the same host went on",
        disk.failures(Failure::Full)
    ));
    run.finish(host)
}

/// A version that cannot be stored does not serve.
fn version_is_refused(host: &Host) -> Result {
    let ended = host.deploy("witness", &version(2)?, |_| true)?.unwrap_or_default();
    ensure!(
        ended["outcome"] == "refused" && ended["stage"] == "stored",
        "without space: {ended}"
    );
    ensure!(host.version("witness")? == 1, "what is not stored serves");
    Ok(())
}

/// A request that would write is told to come again, and leaves nothing.
fn request_is_put_off(run: &Run<'_>, host: &Host) -> Result {
    let (key, asked) = run.enter("put-off", Asked::default());
    let ask = Ask::new("POST", &format!("/work/{key}")).json(&json!(asked));
    let reply = Client::new(host.http()?).ask(&ask)?;
    ensure!(
        reply.status == 503,
        "a request was answered {} {}",
        reply.status,
        reply.text()
    );
    run.journal.hear(asked.id, Fate::Failed);
    Ok(())
}

fn read_only(run: &Run<'_>) -> Result<Verdict> {
    let disk = Disk::new(run)?;
    let settings = disk.under(&run.settings()?)?;
    let mut host = run.host(&settings)?;
    let host = run.under(&Load::default(), || {
        for _ in 0..run.size(1, 6) {
            run.until_seen(1 + run.below(300) as usize, Duration::from_secs(20));
            run.hits(&host, "the disk becomes read-only", Target::EventsAndRequests)?;
            disk.breaks(Failure::ReadOnly)?;
            ends(run, host, &["sandman.db", "check the disk"])?;
            ensure!(
                disk.failures(Failure::ReadOnly) > 0,
                "no write was refused: this shows nothing"
            );
            let again = run.world.host_that_ends("", &settings)?;
            refused(
                &again,
                &[
                    "sandman.db",
                    "Read-only file system",
                    "let the user that runs sandman write",
                ],
            )?;
            disk.heals()?;
            host = run.host(&settings)?;
        }
        Ok(host)
    })?;
    run.finish(host)
}

/// The bound of the outbox, and what may be above it: what was under way when it was reached.
const BOUND: f64 = 65_536.0;
const UNDER_WAY: f64 = 200.0 * 2.0 * 1_024.0;

/// What the host says of its work.
fn figures(host: &Host) -> Result<String> {
    let metrics = host.metrics()?;
    let lines = metrics.text().lines().filter(|line| !line.starts_with('#'));
    let told = ["outbox", "in_flight", "parked", "group_lag", "kafka_connected"];
    let lines = lines.filter(|line| told.iter().any(|word| line.contains(word)));
    Ok(lines.collect::<Vec<_>>().join("; "))
}

fn outbox(run: &Run<'_>) -> Result<Verdict> {
    let broker = run.world.own_broker()?;
    let settings = run
        .settings()?
        .set("store.outbox", "\"64KiB\"")
        .set("host.in_flight", "200");
    let host = run.host(&settings)?;
    let load = Load {
        pad: 200,
        rate: 200,
        ..Load::default()
    };
    let mut most: f64 = 0.0;
    run.under(&load, || {
        for _ in 0..run.size(1, 4) {
            run.until_seen(run.below(500) as usize, PATIENCE);
            run.hits(&host, "Kafka away", Target::EventsAndRequests)?;
            broker.stop()?;
            let full = host.metrics_when("the outbox is at its bound", |metrics| {
                metrics.sum("sandman_outbox_bytes", &[]).unwrap_or_default() >= BOUND
            })?;
            request_is_put_off(run, &host)?;
            run.for_a_while(Duration::from_secs(5));
            let later = host.metrics()?;
            for metrics in [full, later] {
                most = most.max(metrics.sum("sandman_outbox_bytes", &[]).unwrap_or_default());
            }
            let known = Client::new(host.http()?).get("/work/client-0")?;
            ensure!(known.status == 200, "what is known was answered {}", known.status);
            broker.start()?;
            let seen = run.answered_events();
            run.until_seen(100, PATIENCE);
            ensure!(
                run.answered_events() >= seen + 100,
                "it does not go on when Kafka is back: {seen} events were seen then, {:?} now, {} inputs; {}",
                run.seen(),
                run.journal.acknowledged(),
                figures(&host)?
            );
        }
        Ok(())
    })?;
    ensure!(most <= BOUND + UNDER_WAY, "the outbox had {most} bytes");
    run.note(format!(
        "the outbox, bound to 64 KiB, had {:.0} KiB at most",
        most / 1024.0
    ));
    run.finish(host)
}
