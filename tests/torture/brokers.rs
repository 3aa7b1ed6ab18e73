//! A Kafka of three brokers, of which one at a time is killed, frozen and replaced, while clients go on.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::broker::Broker;
use crate::checker::Verdict;
use crate::paths::repository;
use crate::postgres::PostgresServer;
use crate::{Host, Result};

use super::flow::{ENOUGH, Flow, ON_THE_WAY};
use super::kafka::note_unended;
use super::lives::Target;
use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::long(
        "fleet-three-brokers",
        "two hosts on PostgreSQL and three brokers, of which one at a time is killed, frozen longer than its session, and replaced by \
         an empty one",
        fleet,
    )
    .on_three_brokers(),
    Scenario::long(
        "kafka-three-brokers",
        "the same with one host on SQLite",
        one_host,
    )
    .on_three_brokers(),
];

/// Longer than a broker's session lasts.
const FROZEN: Duration = Duration::from_secs(12);

/// What is done to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    /// Killed, and away until all goes on without it.
    Kill,
    /// Killed, and started at once: it may be back before its session is over.
    KillShort,
    Freeze,
    /// Killed; an empty one with its number comes in its place.
    Replace,
}

const BLOWS: [Blow; 4] = [Blow::Kill, Blow::Freeze, Blow::Replace, Blow::KillShort];

impl Blow {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9 to a broker",
            Self::KillShort => "kill -9 to a broker that is started at once",
            Self::Freeze => "SIGSTOP to a broker",
            Self::Replace => "kill -9 to a broker that loses its disk",
        }
    }
}

fn fleet(run: &Run<'_>) -> Result<Verdict> {
    let postgres = PostgresServer::start(&repository().join("target"))?;
    let settings = run
        .settings()?
        .set("store.url", &format!("{:?}", postgres.url()))
        .set("store.shards", "4");
    let hosts = ["one", "two"].map(|name| run.host_named(&settings, name));
    let hosts = hosts.into_iter().collect::<Result<Vec<_>>>()?;
    strike_all(run, hosts)
}

fn one_host(run: &Run<'_>) -> Result<Verdict> {
    let host = run.host(&run.settings()?)?;
    strike_all(run, vec![host])
}

fn strike_all(run: &Run<'_>, mut hosts: Vec<Host>) -> Result<Verdict> {
    let brokers = run.world.three_brokers()?;
    // What a host forgets of failed attempts depends on which one had the record: that is seen with one host.
    let load = Load {
        failing: 0,
        rest: Duration::from_millis(20),
        ..Load::light()
    };
    let mut waited = Vec::new();
    run.under(&load, || {
        for round in 0..run.size(3, 16) {
            run.until_seen(100 + run.below(100) as usize, Duration::from_secs(30));
            let blow = BLOWS.get(round % BLOWS.len()).copied().unwrap_or(Blow::Kill);
            // Each of them hits any broker: which partitions, coordinators and controller it has is chance.
            let broker = brokers.broker(run.below(3) as usize)?;
            for host in &hosts {
                run.at_work(host, Target::Events)?;
            }
            let hit = hosts.get(round % hosts.len()).context("no host")?;
            run.hits(hit, blow.name(), Target::Events)?;
            let took = strike(run, blow, broker)?;
            waited.push((blow, took));
            brokers.in_sync()?;
        }
        Ok(())
    })?;
    told(run, &waited);
    let last = hosts.pop().context("no host")?;
    run.settle(&last)?;
    run.turn_to(&last)?;
    for host in hosts {
        let ended = host.terminate()?;
        ensure!(ended.code() == 0, "a host ended with {}", ended.status);
    }
    let verdict = run.finish(last)?;
    note_unended(run);
    Ok(verdict)
}

/// Hits a broker, and brings it back; says how long it took until all went on.
fn strike(run: &Run<'_>, blow: Blow, broker: &Broker) -> Result<Duration> {
    let began = Instant::now();
    let before = Flow::of(run);
    let goes_on = || {
        before
            .goes_on(run, "with two of three brokers")
            .map(|()| began.elapsed())
    };
    if blow == Blow::Freeze {
        broker.freeze()?;
        let gone_on = goes_on();
        if gone_on.is_ok() {
            run.for_long(FROZEN.saturating_sub(began.elapsed()));
        }
        broker.thaw()?;
        return gone_on;
    }
    broker.kill()?;
    if blow == Blow::KillShort {
        broker.start()?;
        return goes_on();
    }
    let took = goes_on()?;
    if blow == Blow::Replace {
        broker.empty()?;
    }
    broker.start()?;
    Ok(took)
}

/// Has the report say how long it took until all went on.
fn told(run: &Run<'_>, waited: &[(Blow, Duration)]) {
    for blow in BLOWS {
        let mut times: Vec<_> = waited
            .iter()
            .filter(|(of, _)| *of == blow)
            .map(|(_, took)| *took)
            .collect();
        times.sort_unstable();
        let times: Vec<_> = times.iter().map(|took| format!("{:.1}", took.as_secs_f64())).collect();
        if !times.is_empty() {
            let (name, times) = (blow.name(), times.join(", "));
            run.note(format!(
                "{name}: {ENOUGH} more events had come out, and no more than {ON_THE_WAY} were on their way, after {times} s"
            ));
        }
    }
}
