//! A version is replaced under load: every input is handled once, by one version, and no key goes back to an older one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use sandman::sandbox::digest;
use sandman_tests::{Ask, Behaviour, Client, Compression, Event, Handler, Host, Ledger, Result, Seen, World};
use sandman_tests::{echo, guest, stamped};
use serde_json::json;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new(
        "versions_swapped_every_200_ms_lose_double_and_turn_back_nothing",
        every_200_ms,
    ),
    Behaviour::new(
        "a_host_killed_in_a_deploy_serves_the_old_version_or_the_new",
        killed_in_a_deploy,
    ),
    Behaviour::new("a_rollback_under_load_is_as_clean_as_a_deploy", rollback_under_load),
    Behaviour::new("a_restart_serves_the_active_version_and_knows_its_history", restart),
];

const EVERY: Duration = Duration::from_millis(200);
const VERSIONS: u64 = 16;
const KEYS: usize = 40;
/// Clients of the route, each with a key of its own.
const CLIENTS: usize = 4;

/// The stages that a deploy passes one after the other.
const STAGES: [&str; 9] = [
    "received",
    "digest",
    "world",
    "compiled",
    "instantiated",
    "described",
    "contract",
    "stored",
    "active",
];

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

/// Asks the route again and again until `done`; returns how many requests there were.
fn ask_on(host: &str, key: &str, done: &AtomicBool) -> Result<u64> {
    let client = Client::new(host);
    let (mut n, mut last) = (0, 0);
    while !done.load(Ordering::Relaxed) {
        n += 1;
        let asked = client.ask(&Ask::new("POST", &format!("/things/{key}")).json(&json!({ "n": n })))?;
        let tally = asked.has(200)?;
        ensure!(
            tally["count"] == n && tally["last"] == n,
            "request {n} of {key} was counted as {tally}"
        );
        let by = tally["by"].as_u64().unwrap_or_default();
        ensure!(by >= last, "{key} went back from version {last} to {by}");
        last = by;
    }
    Ok(n)
}

fn every_200_ms(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    // The second handler is given each version first, so that it is compiled before the load begins.
    let warm = Handler::new("warm", &guest("echo")?).emits(&["thing.counted", "thing.echoed"]);
    let settings = world
        .settings()?
        .handler(echo(&[&input])?)
        .handler(warm)
        .set("host.versions", "3")
        .route("/things/{key}", &["echo"])
        .route("/others/{key}", &["warm"]);
    let host = world.host(&settings)?;
    let components = (2..=VERSIONS).map(stamped).collect::<Result<Vec<_>>>()?;
    for component in &components {
        host.deployed("warm", component)?;
    }
    let mut ledger = Ledger::default();
    let done = AtomicBool::new(false);
    thread::scope(|scope| -> Result {
        let producing = scope.spawn(|| -> Result {
            let producer = world.producer(Compression::None)?;
            while !done.load(Ordering::Relaxed) {
                let events = ledger.rounds(KEYS, 5, 20);
                producer.send(&input, &events)?;
            }
            Ok(())
        });
        let http = host.http()?;
        let done = &done;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| scope.spawn(move || ask_on(http, &format!("client-{n}"), done)))
            .collect();
        let swapped = swap_all(&host, &components);
        done.store(true, Ordering::Relaxed);
        producing.join().map_err(|_| anyhow!("the producer panicked"))??;
        for client in clients {
            let asked = client.join().map_err(|_| anyhow!("a client panicked"))??;
            ensure!(asked > VERSIONS, "only {asked} requests of one client");
        }
        swapped
    })?;
    ledger.settle(world)?;
    let counted = world.all_of(&world.topic("thing.counted"))?;
    let by = never_back(&versions(&counted))?;
    ensure!(by.len() > 10, "only these versions counted: {by:?}");
    let log = host.terminate()?.stderr;
    let revoked = log.lines().filter(|line| line.contains("partition revoked")).count();
    ensure!(
        revoked <= 3,
        "{revoked} partitions were taken away, which only the stop at the end does:\n{log}"
    );
    Ok(())
}

/// Deploys one version after the other, [`EVERY`] so often.
fn swap_all(host: &Host, components: &[Vec<u8>]) -> Result {
    for (number, component) in (2..).zip(components) {
        let next = Instant::now() + EVERY;
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
            ended.stdout.contains("version 1 serves, before it version 2"),
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
