//! Kafka goes away under HTTP: everybody is answered meanwhile, and the events follow.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{anyhow, ensure};
use sandman_tests::{Behaviour, Diaries, DreamScape, PUBLISHED, Result, World, eventually};
use serde_json::{Value, json};

pub const BEHAVIOURS: &[Behaviour] = &[Behaviour::new(
    "http_is_served_while_kafka_is_away_and_its_events_follow",
    served_meanwhile,
)
.on_its_own_kafka()];

const USERS: usize = 40;
const WRITERS: usize = 8;
/// Requests that must be answered in each of the three times: before, meanwhile and afterwards.
const ENOUGH: usize = 200;

/// What `/health` answers, but for the store's part.
fn health(world: &World, connected: bool) -> Value {
    json!({
        "status": if connected { "healthy" } else { "degraded" },
        "ready": true,
        "kafka": { "connected": connected, "topics": topics(world) },
    })
}

fn topics(world: &World) -> Vec<String> {
    let mut topics: Vec<_> = PUBLISHED.iter().map(|name| world.topic(name)).collect();
    topics.sort();
    topics
}

fn becomes(world: &World, app: &DreamScape<'_>, connected: bool) -> Result {
    let expected = health(world, connected);
    eventually(&format!("/health says {expected}"), || {
        let (status, said) = app.health()?;
        ensure!(status == 200, "/health answered {status} {said}");
        Ok((said == expected).then_some(()))
    })
}

fn served_meanwhile(world: &World) -> Result {
    let broker = world.own_broker()?;
    let app = DreamScape::start(world)?;
    let mut events = app.events()?;
    let mut diaries = Diaries::new(&app, USERS, WRITERS)?;
    let acknowledged = diaries.acknowledged();
    let enough_more = |when: &str| {
        let wanted = acknowledged.load(Ordering::Relaxed) + ENOUGH;
        eventually(&format!("requests are answered {when}"), || {
            Ok((acknowledged.load(Ordering::Relaxed) >= wanted).then_some(()))
        })
    };
    let stop = AtomicBool::new(false);
    let unanswered = thread::scope(|scope| -> Result<usize> {
        let writing = scope.spawn(|| diaries.write(|_| !stop.load(Ordering::Relaxed)));
        let outage = || -> Result {
            becomes(world, &app, true)?;
            enough_more("before")?;
            broker.stop()?;
            becomes(world, &app, false)?;
            enough_more("meanwhile")?;
            broker.start()?;
            becomes(world, &app, true)?;
            enough_more("afterwards")
        };
        let outcome = outage();
        // Writers that nobody tells to stop would never end.
        stop.store(true, Ordering::Relaxed);
        let unanswered = writing.join().map_err(|_| anyhow!("the writers panicked"))?;
        outcome?;
        unanswered
    })?;
    ensure!(unanswered == 0, "{unanswered} requests were not answered");
    diaries.check(&mut events)
}
