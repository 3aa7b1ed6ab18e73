//! Hosts of a fleet are killed, stopped and frozen, and their PostgreSQL ends and comes back, while clients go on.

use std::time::Duration;

use anyhow::{Context, ensure};

use crate::checker::Verdict;
use crate::commit_proxy::CommitProxy;
use crate::paths::repository;
use crate::postgres::PostgresServer;
use crate::{Host, Result, Settings};

use super::lives::Target;
use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::short(
        "fleet-two-hosts",
        "two hosts on PostgreSQL: kill -9 of hosts and of the server, connections cut in the middle of COMMIT, stops and freezes",
        two_hosts,
    )
    .on_its_own_kafka(),
    Scenario::long("fleet-three-hosts", "the same with three hosts", three_hosts).on_its_own_kafka(),
];

/// Longer than the group's session and the lease of a shard last.
const FROZEN: Duration = Duration::from_secs(12);

fn two_hosts(run: &Run<'_>) -> Result<Verdict> {
    fleet(run, &["one", "two"], run.size(4, 60))
}

fn three_hosts(run: &Run<'_>) -> Result<Verdict> {
    fleet(run, &["one", "two", "three"], 40)
}

/// A fault, by turns and by chance.
#[derive(Clone, Copy)]
enum Blow {
    Kill,
    Stop,
    Freeze,
    KillServer,
    CutCommits,
}

const BLOWS: [Blow; 6] = [
    Blow::Kill,
    Blow::KillServer,
    Blow::CutCommits,
    Blow::Kill,
    Blow::Freeze,
    Blow::Stop,
];

/// One in so many commits is cut, those of leases as well.
const EVERY: usize = 7;

/// What the hosts share, and the way to it.
struct Shared {
    postgres: PostgresServer,
    proxy: CommitProxy,
}

fn fleet(run: &Run<'_>, names: &[&str], rounds: usize) -> Result<Verdict> {
    let postgres = PostgresServer::start(&repository().join("target"))?;
    let proxy = CommitProxy::start(postgres.port())?;
    let shared = Shared { postgres, proxy };
    let settings = run
        .settings()?
        .set("store.url", &format!("{:?}", shared.proxy.url()))
        .set("store.shards", "4");
    let start = |name: &str| run.host_named(&settings, name);
    let mut hosts = names
        .iter()
        .map(|name| Ok((*name, start(name)?)))
        .collect::<Result<Vec<_>>>()?;
    // What a host forgets of failed attempts depends on which one had the record: that is seen with one host.
    let load = Load {
        failing: 0,
        ..Load::light()
    };
    let hosts = run.under(&load, || {
        for round in 0..rounds {
            run.until_seen(run.below(200) as usize, Duration::from_secs(30));
            run.for_a_while(Duration::from_millis(500));
            // Each of them in a short run, and then any.
            let at = run.below(hosts.len() as u64) as usize;
            let blow = BLOWS.get(round).copied();
            let blow = blow.or_else(|| BLOWS.get(run.below(BLOWS.len() as u64) as usize).copied());
            let (name, host) = hosts.remove(at.min(hosts.len() - 1));
            let survivor = hosts.first().map(|(_, host)| host).context("no other host")?;
            let host = strike(
                run,
                (blow.unwrap_or(Blow::Kill), &shared),
                (name, host),
                (&settings, survivor),
            )?;
            hosts.push((name, host));
        }
        Ok(hosts)
    })?;
    let (before, after) = shared.proxy.cut();
    run.note(format!(
        "{before} commits were cut before the server had them, {after} after it had carried them out"
    ));
    ensure!(before > 0 && after > 0, "no commit was cut");
    let mut hosts = hosts.into_iter().map(|(_, host)| host);
    let last = hosts.next().context("no host")?;
    run.settle(&last)?;
    run.turn_to(&last)?;
    for host in hosts {
        host.terminate()?;
    }
    run.finish(last)
}

/// Hits a host, or what all of them need, and returns the one that stands in its place.
fn strike(
    run: &Run<'_>,
    (blow, shared): (Blow, &Shared),
    (name, host): (&str, Host),
    (settings, survivor): (&Settings, &Host),
) -> Result<Host> {
    match blow {
        Blow::Kill => {
            run.turn_to(survivor)?;
            run.hits(&host, "kill -9", Target::Consumer)?;
            host.kill()?;
            run.host_named(settings, name)
        }
        Blow::Stop => {
            run.turn_to(survivor)?;
            run.fault();
            host.terminate()?;
            run.host_named(settings, name)
        }
        Blow::Freeze => {
            run.turn_to(survivor)?;
            run.hits(&host, "SIGSTOP", Target::Consumer)?;
            host.freeze()?;
            run.for_long(FROZEN);
            host.thaw()?;
            Ok(host)
        }
        Blow::KillServer => {
            run.fault();
            shared.postgres.quit(true)?;
            run.for_a_while(Duration::from_secs(2));
            shared.postgres.start_again()?;
            Ok(host)
        }
        Blow::CutCommits => {
            run.fault();
            shared.proxy.cut_every(EVERY);
            run.for_long(Duration::from_secs(2));
            shared.proxy.cut_every(0);
            Ok(host)
        }
    }
}
