//! A fleet: two hosts of one deployment on one PostgreSQL, which share partitions, shards and requests.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, anyhow, ensure};
use sandman_tests::{
    Ask, Behaviour, Client, Compression, Handler, Host, Ledger, PostgresServer, Result, Settings, World, echo,
    eventually, guest, repository,
};
use serde_json::json;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("two_hosts_share_the_events_and_keep_the_order_of_each_key", shared).on_real_kafka(REAL),
    Behaviour::new("a_host_that_is_killed_is_replaced_by_the_other", killed).on_real_kafka(REAL),
    Behaviour::new("requests_for_one_key_to_both_hosts_lose_no_update", requests).on_real_kafka(REAL),
    Behaviour::new("two_hosts_of_one_name_are_refused", one_name).on_real_kafka(REAL),
    Behaviour::new("a_store_in_a_file_and_a_fleet_refuse_each_other", other_store).on_real_kafka(REAL),
];

pub(crate) const REAL: &str = "has no groups that several hosts share";

pub(crate) const KEYS: usize = 60;
const ROUNDS: usize = 40;
/// Requests to each host.
const EACH: u64 = 50;

/// The server of all of these tests.
pub(crate) fn server() -> Result<&'static PostgresServer> {
    static SERVER: OnceLock<Result<PostgresServer, String>> = OnceLock::new();
    let target = repository().join("target");
    let server = SERVER.get_or_init(|| PostgresServer::start(&target).map_err(|error| error.to_string()));
    server
        .as_ref()
        .map_err(|error| anyhow!("PostgreSQL does not start: {error}"))
}

/// The name of a schema of one's own.
pub(crate) fn schema() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("fleet_{}_{number}", std::process::id())
}

/// What makes a host one of a fleet, in its environment; each has a name besides.
pub(crate) fn environment() -> Result<Vec<(String, String)>> {
    let of = |name: &str, value: String| (name.to_owned(), value);
    Ok(vec![
        of("SANDMAN_STORE__URL", server()?.url()),
        of("SANDMAN_STORE__SCHEMA", schema()),
        of("SANDMAN_STORE__SHARDS", "2".to_owned()),
    ])
}

/// A deployment with a schema of its own.
pub(crate) fn deployment(world: &World) -> Result<Settings> {
    let schema = format!("{:?}", schema());
    Ok(world
        .settings()?
        .set("store.url", &format!("\"{}\"", server()?.url()))
        .set("store.schema", &schema)
        .set("store.shards", "4")
        .set("host.batch", "20"))
}

/// The same with a handler whose requests of a key are counted, asked by `/work/{key}` and consumed from that topic.
pub(crate) fn with_witness(settings: Settings, asked: &String) -> Result<Settings> {
    let witness = Handler::new("witness", &guest("witness")?);
    let witness = witness.consumes(&[asked]).emits(&witness::TYPES).set("dedupe", "0");
    let settings = settings.handler(witness).route("/work/{key}", &["witness"]);
    Ok(settings.route_for("GET", "/work/{key}", &["witness"]))
}

/// Settings of the host of that name.
pub(crate) fn named(settings: &Settings, name: &str) -> Settings {
    settings.clone().set("host.name", &format!("\"{name}\""))
}

pub(crate) fn start(world: &World, settings: &Settings, name: &str) -> Result<Host> {
    world.host_in(name, &named(settings, name), &[])
}

/// Two hosts of a deployment which both have taken events in.
pub(crate) fn pair(world: &World, settings: &Settings, input: &str, ledger: &mut Ledger) -> Result<(Host, Host)> {
    let one = start(world, settings, "one")?;
    let two = start(world, settings, "two")?;
    // Until both have partitions; what one has taken in until then moves to the other with its progress.
    eventually("both hosts take events in", || {
        world.send(input, &ledger.rounds(KEYS, 1, 0))?;
        Ok((consumed(&one)? > 0.0 && consumed(&two)? > 0.0).then_some(()))
    })?;
    Ok((one, two))
}

/// How many events a host has taken in.
pub(crate) fn consumed(host: &Host) -> Result<f64> {
    let consumed = host.metrics()?.sum("sandman_events_consumed_total", &[]);
    Ok(consumed.unwrap_or_default())
}

fn shared(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let settings = deployment(world)?.handler(echo(&[&input])?);
    let mut ledger = Ledger::default();
    let (one, two) = pair(world, &settings, &input, &mut ledger)?;
    world.send(&input, &ledger.rounds(KEYS, ROUNDS, 50))?;
    ledger.settle(world)?;
    for host in [&one, &two] {
        // Of the partitions that the other one has as well.
        host.metrics_when("nothing is left to do", |metrics| {
            metrics.sum("sandman_group_lag_messages", &[]) == Some(0.0)
        })?;
    }
    let (one, two) = (one.terminate()?, two.terminate()?);
    ensure!(
        (one.code(), two.code()) == (0, 0),
        "ended with {} and {}",
        one.status,
        two.status
    );
    ledger.check(world)
}

fn killed(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let settings = deployment(world)?.handler(echo(&[&input])?);
    let mut ledger = Ledger::default();
    let (one, mut two) = pair(world, &settings, &input, &mut ledger)?;
    let before = ledger.total();
    let events = ledger.rounds(KEYS, ROUNDS, 100);
    let two = std::thread::scope(|scope| -> Result<_> {
        let producing = scope.spawn(|| -> Result {
            let producer = world.producer(Compression::None)?;
            events
                .chunks(100)
                .try_for_each(|chunk| producer.send(&input, chunk).map(drop))
        });
        let mut reader = world.reader(&world.topic("thing.echoed"))?;
        for kill in 1..=2 {
            reader.until_count(before + kill * events.len() / 4)?;
            two.kill()?;
            // The other one goes on alone for a while.
            reader.until_count(before + kill * events.len() / 4 + events.len() / 8)?;
            two = start(world, &settings, "two")?;
        }
        producing.join().map_err(|_| anyhow!("the producer panicked"))??;
        Ok(two)
    })?;
    ledger.settle(world)?;
    one.still_runs()?;
    two.still_runs()?;
    ledger.check(world)
}

fn requests(world: &World) -> Result {
    let input = world.make_topic("work.asked")?;
    let settings = with_witness(deployment(world)?, &input)?;
    let one = start(world, &settings, "one")?;
    let two = start(world, &settings, "two")?;
    let clients = [Client::new(one.http()?), Client::new(two.http()?)];
    std::thread::scope(|scope| -> Result {
        let clients = &clients;
        let asking = (0..clients.len()).map(|host| {
            scope.spawn(move || -> Result {
                let (client, other) = (&clients[host], &clients[1 - host]);
                for number in 0..EACH {
                    let id = host as u64 * 1_000 + number;
                    let body = json!({ "id": id, "seq": number + 1 });
                    let made = client.ask(&Ask::new("POST", "/work/hot").json(&body))?.has(200)?;
                    let seen = made["count"].as_u64().context("a count")?;
                    // Whichever host is asked, it knows at least of what was acknowledged to this client.
                    let read = other.get("/work/hot")?.has(200)?;
                    let known = read["count"].as_u64().context("a count")?;
                    ensure!(known >= seen, "a read after {seen} saw {known}");
                }
                Ok(())
            })
        });
        let asking: Vec<_> = asking.collect();
        for one in asking {
            one.join().map_err(|_| anyhow!("a client panicked"))??;
        }
        Ok(())
    })?;
    for client in &clients {
        let count = client.get("/work/hot")?.has(200)?["count"].as_u64();
        ensure!(count == Some(2 * EACH), "{count:?} updates of {}", 2 * EACH);
    }
    Ok(())
}

fn one_name(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let settings = deployment(world)?.handler(echo(&[&input])?).set("host.name", "\"one\"");
    let one = world.host(&settings)?;
    let ended = world.host_that_ends("again", &settings)?;
    ended.says(1, &["another host named `one`", "host] name"])?;
    one.still_runs()
}

fn other_store(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let fleet = deployment(world)?.handler(echo(&[&input])?);
    let alone = world.settings()?.handler(echo(&[&input])?);
    let one = start(world, &fleet, "one")?;
    let mut ledger = Ledger::default();
    world.send(&input, &ledger.rounds(20, 2, 0))?;
    ledger.settle(world)?;
    world
        .host_that_ends("alone", &alone)?
        .says(1, &["belongs to store", "--adopt"])?;
    one.still_runs()?;
    world.send(&input, &ledger.rounds(20, 2, 0))?;
    ledger.settle(world)
}
