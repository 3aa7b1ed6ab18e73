//! Kafka goes away under HTTP: everybody is answered meanwhile, and the events follow.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{anyhow, ensure};
use sandman_tests::{Behaviour, Diaries, DreamScape, Result, World, eventually};

pub const BEHAVIOURS: &[Behaviour] = &[Behaviour::new(
    "http_is_served_while_kafka_is_away_and_its_events_follow",
    served_meanwhile,
)
.on_its_own_kafka()];

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
        let unanswered = writing.join().map_err(|_| anyhow!("the writers panicked"))?;
        outcome?;
        unanswered
    })?;
    ensure!(unanswered == 0, "{unanswered} requests were not answered");
    diaries.check(&mut events)
}
