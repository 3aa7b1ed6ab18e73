//! Hosts of a fleet are killed, stopped and frozen, versions are deployed and rolled back meanwhile, and their PostgreSQL ends and
//! comes back, with Kafka and without, while clients go on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};

use crate::checker::{Rules, Verdict};
use crate::commit_proxy::CommitProxy;
use crate::paths::repository;
use crate::postgres::PostgresServer;
use crate::{Host, Result, Settings};

use super::lives::Target;
use super::swap::version;
use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::short(
        "fleet-two-hosts",
        "two hosts on PostgreSQL: kill -9 of hosts, of the server and of Kafka with it, connections cut in the middle of COMMIT, stops \
         and freezes, deploys and rollbacks while hosts come and go",
        two_hosts,
    )
    .on_its_own_kafka(),
    Scenario::long("fleet-three-hosts", "the same with three hosts", three_hosts).on_its_own_kafka(),
];

/// Longer than the group's session and the lease of a shard last.
const FROZEN: Duration = Duration::from_secs(12);

fn two_hosts(run: &Run<'_>) -> Result<Verdict> {
    fleet(run, &["one", "two"], run.size(4, 24))
}

fn three_hosts(run: &Run<'_>) -> Result<Verdict> {
    fleet(run, &["one", "two", "three"], 16)
}

/// A fault, by turns and by chance.
#[derive(Clone, Copy)]
enum Blow {
    Kill,
    Stop,
    Freeze,
    KillServer,
    KillServerAndKafka,
    CutCommits,
    /// While a host that was killed starts again.
    Deploy,
    /// While a host stops and starts again.
    RollBack,
}

const BLOWS: [Blow; 9] = [
    Blow::Kill,
    Blow::KillServer,
    Blow::CutCommits,
    Blow::Deploy,
    Blow::RollBack,
    Blow::Freeze,
    Blow::KillServerAndKafka,
    Blow::Stop,
    Blow::Deploy,
];

/// One in so many commits is cut, those of leases as well.
const EVERY: usize = 7;

/// What the hosts share, and the way to it.
struct Shared {
    postgres: PostgresServer,
    proxy: CommitProxy,
    /// Versions of the handler that were made.
    versions: AtomicU64,
}

fn fleet(run: &Run<'_>, names: &[&str], rounds: usize) -> Result<Verdict> {
    let postgres = PostgresServer::start(&repository().join("target"))?;
    let proxy = CommitProxy::start(postgres.port())?;
    let shared = Shared {
        postgres,
        proxy,
        versions: AtomicU64::new(1),
    };
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
    let rules = Rules {
        rolled_back: true,
        ..Rules::default()
    };
    run.finish_by(last, rules)
}

/// Makes a version and deploys it.
fn deploy(host: &Host, shared: &Shared) -> Result {
    let number = shared.versions.fetch_add(1, Ordering::Relaxed) + 1;
    let done = host.deploy("witness", &version(number)?, |_| true)?;
    let done = done.context("the deploy has no end")?;
    ensure!(done["outcome"] == "active", "not active: {done}");
    Ok(())
}

/// Rolls back where there is something to go back to, and else deploys.
fn roll_back(run: &Run<'_>, host: &Host, shared: &Shared) -> Result {
    if host.version("witness")? == 1 {
        return deploy(host, shared);
    }
    let ended = run
        .world
        .command(&["rollback", "witness", "--host", host.admin()], &[])?;
    ensure!(ended.code() == 0, "no rollback: {}{}", ended.stdout, ended.stderr);
    Ok(())
}

/// Starts a host while something is done on another one.
fn starting(run: &Run<'_>, (settings, name): (&Settings, &str), meanwhile: impl FnOnce() -> Result) -> Result<Host> {
    thread::scope(|scope| {
        let starting = scope.spawn(|| run.host_named(settings, name));
        let done = meanwhile();
        let host = starting.join().map_err(|_| anyhow!("the start panicked"))?;
        done?;
        host
    })
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
        Blow::KillServerAndKafka => {
            let broker = run.world.own_broker()?;
            run.fault();
            broker.kill()?;
            shared.postgres.quit(true)?;
            run.for_a_while(Duration::from_secs(2));
            shared.postgres.start_again()?;
            broker.start()?;
            Ok(host)
        }
        Blow::Deploy => {
            run.turn_to(survivor)?;
            run.hits(&host, "kill -9 and a deploy", Target::Consumer)?;
            host.kill()?;
            starting(run, (settings, name), || deploy(survivor, shared))
        }
        Blow::RollBack => {
            run.turn_to(survivor)?;
            run.fault();
            host.terminate()?;
            starting(run, (settings, name), || roll_back(run, survivor, shared))
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
