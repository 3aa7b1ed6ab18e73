//! Pictures go to the hosts of a fleet, which keep them on an S3 server that is killed, frozen and slow, while hosts are killed.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::checker::Verdict;
use crate::guests::guest_in;
use crate::paths::repository;
use crate::postgres::PostgresServer;
use crate::{Handler, Host, Result, S3Server, Settings};

use super::flow::Flow;
use super::lives::Target;
use super::pictures::{AVATAR, Album, PROFILE};
use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario::long(
    "fleet-uploads",
    "pictures go to two hosts while their S3 server is killed, frozen and slow and hosts are killed: one that was accepted is served by \
     both as it was, one that was not is refused clearly, and events go on",
    uploads,
)];

/// Longer than a host waits for an answer of the server.
const FROZEN: Duration = Duration::from_secs(15);
/// How long the server is slow: it stands still for most of each beat.
const SLOW: Duration = Duration::from_secs(8);
const STANDS: Duration = Duration::from_millis(400);
const GOES: Duration = Duration::from_millis(50);
/// So many pictures are accepted between two faults.
const ENOUGH: usize = 10;

/// What is done.
#[derive(Clone, Copy)]
enum Blow {
    KillServer,
    Freeze,
    Slow,
    KillHost,
    /// While the server stands still, so that pictures are on their way.
    KillHostAndFreeze,
}

const BLOWS: [Blow; 5] = [
    Blow::KillServer,
    Blow::KillHost,
    Blow::Freeze,
    Blow::Slow,
    Blow::KillHostAndFreeze,
];

fn uploads(run: &Run<'_>) -> Result<Verdict> {
    let postgres = PostgresServer::start(&repository().join("target"))?;
    let mut server = S3Server::start()?;
    server.make_bucket("pictures")?;
    let settings = settings(run, &postgres, &server)?;
    let start = |name: &'static str| Ok((name, run.host_named(&settings, name)?));
    let mut hosts = ["one", "two"].map(start).into_iter().collect::<Result<Vec<_>>>()?;
    let album = Album::default();
    for (name, host) in &hosts {
        album.moved(name, host.http()?);
    }
    // What a host forgets of failed attempts depends on which one had the record: that is seen with one host.
    let load = Load {
        failing: 0,
        rest: Duration::from_millis(20),
        ..Load::light()
    };
    run.under(&load, || {
        album.under(run.seed, || {
            for round in 0..run.size(BLOWS.len(), 4 * BLOWS.len()) {
                album.until_accepted(ENOUGH)?;
                let (name, host) = hosts.remove(0);
                let blow = BLOWS.get(round % BLOWS.len()).copied().unwrap_or(Blow::KillServer);
                let survivor = hosts.first().map(|(_, host)| host).context("no other host")?;
                run.turn_to(survivor)?;
                let host = strike(run, blow, &mut server, (name, host), &settings)?;
                album.moved(name, host.http()?);
                hosts.push((name, host));
            }
            album.until_accepted(ENOUGH)
        })
    })?;
    run.note(album.summary());
    for (_, host) in &hosts {
        album.is_served_by(host.http()?)?;
    }
    let mut hosts = hosts.into_iter().map(|(_, host)| host);
    let last = hosts.next().context("no host")?;
    run.settle(&last)?;
    run.turn_to(&last)?;
    for host in hosts {
        let ended = host.terminate()?;
        ensure!(ended.code() == 0, "a host ended with {}", ended.status);
    }
    run.finish(last)
}

/// The witness, and DreamScape's profiles, whose pictures are in the bucket.
fn settings(run: &Run<'_>, postgres: &PostgresServer, server: &S3Server) -> Result<Settings> {
    let profile = Handler::new("profile", &guest_in("guest/profile")?).emits(&["user.updated", "user.profile.updated"]);
    let settings = run
        .settings()?
        .handler(profile)
        .route(PROFILE, &["profile"])
        .route_with_avatar(AVATAR, &["profile"])
        .set("store.url", &format!("{:?}", postgres.url()))
        .set("store.shards", "4")
        .set("uploads.url", "\"s3://pictures/of-users\"");
    let variables = server.environment();
    Ok(variables
        .iter()
        .fold(settings, |settings, (name, value)| settings.variable(name, value)))
}

/// Hits the server or a host, and returns the host that stands in its place. Events go on before the server is back.
fn strike(
    run: &Run<'_>,
    blow: Blow,
    server: &mut S3Server,
    (name, host): (&str, Host),
    settings: &Settings,
) -> Result<Host> {
    let before = Flow::of(run);
    match blow {
        Blow::KillServer => {
            run.hits(&host, "kill -9 to the S3 server", Target::Consumer)?;
            server.stop();
            before.goes_on(run, "without the S3 server")?;
            server.go_on()?;
            Ok(host)
        }
        Blow::Freeze => {
            run.hits(&host, "SIGSTOP to the S3 server", Target::Consumer)?;
            frozen(run, server, || {
                before.goes_on(run, "with an S3 server that does not answer")
            })?;
            Ok(host)
        }
        Blow::Slow => {
            run.hits(&host, "a slow S3 server", Target::Consumer)?;
            let end = Instant::now() + SLOW;
            while Instant::now() < end {
                server.freeze()?;
                run.for_long(STANDS);
                server.thaw()?;
                run.for_long(GOES);
            }
            before.goes_on(run, "with a slow S3 server")?;
            Ok(host)
        }
        Blow::KillHost => {
            run.hits(&host, "kill -9 to a host", Target::Consumer)?;
            host.kill()?;
            run.host_named(settings, name)
        }
        Blow::KillHostAndFreeze => {
            frozen(run, server, || {
                run.for_a_while(Duration::from_secs(2));
                run.hits(
                    &host,
                    "kill -9 to a host that waits for the S3 server",
                    Target::Consumer,
                )?;
                host.kill()
            })?;
            run.host_named(settings, name)
        }
    }
}

/// Does something while the server stands still, for longer than a host waits for it.
fn frozen(run: &Run<'_>, server: &S3Server, meanwhile: impl FnOnce() -> Result) -> Result {
    let began = Instant::now();
    server.freeze()?;
    let done = meanwhile();
    if done.is_ok() {
        run.for_long(FROZEN.saturating_sub(began.elapsed()));
    }
    server.thaw()?;
    done
}
