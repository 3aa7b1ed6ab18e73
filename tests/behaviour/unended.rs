//! Kafka may forget to end a transaction, once its broker was killed: what is in it is neither lost nor there twice.

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, Event, Ledger, PATIENCE, Result, Seen, Settings, Unended, World, echo, eventually};
use serde_json::json;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new(
        "a_transaction_that_kafka_confirmed_and_did_not_end_comes_into_view",
        confirmed,
    )
    .on_its_own_kafka(),
    Behaviour::new("a_transaction_without_an_end_is_published_once", doubtful).on_its_own_kafka(),
    Behaviour::new(
        "a_transaction_that_has_its_end_in_some_partitions_is_published_once",
        partly,
    )
    .on_its_own_kafka(),
];

/// What a host leaves that has done some work, and whose store has heard that all of it is published.
fn has_worked(world: &World) -> Result<(Settings, String, Ledger)> {
    world.own_broker()?;
    let input = world.make_topic("thing.happened")?;
    let settings = world.settings()?.handler(echo(&[&input])?);
    let host = world.host(&settings)?;
    let mut ledger = Ledger::default();
    world.send(&input, &ledger.rounds(20, 2, 0))?;
    ledger.settle(world)?;
    host.metrics_when("the outbox is empty", |metrics| {
        metrics.sum("sandman_outbox_batches", &[]) == Some(0.0)
    })?;
    host.terminate()?;
    Ok((settings, input, ledger))
}

/// The store knows that its last batch is published. Kafka shows the cursor before it.
fn confirmed(world: &World) -> Result {
    let (settings, input, mut ledger) = has_worked(world)?;
    let (cursors, events) = (format!("{}.relay", world.deployment()), world.topic("thing.echoed"));
    let cursor = world.all_of(&cursors)?.pop().context("no cursor")?;
    let event = world.all_of(&events)?.pop().context("no event")?;
    let older = json!({ "store": cursor.json()["store"], "batch": 0 });
    world.send(&cursors, &[Event::bytes("0", older.to_string().as_bytes())])?;
    let hidden = Seen {
        timestamp: None,
        key: Some(b"confirmed".to_vec()),
        ..event.clone()
    };
    let forgotten = Unended::begin(world)?;
    forgotten.write(&events, &[hidden])?;
    forgotten.write(&cursors, &[cursor])?;

    let host = world.host(&settings)?;
    host.says(&["WARN", "confirmed a transaction and did not end it"])?;
    // With the next event in its partition.
    world.send(&input, &[ledger.next(&event.key_text(), 0)])?;
    let mut reader = world.reader(&events)?;
    let shown = |seen: &[Seen]| seen.iter().any(|record| record.key_text() == "confirmed");
    reader.until("what was confirmed", shown)?;
    all_ended(world, &[cursors, events])?;
    host.still_runs()
}

/// The store has not heard what became of it, and has it in its outbox.
fn doubtful(world: &World) -> Result {
    left(world, &[], "kafka did not end a transaction")
}

/// Readers have seen a part of it.
fn partly(world: &World) -> Result {
    left(world, &["thing.counted"], "in some partitions only")
}

/// A host that dies in a transaction, of which the next one finds that these topics have their end, and the others none.
fn left(world: &World, ended: &[&str], told: &str) -> Result {
    let (settings, input, mut ledger) = has_worked(world)?;
    let host = world.host(&settings.clone().fault("CRASH", "delivered:1"))?;
    world.send(&input, &ledger.rounds(20, 2, 0))?;
    host.wait(PATIENCE)?;

    let forgotten = Unended::begin(world)?;
    let topics = [
        world.topic("thing.echoed"),
        world.topic("thing.counted"),
        format!("{}.relay", world.deployment()),
    ];
    for topic in &topics {
        let records = Unended::unseen(world, topic)?;
        ensure!(!records.is_empty(), "nothing of {topic} was in the transaction");
        if ended.iter().any(|name| world.topic(name) == *topic) {
            let seen: Vec<_> = records.into_iter().map(Event::again).collect();
            world.send(topic, &seen)?;
            continue;
        }
        forgotten.write(topic, &records)?;
        ensure!(
            !world.cluster()?.held_up(topic)?.is_empty(),
            "nothing is held up in {topic}"
        );
    }

    let host = world.host(&settings)?;
    host.says(&["WARN", told])?;
    // What is committed comes into view with the next events in its partitions.
    world.send(&input, &ledger.rounds(20, 2, 0))?;
    ledger.settle(world)?;
    all_ended(world, &topics)?;
    host.still_runs()
}

fn all_ended(world: &World, topics: &[String]) -> Result {
    eventually("every transaction has its end", || {
        let held_up = topics.iter().map(|topic| world.cluster()?.held_up(topic));
        let held_up: Vec<_> = held_up.collect::<Result<_>>()?;
        Ok(held_up.iter().all(Vec::is_empty).then_some(()))
    })
}
