//! Kafka goes away under HTTP: everybody is answered meanwhile, and the events follow.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{anyhow, ensure};
use sandman_tests::{Behaviour, Diaries, DreamScape, Result, World, eventually};
use serde_json::json;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new(
        "http_is_served_while_kafka_is_away_and_its_events_follow",
        served_meanwhile,
    )
    .on_its_own_kafka(),
    Behaviour::new("a_full_outbox_refuses_what_would_publish_and_serves_reads", full_outbox),
];

const USERS: usize = 40;
const WRITERS: usize = 8;
/// Requests that must be answered in each of the three times: before, meanwhile and afterwards.
const ENOUGH: usize = 200;

fn served_meanwhile(world: &World) -> Result {
    let broker = world.own_broker()?;
    let app = DreamScape::start(world)?;
    let mut events = app.events()?;
    let mut diaries = Diaries::new(&app, USERS, WRITERS)?;
    let acknowledged = diaries.acknowledged();
    let stop = AtomicBool::new(false);
    let unanswered = thread::scope(|scope| -> Result<usize> {
        let writing = scope.spawn(|| diaries.write(|_| !stop.load(Ordering::Relaxed)));
        let enough_more = |when: &str| {
            let wanted = acknowledged.load(Ordering::Relaxed) + ENOUGH;
            eventually(&format!("requests are answered {when}"), || {
                ensure!(!writing.is_finished(), "the writers ended by themselves");
                Ok((acknowledged.load(Ordering::Relaxed) >= wanted).then_some(()))
            })
        };
        let outage = || -> Result {
            app.sees_kafka(true)?;
            enough_more("before")?;
            broker.stop()?;
            app.sees_kafka(false)?;
            enough_more("meanwhile")?;
            broker.start()?;
            app.sees_kafka(true)?;
            enough_more("afterwards")
        };
        let outcome = outage();
        // Writers that nobody tells to stop would never end.
        stop.store(true, Ordering::Relaxed);
        let unanswered = writing.join().map_err(|_| anyhow!("the writers panicked"))??;
        outcome.map(|()| unanswered)
    })?;
    ensure!(unanswered == 0, "{unanswered} requests were not answered");
    diaries.check(&mut events)
}

fn full_outbox(world: &World) -> Result {
    let nobody = [("KAFKA_BROKERS", "127.0.0.1:1"), ("SANDMAN_STORE__OUTBOX", "64KiB")];
    let app = DreamScape::start_with(world, &nobody)?;
    let user = app.user("ada")?;
    let put = |number: usize| user.put(&json!({ "profile": { "name": format!("Name {number}") } }));
    let mut taken = 0;
    let refused = loop {
        let reply = put(taken + 1)?;
        if reply.status != 200 {
            break reply;
        }
        taken += 1;
        ensure!(taken < 1_000, "the outbox has no bound");
    };
    ensure!(taken > 10, "only {taken} requests were taken");
    refused.refuses(503, &["try again later"])?;
    ensure!(
        refused.header("retry-after") == "1",
        "retry-after is {:?}",
        refused.header("retry-after")
    );
    let name = |body: serde_json::Value| body["profile"]["name"].clone();
    let last = json!(format!("Name {taken}"));
    ensure!(
        name(user.settings()?.has(200)?) == last,
        "the last name taken is not there"
    );

    // The bound is about what is stored, so a restart does not lift it.
    let app = app.kill_and_start()?;
    let user = app.user("ada")?;
    user.put(&json!({ "profile": { "name": "New" } }))?
        .refuses(503, &["try again later"])?;
    ensure!(name(user.settings()?.has(200)?) == last, "the last name taken is lost");
    Ok(())
}
