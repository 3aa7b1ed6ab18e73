//! `sandman demo`: DreamScape's user service with everything embedded: real traffic, a version swap, a refused version,
//! a rollback, an outage of the broker, and at the end a check of all output.
//!
//! With `--fleet`, two hosts on PostgreSQL and a real Kafka; one host is killed.
//!
//! Each host is a process of its own, controlled with the commands that a platform team would use. This process plays
//! everything else: the broker, the users, and the services that publish and read.

mod check;
mod commands;
mod events;
mod fleet;
mod addresses;
mod kafka;
mod keeper;
mod postgres;
mod scene;
mod story;
mod tethered;
mod users;
mod wrap;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use sandman_engine::clock;
use sandman_kafka::Announcer;

use addresses::HostAddresses;
use check::{SeenEvent, check, versions};
use commands::{CommandOutput, ask, lag};
use events::EventCollector;
use scene::{Backing, Scene};
use story::{DemoStory, took};
use users::{ClientTotals, DemoClient, DemoEnvironment, Request};

/// Clients that send requests at the same time.
const CLIENTS: usize = 6;
/// How long each part of the demo lasts.
const PART: Duration = Duration::from_millis(2_500);
/// How long the broker is down.
const OUTAGE: Duration = Duration::from_secs(2);
/// An expected event that does not come within this time after the previous one counts as lost.
const PATIENCE: Duration = Duration::from_secs(15);

/// A fault to inject into the output, to show that the check finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Plant {
    /// An event is missing.
    Lost,
    /// An event is duplicated.
    Doubled,
    /// Two events of a user are swapped.
    Disordered,
}

/// The options of the demo.
#[derive(Debug)]
pub struct DemoOptions {
    /// The checkout whose guests are built.
    pub repository: PathBuf,
    /// Two hosts on PostgreSQL, instead of one with everything embedded.
    pub fleet: Option<FleetOptions>,
    /// Stay up at the end, until told to stop.
    pub keep: bool,
    /// A fault to inject into the output.
    pub plant: Option<Plant>,
    /// Set when somebody wants it to end.
    pub interrupted: Arc<AtomicBool>,
}

/// The options of the demo of a fleet.
#[derive(Debug)]
pub struct FleetOptions {
    /// A running Kafka: `host:port`, comma separated. The demo starts its own if `None`.
    pub brokers: Option<String>,
}

/// When things happened to the traffic.
struct Times {
    swap: (Instant, Instant),
    /// The time of the outage.
    fault: (Instant, Instant),
    /// Its name, for people.
    fault_named: &'static str,
    /// Records of this time may belong to aborted transactions, which the embedded broker does not hide.
    aborted_within: Option<(i64, i64)>,
}

/// Runs the demo. Returns whether its check found no fault.
///
/// # Errors
/// If a part of it failed.
pub fn demo(options: &DemoOptions) -> Result<bool> {
    let story = DemoStory::begin(match options.fleet {
        None => "Sandman: DreamScape's user service, with everything it needs in this one program",
        Some(_) => "Sandman: DreamScape's user service on two hosts, with PostgreSQL and Kafka",
    });
    let mut scene = Scene::build(options, &story)?;
    let events = EventCollector::follow(&scene.kafka, &scene.prefix)?;
    let addresses = Arc::new(HostAddresses::new(scene.addresses()));
    let around = DemoEnvironment {
        addresses: Arc::clone(&addresses),
        secret: scene.secret.clone(),
        kafka: Arc::new(Announcer::open(&scene.kafka)?),
        prefix: scene.prefix.clone(),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let clients = (0..CLIENTS).map(|number| {
        let client = DemoClient::new(number, &around);
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || client.run(&stop))
    });
    let clients: Vec<_> = clients.collect();
    story.tell(
        "traffic",
        &format!("{CLIENTS} clients, {} users", CLIENTS * users::USERS),
    );
    let played = match options.fleet {
        None => play(&scene, &story, options),
        Some(_) => fleet::play(&mut scene, &addresses, &story, options),
    };
    stop.store(true, Ordering::Relaxed);
    let mut done = ClientTotals::default();
    for client in clients {
        if let Ok(theirs) = client.join() {
            done.add(theirs);
        }
    }
    let times = played?;
    around.kafka.flush(PATIENCE)?;
    events.wait_for(done.owed.len(), PATIENCE);
    all_handled(&scene)?;
    let mut seen = events.end()?;
    plant(&mut seen, options.plant);
    let served = done.requests.iter();
    let served = served.filter_map(|request| Some((request.user.as_str(), request.version?)));
    let strays = versions(served, &[1, 2, 1]);
    let strays = strays
        .into_iter()
        .map(|stray| format!("served by versions out of turn: {stray}"));
    done.failed.extend(strays.collect::<Vec<_>>());
    let verdict = check(&done.owed, &seen, times.aborted_within);
    summary(&story, &done, &seen, &times);
    story.verdict(&verdict, &done.failed);
    if options.keep {
        scene.linger(&story, &options.interrupted);
    }
    if !scene.end()? {
        bail!("a host did not stop cleanly");
    }
    Ok(verdict.holds() && done.failed.is_empty())
}

/// The events during the traffic.
fn play(scene: &Scene, story: &DemoStory, options: &DemoOptions) -> Result<Times> {
    let (host, Backing::Alone(broker)) = (scene.host(0)?, &scene.backing) else {
        bail!("this part of the demo is for one host");
    };
    let wait = |time| wait(time, &options.interrupted);
    wait(PART)?;
    let swap = Instant::now();
    let said = ask(scene.folder(), host, &["deploy", "profile", "second/profile.wasm"])?;
    let swap = (swap, Instant::now());
    story.tell("deploy a new version", &succeeded(said)?);
    wait(PART)?;
    let said = ask(scene.folder(), host, &["deploy", "profile", "first/preferences.wasm"])?;
    story.tell("deploy a wrong one", &first_reason(&refused(said)?));
    wait(PART)?;
    story.tell(
        "roll back",
        &succeeded(ask(scene.folder(), host, &["rollback", "profile"])?)?,
    );
    wait(PART)?;
    let (away, away_millis) = (Instant::now(), clock::wall_millis());
    broker.stop();
    story.tell(
        "broker stopped",
        "requests are answered meanwhile, their events wait in the outbox",
    );
    wait(OUTAGE)?;
    broker.resume();
    let outage = (away, Instant::now());
    story.tell("broker back", "the events follow, in order");
    let outage_millis = (away_millis - 1_000, clock::wall_millis() + 1_000);
    wait(PART)?;
    Ok(Times {
        swap,
        fault: outage,
        fault_named: "without a broker",
        aborted_within: Some(outage_millis),
    })
}

/// Waits until the registrations are handled, which cannot be seen from published events.
fn all_handled(scene: &Scene) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        match lag(scene.folder(), scene.host(0)?, "profile")? {
            Some(0) => return Ok(()),
            lag if Instant::now() >= until => {
                let lag = lag.map_or_else(|| "an unknown number of".to_owned(), |lag| lag.to_string());
                bail!("`profile` has {lag} user.created on Kafka still to handle");
            }
            _ => std::thread::park_timeout(Duration::from_millis(200)),
        }
    }
}

fn wait(time: Duration, interrupted: &AtomicBool) -> Result<()> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        if interrupted.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        std::thread::park_timeout(Duration::from_millis(20).min(until.saturating_duration_since(Instant::now())));
    }
    Ok(())
}

fn succeeded(CommandOutput { success, line }: CommandOutput) -> Result<String> {
    if !success {
        bail!("it should have worked: {line}");
    }
    Ok(line)
}

fn refused(CommandOutput { success, line }: CommandOutput) -> Result<String> {
    if success {
        bail!("a component that does not fit was accepted: {line}");
    }
    Ok(line)
}

/// A refusal with its first reason and its consequence; the other reasons would fill the screen.
fn first_reason(refusal: &str) -> String {
    match (refusal.split_once("; "), refusal.rsplit_once("; ")) {
        (Some((first, rest)), Some((_, end))) if rest != end => format!("{first}; …; {end}"),
        _ => refusal.to_owned(),
    }
}

/// The summary at the end.
fn summary(story: &DemoStory, done: &ClientTotals, seen: &[SeenEvent], times: &Times) {
    story.pause();
    let of = |what: &str| done.requests.iter().filter(|request| request.what == what).count();
    let (put, get, avatar) = (of("PUT"), of("GET"), of("avatar"));
    let (registered, failed) = (done.registered, done.failed.len());
    story.line(
        "in",
        &format!(
            "{registered} user.created from Kafka; over HTTP {put} PUT, {get} GET, {avatar} avatars, {failed} failed"
        ),
    );
    let out = events::TYPES.map(|event_type| {
        let count = seen.iter().filter(|event| event.event_type == event_type).count();
        format!("{count} {event_type}")
    });
    story.line("out", &format!("{}; one of each:", out.join(", ")));
    story.events(done.registration.as_deref(), seen);
    let served = |version| {
        done.requests
            .iter()
            .filter(|request| request.version == Some(version))
            .count()
    };
    let (first, second) = (served(1), served(2));
    if done.again > 0 {
        story.line(
            "",
            &format!(
                "{} requests were sent again to the other host, and counted once",
                done.again
            ),
        );
    }
    story.line(
        "profile",
        &format!("{first} PUTs answered by the first version, {second} by the second"),
    );
    let requests = || done.requests.iter();
    let ended = |request: &&Request| request.at + request.took;
    let within = |(from, to): (Instant, Instant)| {
        took(requests().filter(move |request| ended(request) >= from && request.at <= to))
    };
    let after = |request: &&Request| request.at > times.swap.1 && request.at < times.fault.0;
    story.latencies(&[
        (
            "before the swap",
            took(requests().filter(|request| ended(request) < times.swap.0)),
        ),
        ("during it", within(times.swap)),
        ("after it", took(requests().filter(after))),
        (times.fault_named, within(times.fault)),
    ]);
}

/// Injects a fault into the output.
fn plant(seen: &mut Vec<SeenEvent>, plant: Option<Plant>) {
    let named = |seen: &[SeenEvent], user: Option<&str>| {
        let mut named = seen.iter().enumerate().filter(|(_, event)| event.name.is_some());
        let found = named.find(|(_, event)| user.is_none_or(|user| event.user == user));
        found.map(|(at, _)| at)
    };
    let Some(first) = named(seen, None) else { return };
    match plant {
        None => {}
        Some(Plant::Lost) => {
            // Not an event on which the next one depends.
            if let Some(at) = seen.iter().position(|event| event.name.is_none()) {
                seen.remove(at);
            }
        }
        Some(Plant::Doubled) => seen.extend(seen.get(first).cloned()),
        Some(Plant::Disordered) => {
            let user = seen.get(first).map(|event| event.user.clone());
            let rest = seen.get(first + 1..).unwrap_or_default();
            if let Some(next) = named(rest, user.as_deref()) {
                seen.swap(first, first + 1 + next);
            }
        }
    }
}
