//! A version is replaced under load: every input is handled once, by one version, and no key goes back to an older one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ::echo::Tally;
use anyhow::{Context, anyhow, ensure};
use sandman_core::digest;
use sandman_tests::{Ask, Behaviour, Client, Compression, Event, Handler, Host, Ledger, Result, Seen, World};
use sandman_tests::{STAGES, echo, eventually, guest, stamped};
use serde_json::{Value, json};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new(
        "versions_swapped_every_200_ms_lose_double_and_turn_back_nothing",
        every_200_ms,
    ),
    Behaviour::new(
        "a_host_killed_in_a_deploy_serves_the_old_version_or_the_new",
        killed_in_a_deploy,
    ),
    Behaviour::new("a_rollback_under_load_is_as_clean_as_a_deploy", rollback_under_load).on_postgres_too(),
    Behaviour::new("a_restart_serves_the_active_version_and_knows_its_history", restart).on_postgres_too(),
];

const EVERY: Duration = Duration::from_millis(200);
const VERSIONS: u64 = 16;
const KEYS: usize = 40;
/// Clients of the route, each with as many of the keys.
const CLIENTS: usize = 4;
/// The number of a client's first request of a key: above those of all events, which come for the same key.
pub(crate) const REQUESTS: u64 = 1_000_000;

/// Per key, the versions that counted, in the order in which a client reads them.
fn versions(counted: &[Seen]) -> BTreeMap<String, Vec<u64>> {
    let mut versions: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in counted {
        let by = event.payload()["by"].as_u64().unwrap_or_default();
        versions.entry(event.key_text()).or_default().push(by);
    }
    versions
}

/// Checks that no key went back, and returns all versions that counted.
fn never_back(versions: &BTreeMap<String, Vec<u64>>) -> Result<BTreeSet<u64>> {
    for (key, versions) in versions {
        ensure!(
            versions.is_sorted(),
            "key {key} went back to an older version: {versions:?}"
        );
    }
    Ok(versions.values().flatten().copied().collect())
}

/// What was handled of a key: the tally after each input, and the version that made it.
pub(crate) type Handled = BTreeMap<String, Vec<(Tally, u64)>>;

pub(crate) fn handled(key: &str, told: &Value, into: &mut Handled) -> Result {
    let tally = serde_json::from_value(told.clone()).context("a tally")?;
    let by = told["by"].as_u64().context("no version in a tally")?;
    into.entry(key.to_owned()).or_default().push((tally, by));
    Ok(())
}

/// So often a client asks again; each answer takes the host 2 seconds.
const PATIENCE: usize = 60;

/// Asks the route for one key after the other until `done`; `latest` learns which versions answer.
pub(crate) fn ask_on(host: &str, keys: &[String], (done, latest): (&AtomicBool, &AtomicU64)) -> Result<Handled> {
    let client = Client::new(host);
    let mut answered = Handled::new();
    for n in REQUESTS.. {
        for key in keys {
            if done.load(Ordering::Relaxed) {
                return Ok(answered);
            }
            let told = ask(&client, key, n)?;
            latest.fetch_max(told["by"].as_u64().unwrap_or_default(), Ordering::Relaxed);
            handled(key, &told, &mut answered)?;
        }
    }
    Ok(answered)
}

fn ask(client: &Client, key: &str, n: u64) -> Result<Value> {
    // A host of a fleet that has not switched yet says so, having done nothing; a client asks again.
    for _ in 0..PATIENCE {
        let asked = client.ask(&Ask::new("POST", &format!("/things/{key}")).json(&json!({ "n": n })))?;
        if asked.status != 503 || !asked.text().contains("another host serves a newer version") {
            return asked.has(200);
        }
    }
    Err(anyhow!("the host does not switch"))
}

/// Checks that the tallies of each key follow from one another: every input is in them once, events in their order, and no
/// version comes after a newer one. Answers all versions.
pub(crate) fn each_once(mut handled: Handled, events: u64) -> Result<BTreeSet<u64>> {
    let mut versions = BTreeSet::new();
    for (key, all) in &mut handled {
        all.sort_by_key(|(tally, _)| tally.count);
        let (mut before, mut last, mut event) = (Tally::default(), 0, 0);
        for (tally, by) in all {
            let expected = before.after(tally.last);
            ensure!(*tally == expected, "{key}: {tally:?} comes after {before:?}");
            ensure!(*by >= last, "{key} went back from version {last} to {by}");
            if tally.last < REQUESTS {
                event += 1;
                ensure!(tally.last == event, "{key}: event {} where {event} was due", tally.last);
            }
            (before, last) = (*tally, *by);
            versions.insert(*by);
        }
        ensure!(event == events, "{key}: {event} events of {events}");
    }
    Ok(versions)
}

fn every_200_ms(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    // The second handler is given each version first, so that it is compiled before the load begins.
    let warm = Handler::new("warm", &guest("echo")?).emits(&["thing.counted", "thing.echoed"]);
    let settings = world
        .settings()?
        .handler(echo(&[&input])?)
        .handler(warm)
        .set("host.versions", &VERSIONS.to_string())
        // Few of a key wait in front of a request.
        .set("host.in_flight", "400")
        .route("/things/{key}", &["echo"])
        .route("/others/{key}", &["warm"]);
    let host = world.host(&settings)?;
    let components = (2..=VERSIONS).map(stamped).collect::<Result<Vec<_>>>()?;
    for component in &components {
        host.deployed("warm", component)?;
    }
    let mut ledger = Ledger::default();
    // Events and requests come for the same keys, and count in the same states.
    let keys: Vec<String> = (0..KEYS).map(|key| format!("user-{key}")).collect();
    let (done, latest) = (AtomicBool::new(false), AtomicU64::new(0));
    let http = host.http()?;
    let mut all = thread::scope(|scope| -> Result<Handled> {
        let (done, latest, ledger, input) = (&done, &latest, &mut ledger, &input);
        let producing = scope.spawn(move || -> Result {
            let producer = world.producer(Compression::None)?;
            while !done.load(Ordering::Relaxed) {
                producer.send(input, &ledger.rounds(KEYS, 5, 20))?;
            }
            Ok(())
        });
        let mine = keys.chunks(KEYS / CLIENTS);
        let clients: Vec<_> = mine
            .map(|keys| scope.spawn(move || ask_on(http, keys, (done, latest))))
            .collect();
        let swapped = swap_all(&host, &components, latest);
        done.store(true, Ordering::Relaxed);
        producing.join().map_err(|_| anyhow!("the producer panicked"))??;
        let mut all = Handled::new();
        for client in clients {
            all.extend(client.join().map_err(|_| anyhow!("a client panicked"))??);
        }
        swapped?;
        Ok(all)
    })?;
    let mut reader = world.reader(&world.topic("thing.counted"))?;
    reader.until_count(ledger.total())?;
    // One more of each, which would show that the one before counted twice.
    let client = Client::new(http);
    for key in &keys {
        handled(key, &ask(&client, key, 2 * REQUESTS)?, &mut all)?;
    }
    let requests = all.values().map(Vec::len).sum::<usize>();
    let counted = world.all_of(&world.topic("thing.counted"))?;
    let by_event: BTreeSet<_> = versions(&counted).into_values().flatten().collect();
    for event in &counted {
        handled(&event.key_text(), &event.payload(), &mut all)?;
    }
    let events = u64::try_from(ledger.total() / KEYS)?;
    let by = each_once(all, events)?;
    ensure!(
        by.len() as u64 == VERSIONS && by_event.len() > 10,
        "{requests} requests and {events} events of each key were handled by {by:?}, events alone by {by_event:?}"
    );
    let log = host.terminate()?.stderr;
    let revoked = log.lines().filter(|line| line.contains("partition revoked")).count();
    ensure!(
        revoked <= 3,
        "{revoked} partitions were taken away, which only the stop at the end does:\n{log}"
    );
    Ok(())
}

/// Deploys one version after the other, [`EVERY`] so often, each once a request was answered by the one before.
fn swap_all(host: &Host, components: &[Vec<u8>], latest: &AtomicU64) -> Result {
    for (number, component) in (2..).zip(components) {
        let next = Instant::now() + EVERY;
        eventually("a request is answered by the version that serves", || {
            Ok((latest.load(Ordering::Relaxed) >= number - 1).then_some(()))
        })?;
        ensure!(host.deployed("echo", component)? == number, "not version {number}");
        // The pace is what is shown here; nothing else is waited for.
        while let Some(left) = next.checked_duration_since(Instant::now()) {
            thread::park_timeout(left);
        }
    }
    Ok(())
}

fn killed_in_a_deploy(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let settings = world
        .settings()?
        .handler(echo(&[&input])?)
        .route("/things/{key}", &["echo"]);
    let mut ledger = Ledger::default();
    let mut host = world.host(&settings)?;
    // What the version that serves writes into its events, and its digest.
    let mut serving = (1, digest(&std::fs::read(guest("echo")?)?));
    for (number, stage) in (2..).zip(STAGES) {
        world.send(&input, &ledger.rounds(10, 2, 0))?;
        // The deploy goes on in the host while we hear of a stage and kill it: anywhere behind this stage.
        let component = stamped(number)?;
        let heard = host.deploy("echo", &component, |passed| passed != stage)?;
        ensure!(heard.is_none(), "the deploy ended before `{stage}`: {heard:?}");
        host.kill()?;
        host = world.host(&settings)?;
        let serves = host.handler("echo")?["digest"].as_str().unwrap_or_default().to_owned();
        let new = (number, digest(&component));
        ensure!(
            serves == serving.1 || serves == new.1,
            "{serves} serves after a kill behind `{stage}`, neither the old one nor the new one"
        );
        ensure!(
            serves == new.1 || stage != "active",
            "the new version was active and is not any more"
        );
        if serves == new.1 {
            serving = new;
        }
        // The one that is said to serve is the one that does; and what it stands on was committed.
        let asked = Client::new(host.http()?).ask(&Ask::new("POST", "/things/who").json(&json!({ "n": 1 })))?;
        let tally = asked.has(200)?;
        ensure!(
            tally["by"] == serving.0 && tally["count"] == number - 1,
            "{tally}, and {} serves",
            serving.0
        );
    }
    ledger.settle(world)?;
    never_back(&versions(&world.all_of(&world.topic("thing.counted"))?))?;
    Ok(())
}

fn rollback_under_load(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    let address = host.admin().to_owned();
    host.deployed("echo", &stamped(2)?)?;
    let mut ledger = Ledger::default();
    let events: Vec<Event> = ledger.rounds(KEYS, 50, 50);
    thread::scope(|scope| -> Result {
        let producing = scope.spawn(|| world.send(&input, &events).map(drop));
        let mut reader = world.reader(&world.topic("thing.counted"))?;
        reader.until_count(events.len() / 4)?;
        let ended = world.command(&["rollback", "echo", "--host", &address], &[])?;
        ensure!(ended.code() == 0, "{}", ended.stderr);
        ensure!(
            ended.stdout.contains("version 1 serves, replacing version 2"),
            "{}",
            ended.stdout
        );
        producing.join().map_err(|_| anyhow!("the producer panicked"))?
    })?;
    ledger.settle(world)?;
    let counted = world.all_of(&world.topic("thing.counted"))?;
    for (key, versions) in versions(&counted) {
        ensure!(
            versions.is_sorted_by(|a, b| a >= b),
            "key {key} went forth again: {versions:?}"
        );
    }
    ensure!(host.version("echo")? == 1, "version 1 does not serve");
    let again = world.command(&["rollback", "echo", "--host", &address], &[])?;
    ensure!(again.code() == 1 && again.stderr.contains("--to"), "{}", again.stderr);
    let to = world.command(&["rollback", "echo", "--to", "9", "--host", &address], &[])?;
    ensure!(to.code() == 1 && to.stderr.contains("there are: 2, 1"), "{}", to.stderr);
    let forth = world.command(&["rollback", "echo", "--to", "2", "--host", &address, "--json"], &[])?;
    ensure!(
        forth.stdout.contains("\"outcome\": \"active\""),
        "{}{}",
        forth.stdout,
        forth.stderr
    );
    Ok(())
}

fn restart(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let settings = world.settings()?.handler(echo(&[&input])?);
    let host = world.host(&settings)?;
    host.deployed("echo", &stamped(2)?)?;
    let since = host.handler("echo")?["activatedAt"].clone();
    let file = world.file("no.wasm", b"no component")?;
    let address = host.admin().to_owned();
    let refused = world.command(&["deploy", "echo", &file, "--host", &address], &[])?;
    ensure!(refused.code() == 1, "{}", refused.stdout);
    host.terminate()?;

    // Compiled code may be deleted at any time.
    std::fs::remove_dir_all(world.folder().join("data/compiled"))?;
    let host = world.host(&settings)?;
    host.says(&["WARN", "is not the version that serves", "sandman deploy echo"])?;
    world.send(&input, &[Event::thing("ann", 1)])?;
    let mut counted = world.reader(&world.topic("thing.counted"))?;
    ensure!(
        counted.until_count(1)?[0].payload()["by"] == 2,
        "version 2 did not count"
    );
    let handler = host.handler("echo")?;
    ensure!(handler["version"] == 2 && handler["activatedAt"] == since, "{handler}");
    let history = host.history("echo")?;
    let expected = [
        "deploy refused null local",
        "deploy active 2 local",
        "start active 1 sandman.toml",
    ];
    ensure!(history == expected, "{history:#?}");
    let metrics = host.metrics()?;
    let labels = [("handler", "echo"), ("version", "2")];
    ensure!(
        metrics.sum("sandman_handler_version", &labels) == Some(1.0),
        "{}",
        metrics.text()
    );
    Ok(())
}
