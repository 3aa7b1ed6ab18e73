//! A fleet whose PostgreSQL breaks: connections in the middle of commits, and the server as a whole.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{anyhow, ensure};
use sandman_tests::{
    Ask, Behaviour, Client, CommitProxy, Compression, Host, Ledger, PostgresServer, Result, Settings,
    TransactionPooler, World, echo, eventually, repository,
};
use serde_json::json;

use crate::fleet::{REAL, consumed, deployment, server, start, with_witness};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_fleet_works_behind_a_pooler_in_transaction_mode", pooled).on_real_kafka(REAL),
    Behaviour::new("a_commit_whose_answer_is_lost_counts_once", lost_answers).on_real_kafka(REAL),
    Behaviour::new("hosts_go_on_when_their_postgresql_was_restarted", restarted).on_real_kafka(REAL),
];

const KEYS: usize = 40;

/// One in so many commits is cut, of the hosts' leases as well.
const EVERY: usize = 9;

/// The same with the store at that place.
pub(crate) fn at(settings: &Settings, url: &str) -> Settings {
    settings.clone().set("store.url", &format!("{url:?}"))
}

/// Sends events until both hosts have partitions.
pub(crate) fn until_both_take_events(world: &World, input: &str, ledger: &mut Ledger, hosts: [&Host; 2]) -> Result {
    eventually("both hosts take events in", || {
        world.send(input, &ledger.rounds(KEYS, 1, 0))?;
        let [one, two] = hosts;
        Ok((consumed(one)? > 0.0 && consumed(two)? > 0.0).then_some(()))
    })
}

/// Events and requests on two hosts, one of which is killed, while each transaction gets another session of the server.
fn pooled(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let pooler = TransactionPooler::start(server()?.port())?;
    let settings = at(&deployment(world)?.handler(echo(&[&input])?), &pooler.url());
    let settings = settings.route("/things/{key}", &["echo"]);
    let one = start(world, &settings, "one")?;
    let two = start(world, &settings, "two")?;
    let mut ledger = Ledger::default();
    until_both_take_events(world, &input, &mut ledger, [&one, &two])?;
    world.send(&input, &ledger.rounds(KEYS, 20, 20))?;
    let clients = [Client::new(one.http()?), Client::new(two.http()?)];
    for n in 1..=40_u64 {
        for client in &clients {
            let asked = Ask::new("POST", "/things/asked").json(&json!({ "n": n }));
            ensure!(client.ask(&asked)?.status == 200, "request {n} was refused");
        }
    }
    two.kill()?;
    world.send(&input, &ledger.rounds(KEYS, 10, 20))?;
    ledger.settle(world)?;
    one.still_runs()?;
    ledger.check(world)
}

fn lost_answers(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let proxy = CommitProxy::start(server()?.port())?;
    let settings = at(&deployment(world)?.handler(echo(&[&input])?), &proxy.url());
    let one = start(world, &settings, "one")?;
    let two = start(world, &settings, "two")?;
    let mut ledger = Ledger::default();
    until_both_take_events(world, &input, &mut ledger, [&one, &two])?;
    proxy.cut_every(EVERY);
    let cut = || {
        let (before, after) = proxy.cut();
        before.min(after)
    };
    eventually("enough commits were cut", || {
        world.send(&input, &ledger.rounds(KEYS, 10, 50))?;
        Ok((cut() >= 10).then_some(()))
    })?;
    proxy.cut_every(0);
    ledger.settle(world)?;
    for host in [&one, &two] {
        host.still_runs()?;
    }
    one.says(&["the connection was lost while a transaction was being committed"])?;
    ledger.check(world)
}

/// Requests to one key; what was acknowledged, and what was asked at all.
pub(crate) fn ask_until(host: &str, key: &str, done: &AtomicBool) -> Result<(u64, u64)> {
    let client = Client::new(host);
    let (mut acknowledged, mut asked) = (0, 0);
    while !done.load(Ordering::Relaxed) {
        asked += 1;
        let body = json!({ "id": asked, "seq": asked });
        let reply = client.ask(&Ask::new("POST", &format!("/work/{key}")).json(&body))?;
        match reply.status {
            200 => acknowledged += 1,
            503 => {}
            other => return Err(anyhow!("{other}: {}", reply.text())),
        }
    }
    Ok((acknowledged, asked))
}

fn restarted(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let postgres = PostgresServer::start(&repository().join("target"))?;
    let asked = world.make_topic("work.asked")?;
    let settings = with_witness(deployment(world)?.handler(echo(&[&input])?), &asked)?;
    let settings = at(&settings, &postgres.url());
    let one = start(world, &settings, "one")?;
    let two = start(world, &settings, "two")?;
    let mut ledger = Ledger::default();
    until_both_take_events(world, &input, &mut ledger, [&one, &two])?;
    let done = AtomicBool::new(false);
    let counts = thread::scope(|scope| -> Result<BTreeMap<&str, (u64, u64)>> {
        let done = &done;
        let asking = [("ada", &one), ("bob", &two)].map(|(key, host)| {
            let http = host.http();
            (key, scope.spawn(move || ask_until(http?, key, done)))
        });
        let events = ledger.rounds(KEYS, 40, 100);
        let producing = scope.spawn(move || -> Result {
            let producer = world.producer(Compression::None)?;
            let mut chunks = events.chunks(200);
            chunks.try_for_each(|chunk| producer.send(&input, chunk).map(drop))
        });
        let broken = [true, false, true, true]
            .into_iter()
            .try_for_each(|at_once| break_once(&postgres, &[&one, &two], at_once));
        done.store(true, Ordering::Relaxed);
        producing.join().map_err(|_| anyhow!("the producer panicked"))??;
        let counts = asking.map(|(key, asking)| Ok((key, asking.join().map_err(|_| anyhow!("a client panicked"))??)));
        broken?;
        counts.into_iter().collect()
    })?;
    ledger.settle(world)?;
    let clients = [Client::new(one.http()?), Client::new(two.http()?)];
    for (key, (acknowledged, asked)) in counts {
        for client in &clients {
            let told = client.get(&format!("/work/{key}"))?.has(200)?;
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

/// The server is gone, which every host says, and comes back, which every host finds.
fn break_once(postgres: &PostgresServer, hosts: &[&Host], at_once: bool) -> Result {
    let all = |status: u16| -> Result<Option<()>> {
        for host in hosts {
            if host.operator().get("/health")?.status != status {
                return Ok(None);
            }
        }
        Ok(Some(()))
    };
    eventually("all hosts are well", || all(200))?;
    postgres.quit(at_once)?;
    eventually("all hosts say that they cannot commit", || all(503))?;
    postgres.start_again()?;
    eventually("all hosts are well again", || all(200))
}
