//! Handlers that name the same group share a consumer: each has its own events, and none holds up another.

use anyhow::ensure;
use sandman_tests::{Behaviour, Event, Handler, Host, Ledger, Result, Settings, World, echo, eventually, hostile};
use serde_json::json;

use crate::fleet::{KEYS, REAL, consumed, deployment, start};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("handlers_of_one_group_share_a_consumer_and_no_event", shared).on_postgres_too(),
    Behaviour::new(
        "a_handler_that_is_paused_or_full_does_not_hold_up_the_others_of_its_group",
        isolated,
    ),
    Behaviour::new(
        "a_handler_moved_to_a_shared_group_and_back_loses_and_doubles_nothing",
        moved,
    )
    .on_real_kafka("forgets its groups' offsets with its process"),
    Behaviour::new("a_reload_adds_and_removes_handlers_of_a_shared_group", reloaded),
    Behaviour::new("a_topic_made_anew_stops_its_handler_alone_in_a_shared_group", made_anew)
        .on_real_kafka("has no ids of topics"),
    Behaviour::new("two_hosts_divide_the_topics_of_a_shared_group", fleet)
        .on_real_kafka(REAL)
        .with_its_own_store("a fleet has PostgreSQL as it is"),
];

const GROUP: &str = "both";

/// The handler in the group that it shares.
fn sharing(world: &World, handler: Handler) -> Handler {
    handler.set("group", &format!("\"{}-{GROUP}\"", world.deployment()))
}

struct Topics {
    /// Of `echo`, whose events a ledger counts.
    things: String,
    /// Of `hostile`.
    told: String,
}

impl Topics {
    fn make(world: &World) -> Result<Self> {
        Ok(Self {
            things: world.make_topic("thing.happened")?,
            told: world.make_topic("hostile.told")?,
        })
    }

    fn both(&self, world: &World, settings: Settings) -> Result<Settings> {
        let settings = settings.handler(sharing(world, echo(&[&self.things])?));
        Ok(settings.handler(sharing(world, hostile(&[&self.told])?)))
    }

    fn apart(&self, settings: Settings) -> Result<Settings> {
        Ok(settings
            .handler(echo(&[&self.things])?)
            .handler(hostile(&[&self.told])?))
    }
}

/// Events for keys in all partitions, of which nothing is told.
fn told(from: usize, count: usize) -> Vec<Event> {
    let one = |n: usize| Event::told(&format!("user-{}", n % 20), "nothing", 1);
    (from..from + count).map(one).collect()
}

fn consumers(host: &Host) -> Result<usize> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", host.pid()))?;
    let mut consumers = 0;
    for thread in threads {
        // A thread may have ended since.
        let name = std::fs::read_to_string(thread?.path().join("comm")).unwrap_or_default();
        consumers += usize::from(name.starts_with("consume "));
    }
    Ok(consumers)
}

fn shared(world: &World) -> Result {
    let topics = Topics::make(world)?;
    let host = world.host(&topics.both(world, world.settings()?)?)?;
    let mut ledger = Ledger::default();
    world.send(&topics.things, &ledger.rounds(100, 5, 50))?;
    world.send(&topics.told, &told(0, 200))?;
    world.reader(&world.topic("hostile.done"))?.until_count(200)?;
    ledger.settle(world)?;
    ensure!(consumers(&host)? == 1, "{} consumers", consumers(&host)?);
    for handler in ["echo", "hostile"] {
        let events = if handler == "echo" { 500 } else { 200 };
        host.metrics_when("each handler has its own events", |metrics| {
            let of = [("handler", handler)];
            metrics.sum("sandman_events_consumed_total", &of) == Some(f64::from(events))
                && metrics.sum("sandman_group_lag_messages", &of) == Some(0.0)
        })?;
    }
    // Kafka's own tools see both topics in the group.
    for (topic, events) in [(&topics.things, 500), (&topics.told, 200)] {
        eventually("the group is told", || {
            Ok((world.group_offsets(GROUP, topic)? >= events).then_some(()))
        })?;
    }
    ensure!(
        host.operator().get("/health")?.json()["status"] == "healthy",
        "not healthy"
    );
    let log = host.terminate()?.stderr;
    ensure!(!log.contains("ERROR"), "{log}");
    ensure!(
        world.all_of(&world.topic("hostile.done"))?.len() == 200,
        "an event of the other handler counted twice"
    );
    Ok(())
}

fn isolated(world: &World) -> Result {
    let topics = Topics::make(world)?;
    let handler = hostile(&[&topics.told])?.set("retry", r#"{ attempts = 2, first = "1h", max = "1h" }"#);
    let settings = world.settings()?.set("host.in_flight", "50").set("host.parked", "20");
    let settings = settings
        .handler(sharing(world, echo(&[&topics.things])?))
        .handler(sharing(world, handler));
    let host = world.host(&settings)?;
    // Every key fails and waits, so that each partition is paused at its bound, with more behind it.
    let stuck: Vec<_> = (0..2_000)
        .map(|n| Event::told(&format!("user-{}", n % 20), "retry", 0))
        .collect();
    world.send(&topics.told, &stuck)?;
    host.metrics_when("the handler takes nothing more", |metrics| {
        let parked = metrics.sum("sandman_parked_triggers", &[("handler", "hostile")]);
        parked >= Some(20.0)
    })?;
    let mut ledger = Ledger::default();
    world.send(&topics.things, &ledger.rounds(100, 20, 50))?;
    ledger.settle(world)?;
    host.metrics_when("the other one is held", |metrics| {
        metrics.sum("sandman_group_lag_messages", &[("handler", "hostile")]) >= Some(1_000.0)
            && metrics.sum("sandman_group_lag_messages", &[("handler", "echo")]) == Some(0.0)
    })?;
    host.still_runs()
}

/// From groups of their own to a shared one and back, with events while the host is down and while it runs.
fn moved(world: &World) -> Result {
    let topics = Topics::make(world)?;
    let apart = topics.apart(world.settings()?)?;
    let both = topics.both(world, world.settings()?)?;
    let mut ledger = Ledger::default();
    let mut sent = 0;
    for settings in [&apart, &both, &apart, &both] {
        world.send(&topics.things, &ledger.rounds(50, 4, 50))?;
        world.send(&topics.told, &told(sent, 100))?;
        let host = world.host(settings)?;
        world.send(&topics.things, &ledger.rounds(50, 4, 50))?;
        world.send(&topics.told, &told(sent + 100, 100))?;
        sent += 200;
        // The next host continues in the middle of the events.
        world.reader(&world.topic("hostile.done"))?.until_count(sent - 50)?;
        let log = host.terminate()?.stderr;
        ensure!(!log.contains("ERROR"), "{log}");
    }
    let _host = world.host(&apart)?;
    ledger.settle(world)?;
    world.reader(&world.topic("hostile.done"))?.until_count(sent)?;
    let done = world.all_of(&world.topic("hostile.done"))?.len();
    ensure!(done == sent, "{done} events of the other handler, not {sent}");
    Ok(())
}

fn reload(world: &World, host: &Host, settings: &Settings) -> Result {
    world.file("sandman.toml", settings.text().as_bytes())?;
    let ended = world.command(&["reload", "--json", "--host", host.admin()], &[])?;
    ensure!(ended.code() == 0, "{}{}", ended.stdout, ended.stderr);
    Ok(())
}

fn reloaded(world: &World) -> Result {
    let topics = Topics::make(world)?;
    let alone = world.settings()?.handler(sharing(world, echo(&[&topics.things])?));
    let both = topics.both(world, world.settings()?)?;
    let host = world.host(&alone)?;
    let mut ledger = Ledger::default();
    let mut sent = 0;
    let done = world.topic("hostile.done");
    for _ in 0..2 {
        world.send(&topics.things, &ledger.rounds(50, 4, 50))?;
        world.send(&topics.told, &told(sent, 20))?;
        sent += 20;
        reload(world, &host, &both)?;
        world.reader(&done)?.until_count(sent)?;
        world.send(&topics.things, &ledger.rounds(50, 4, 50))?;
        ensure!(consumers(&host)? == 1, "{} consumers", consumers(&host)?);
        reload(world, &host, &alone)?;
        world.send(&topics.things, &ledger.rounds(50, 4, 50))?;
    }
    ledger.settle(world)?;
    let log = host.terminate()?.stderr;
    ensure!(!log.contains("ERROR"), "{log}");
    ensure!(world.all_of(&done)?.len() == sent, "an event counted twice");
    Ok(())
}

fn made_anew(world: &World) -> Result {
    let topics = Topics::make(world)?;
    let host = world.host(&topics.both(world, world.settings()?)?)?;
    let mut ledger = Ledger::default();
    world.send(&topics.things, &ledger.rounds(50, 4, 50))?;
    world.send(&topics.told, &told(0, 100))?;
    world.reader(&world.topic("hostile.done"))?.until_count(100)?;
    host.metrics_when("all is committed", |metrics| {
        metrics.sum("sandman_in_flight_triggers", &[]) == Some(0.0)
    })?;
    world.cluster()?.delete_topic(&topics.told)?;
    world.make_topic("hostile.told")?;
    world.send(&topics.told, &told(0, 150))?;
    host.says(&["ERROR", "hostile", "was deleted and created again", &topics.told])?;
    eventually("the handler alone is said to be stopped", || {
        let health = host.operator().get("/health")?.json();
        let handlers = health["handlers"].as_array().cloned().unwrap_or_default();
        let is_said =
            handlers.len() == 1 && handlers[0]["handler"] == "hostile" && handlers[0]["stopped"] == json!(true);
        Ok(is_said.then_some(()))
    })?;
    // The other handler goes on, also in the next process.
    world.send(&topics.things, &ledger.rounds(50, 4, 50))?;
    ledger.settle(world)?;
    host.terminate()?;
    let host = world.host(&topics.both(world, world.settings()?)?)?;
    host.says(&["ERROR", "hostile", "was deleted and created again"])?;
    world.send(&topics.things, &ledger.rounds(50, 4, 50))?;
    ledger.settle(world)?;
    ensure!(
        world.all_of(&world.topic("hostile.done"))?.len() == 100,
        "records of the new topic were handled"
    );
    host.still_runs()
}

fn fleet(world: &World) -> Result {
    let topics = Topics::make(world)?;
    let settings = topics.both(world, deployment(world)?)?;
    let mut ledger = Ledger::default();
    let (one, two) = (start(world, &settings, "one")?, start(world, &settings, "two")?);
    // The group may give all partitions of one topic to one host.
    let mut sent = 0;
    eventually("both hosts take events in", || {
        world.send(&topics.things, &ledger.rounds(KEYS, 1, 0))?;
        world.send(&topics.told, &told(sent, 10))?;
        sent += 10;
        Ok((consumed(&one)? > 0.0 && consumed(&two)? > 0.0).then_some(()))
    })?;
    world.send(&topics.told, &told(sent, 200))?;
    world.send(&topics.things, &ledger.rounds(KEYS, 10, 50))?;
    world.reader(&world.topic("hostile.done"))?.until_count(sent + 200)?;
    one.kill()?;
    world.send(&topics.told, &told(sent + 200, 100))?;
    world.send(&topics.things, &ledger.rounds(KEYS, 2, 0))?;
    ledger.settle(world)?;
    world.reader(&world.topic("hostile.done"))?.until_count(sent + 300)?;
    let done = world.all_of(&world.topic("hostile.done"))?.len();
    ensure!(
        done == sent + 300,
        "{done} events of the other handler, not {}",
        sent + 300
    );
    two.still_runs()
}
