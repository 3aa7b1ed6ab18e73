//! What a fleet tells of its PostgreSQL, what it needs there, and a transaction of somebody else that is open for long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, anyhow, ensure};
use postgres::NoTls;
use sandman_tests::{
    Ask, Behaviour, Client, Host, Ledger, PostgresServer, Result, World, echo, eventually, repository,
};
use serde_json::json;

use crate::fleet::{REAL, deployment, server, start, with_witness};
use crate::fleet_postgres::{at, until_both_take_events};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new(
        "the_metrics_of_a_fleet_tell_of_conflicts_leases_tables_and_old_transactions",
        metrics,
    )
    .on_real_kafka(REAL),
    Behaviour::new("a_fleet_needs_no_right_outside_its_schema", limited).on_real_kafka(REAL),
    Behaviour::new(
        "an_old_transaction_elsewhere_costs_commits_few_blocks_and_loses_nothing",
        old_transaction,
    )
    .on_real_kafka(REAL),
];

const KEYS: usize = 40;
/// Statements of one commit, when there is nothing unusual.
const ROUND_TRIPS: f64 = 60.0;

fn sum(host: &Host, name: &str) -> Result<f64> {
    Ok(host.metrics()?.sum(name, &[]).unwrap_or_default())
}

fn table(host: &Host, name: &str) -> Result<f64> {
    let metrics = host.metrics()?;
    Ok(metrics
        .sum("sandman_store_table_bytes", &[("table", name)])
        .unwrap_or_default())
}

fn metrics(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let asked = world.make_topic("work.asked")?;
    let postgres = PostgresServer::start(&repository().join("target"))?;
    let settings = with_witness(deployment(world)?.handler(echo(&[&input])?), &asked)?;
    let settings = at(&settings, &postgres.url());
    let one = start(world, &settings, "one")?;
    let two = start(world, &settings, "two")?;
    let mut ledger = Ledger::default();
    until_both_take_events(world, &input, &mut ledger, [&one, &two])?;
    conflicts([&one, &two])?;
    for host in [&one, &two] {
        // The host reads what the store has counted once in a while, and counts commits at once.
        host.metrics_when("the round trips of its commits are counted", |metrics| {
            let of = |name: &str| metrics.sum(name, &[]).unwrap_or_default();
            let (trips, commits) = (
                of("sandman_store_round_trips_total"),
                of("sandman_commit_seconds_count"),
            );
            trips > commits && trips < ROUND_TRIPS * commits
        })?;
    }
    tables(&one)?;

    // Somebody looks at the database, and does not end.
    let mut elsewhere = postgres::Client::connect(&postgres.url(), NoTls)?;
    elsewhere.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")?;
    one.metrics_when("the transaction is seen", |metrics| {
        let of = |name: &str| metrics.sum(name, &[]).unwrap_or_default();
        // Its snapshot is older than everything that the hosts have committed since.
        of("sandman_store_oldest_transaction_seconds") >= 2.0
            && of("sandman_store_oldest_snapshot_transactions") >= 10.0
    })?;
    elsewhere.batch_execute("COMMIT")?;
    one.metrics_when("the transaction is over", |metrics| {
        metrics
            .sum("sandman_store_oldest_transaction_seconds", &[])
            .unwrap_or(9.0)
            < 2.0
    })?;

    // Each has half of the shards; whoever is left takes the others.
    for (host, changes) in [(&two, 2.0), (&one, 4.0)] {
        host.metrics_when("its leases have changed", |metrics| {
            metrics.sum("sandman_lease_changes_total", &[]).unwrap_or_default() >= changes
        })?;
    }
    let before = sum(&one, "sandman_lease_changes_total")?;
    two.kill()?;
    one.metrics_when("the leases of the other host are taken over", |metrics| {
        metrics.sum("sandman_lease_changes_total", &[]).unwrap_or_default() >= before + 2.0
    })?;
    one.metrics_when("one host is left", |metrics| {
        metrics.sum("sandman_hosts", &[]) == Some(1.0)
    })?;
    ledger.settle(world)
}

/// Asks both hosts for one key at once until they were in each other's way.
fn conflicts(hosts: [&Host; 2]) -> Result {
    let done = AtomicBool::new(false);
    let of = |name: &str| -> Result<f64> { Ok(sum(hosts[0], name)? + sum(hosts[1], name)?) };
    thread::scope(|scope| -> Result {
        let done = &done;
        let asking = [(1_000_000, hosts[0]), (2_000_000, hosts[1])].map(|(first, host)| {
            scope.spawn(move || -> Result {
                let client = Client::new(host.http()?);
                for seq in 1_u64.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    let asked = Ask::new("POST", "/work/hot").json(&json!({ "id": first + seq, "seq": seq }));
                    client.ask(&asked)?.has(200)?;
                }
                Ok(())
            })
        });
        let seen = eventually("commits are in conflict", || {
            let (conflicts, reruns) = (
                of("sandman_commit_conflicts_total")?,
                of("sandman_commit_reruns_total")?,
            );
            Ok((conflicts >= 5.0 && reruns >= 5.0).then_some(()))
        });
        done.store(true, Ordering::Relaxed);
        for asking in asking {
            asking.join().map_err(|_| anyhow!("a client panicked"))??;
        }
        seen
    })
}

/// Every table has a size, and those that are written are not empty.
fn tables(host: &Host) -> Result {
    eventually("the tables have sizes", || {
        Ok((table(host, "state")? > 0.0 && table(host, "outbox_0")? > 0.0).then_some(()))
    })?;
    for name in ["progress", "relays", "shards", "transactions", "components", "versions"] {
        ensure!(table(host, name)? > 0.0, "{name} has no size");
    }
    Ok(())
}

/// A role that may log in, and has a schema; PostgreSQL's own `public` and temporary tables are not for it.
fn limited(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let name = format!("limited_{}", std::process::id());
    let mut owner = postgres::Client::connect(&server()?.url(), NoTls)?;
    owner.batch_execute(&format!("CREATE ROLE {name} LOGIN NOINHERIT"))?;
    owner.batch_execute(&format!("CREATE DATABASE {name}"))?;
    owner.batch_execute(&format!(
        "REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO {name}"
    ))?;
    let url = |role: &str| server().map(|server| format!("postgres://{role}@127.0.0.1:{}/{name}", server.port()));
    let mut inside = postgres::Client::connect(&url("sandman")?, NoTls)?;
    inside.batch_execute(&format!(
        "REVOKE ALL ON SCHEMA public FROM PUBLIC; CREATE SCHEMA sandman AUTHORIZATION {name}"
    ))?;
    let settings = deployment(world)?.set("store.schema", "\"sandman\"");
    let settings = settings.handler(echo(&[&input])?).route("/things/{key}", &["echo"]);
    let settings = at(&settings, &url(&name)?);
    let one = start(world, &settings, "one")?;
    let two = start(world, &settings, "two")?;
    let mut ledger = Ledger::default();
    until_both_take_events(world, &input, &mut ledger, [&one, &two])?;
    let asked = Ask::new("POST", "/things/asked").json(&json!({ "n": 1 }));
    Client::new(two.http()?).ask(&asked)?.has(200)?;
    two.kill()?;
    world.send(&input, &ledger.rounds(KEYS, 10, 0))?;
    ledger.settle(world)?;
    tables(&one)?;
    let hosts = one.operator().get("/v1/hosts")?.has(200)?;
    ensure!(hosts.as_array().map(Vec::len) == Some(2), "{hosts}");
    let ended = one.terminate()?;
    ensure!(ended.code() == 0, "ended with {}", ended.status);

    // With a schema to make it needs the right to do that, and says so.
    let other = settings.set("store.schema", "\"elsewhere\"");
    world
        .host_that_ends("other", &other)?
        .says(1, &["elsewhere", "CREATE SCHEMA", "AUTHORIZATION"])
}

/// What the server has done: commits, and blocks that it has looked at for them.
fn work(client: &mut postgres::Client) -> Result<(f64, f64)> {
    let row = client.query_one(
        "SELECT xact_commit::float8, (blks_hit + blks_read)::float8 FROM pg_stat_database WHERE datname = current_database()",
        &[],
    )?;
    Ok((row.get(0), row.get(1)))
}

/// Blocks for each commit while so many commits are made.
fn blocks_per_commit(client: &mut postgres::Client, commits: f64, mut send: impl FnMut() -> Result) -> Result<f64> {
    let before = work(client)?;
    eventually("enough was committed", || {
        send()?;
        let now = work(client)?;
        let (made, blocks) = (now.0 - before.0, now.1 - before.1);
        Ok((made >= commits).then_some(blocks / made))
    })
}

/// What is changed stays in the tables while a snapshot from before is open, and commits look at more for that: at so few blocks more
/// that the snapshot has to be minutes old before it is felt.
fn old_transaction(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let postgres = PostgresServer::start(&repository().join("target"))?;
    let settings = at(&deployment(world)?.handler(echo(&[&input])?), &postgres.url());
    let one = start(world, &settings, "one")?;
    let two = start(world, &settings, "two")?;
    let mut ledger = Ledger::default();
    until_both_take_events(world, &input, &mut ledger, [&one, &two])?;
    let mut watching = postgres::Client::connect(&postgres.url(), NoTls)?;
    let mut send = || world.send(&input, &ledger.rounds(KEYS, 5, 0)).map(drop);
    let usual = blocks_per_commit(&mut watching, WINDOW, &mut send)?;
    let mut elsewhere = postgres::Client::connect(&postgres.url(), NoTls)?;
    elsewhere.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")?;
    let mut windows = Vec::new();
    for _ in 0..WINDOWS {
        windows.push(blocks_per_commit(&mut watching, WINDOW, &mut send)?);
    }
    let last = *windows.last().context("no window")?;
    sandman_tests::note(&format!(
        "blocks for each commit: {usual:.0}, with an old snapshot {windows:.0?}"
    ));
    let most = usual + MORE * WINDOWS as f64;
    ensure!(
        last <= most,
        "{last:.0} blocks for each commit, {usual:.0} without an old snapshot: {windows:.0?}"
    );
    elsewhere.batch_execute("COMMIT")?;
    ledger.settle(world)?;
    one.still_runs()?;
    two.still_runs()
}

/// Commits of the server in one window, and windows while the snapshot is open.
const WINDOW: f64 = 1_000.0;
const WINDOWS: usize = 4;
/// How many more blocks a commit may look at for each window since the snapshot was taken.
const MORE: f64 = 200.0;
