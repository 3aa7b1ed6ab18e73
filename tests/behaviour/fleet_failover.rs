//! A fleet whose PostgreSQL is lost, and a replica takes its place; or is full.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{anyhow, ensure};
use postgres::NoTls;
use sandman_tests::{
    Ask, Behaviour, Client, Compression, Host, Ledger, PostgresServer, Result, SmallDisk, World, echo, eventually,
    repository,
};
use serde_json::json;

use crate::fleet::{REAL, deployment, start, with_witness};
use crate::fleet_postgres::{ask_until, at, until_both_take_events};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_fleet_goes_on_when_a_replica_of_its_postgresql_is_promoted", promoted).on_real_kafka(REAL),
    Behaviour::new("a_fleet_waits_while_the_disk_of_its_postgresql_is_full", full)
        .on_real_kafka(REAL)
        .on_a_small_disk(),
];

const KEYS: usize = 40;

fn all_have(hosts: &[&Host], status: u16) -> Result<Option<()>> {
    for host in hosts {
        if host.operator().get("/health")?.status != status {
            return Ok(None);
        }
    }
    Ok(Some(()))
}

/// Under load, so that commits are under way when the server is killed: each of them is in the replica or nowhere.
fn promoted(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let asked = world.make_topic("work.asked")?;
    let primary = PostgresServer::start(&repository().join("target"))?;
    let replica = primary.replicate()?;
    let settings = with_witness(deployment(world)?.handler(echo(&[&input])?.set("dedupe", "0")), &asked)?;
    let url = format!(
        "postgres://sandman@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        primary.port(),
        replica.port()
    );
    let settings = at(&settings, &url);
    let one = start(world, &settings, "one")?;
    let two = start(world, &settings, "two")?;
    let mut ledger = Ledger::default();
    until_both_take_events(world, &input, &mut ledger, [&one, &two])?;
    let done = AtomicBool::new(false);
    let counts = thread::scope(|scope| -> Result<Vec<(&str, (u64, u64))>> {
        let done = &done;
        let asking = [("ada", &one), ("bob", &two)].map(|(key, host)| {
            let http = host.http();
            (key, scope.spawn(move || ask_until(http?, key, done)))
        });
        let events = ledger.rounds(KEYS, 40, 100);
        let producing = scope.spawn(move || -> Result {
            let producer = world.producer(Compression::None)?;
            let mut chunks = events.chunks(100);
            chunks.try_for_each(|chunk| producer.send(&input, chunk).map(drop))
        });
        let failed_over = fail_over((&primary, &replica), &[&one, &two]);
        done.store(true, Ordering::Relaxed);
        producing.join().map_err(|_| anyhow!("the producer panicked"))??;
        let counts = asking.map(|(key, asking)| Ok((key, asking.join().map_err(|_| anyhow!("a client panicked"))??)));
        failed_over?;
        counts.into_iter().collect()
    })?;
    ledger.settle(world)?;
    for (key, (acknowledged, asked)) in counts {
        for host in [&one, &two] {
            let told = Client::new(host.http()?).get(&format!("/work/{key}"))?.has(200)?;
            let count = told["count"].as_u64().unwrap_or_default();
            ensure!(
                (acknowledged..=asked).contains(&count),
                "{key}: {count} counted, {acknowledged} acknowledged of {asked}"
            );
        }
    }
    one.still_runs()?;
    two.still_runs()?;
    ledger.check(world)
}

fn fail_over((primary, replica): (&PostgresServer, &PostgresServer), hosts: &[&Host]) -> Result {
    eventually("all hosts are well", || all_have(hosts, 200))?;
    primary.quit(true)?;
    eventually("all hosts say that they cannot commit", || all_have(hosts, 503))?;
    replica.promote()?;
    eventually("all hosts are well with the replica", || all_have(hosts, 200))
}

/// The tables are on a disk of their own, which is filled up; the server's log is not.
fn full(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let postgres = PostgresServer::start(&repository().join("target"))?;
    let disk = SmallDisk::start(64)?;
    let mut client = postgres::Client::connect(&postgres.url(), NoTls)?;
    client.batch_execute(&format!(
        "CREATE TABLESPACE small LOCATION '{}'",
        disk.folder().display()
    ))?;
    client.batch_execute("ALTER ROLE sandman SET default_tablespace = small")?;
    let settings = deployment(world)?.handler(echo(&[&input])?.set("dedupe", "0"));
    let settings = at(&settings.route("/things/{key}", &["echo"]), &postgres.url());
    let one = start(world, &settings, "one")?;
    let two = start(world, &settings, "two")?;
    let mut ledger = Ledger::default();
    until_both_take_events(world, &input, &mut ledger, [&one, &two])?;
    ledger.settle(world)?;
    disk.fill()?;
    let clients = [Client::new(one.http()?), Client::new(two.http()?)];
    let mut keys = 0..;
    let mut ask = |client: &Client| -> Result<u16> {
        // Of another key each time, which needs a row and a place in the outbox.
        let key = keys.next().unwrap_or_default();
        let asked = Ask::new("POST", &format!("/things/asked-{key}")).json(&json!({ "n": 1 }));
        Ok(client.ask(&asked)?.status)
    };
    for client in &clients {
        eventually("requests are refused for a while", || match ask(client)? {
            200 => Ok(None),
            503 => Ok(Some(())),
            other => Err(anyhow!("{other}")),
        })?;
    }
    world.send(&input, &ledger.rounds(KEYS, 20, 0))?;
    one.says(&["53100"])?;
    two.says(&["53100"])?;
    one.still_runs()?;
    two.still_runs()?;
    disk.free()?;
    for client in &clients {
        eventually(
            "requests are answered again",
            || Ok((ask(client)? == 200).then_some(())),
        )?;
    }
    eventually("all hosts are well", || all_have(&[&one, &two], 200))?;
    ledger.settle(world)?;
    one.still_runs()?;
    two.still_runs()
}
