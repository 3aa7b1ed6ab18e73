//! Kafka goes away and comes back: nothing is lost, doubled or turned round.

use anyhow::ensure;
use sandman_tests::{Behaviour, Host, Ledger, Result, World, echo};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new(
        "a_broker_that_is_stopped_and_started_costs_nothing",
        stopped_and_started,
    )
    .on_its_own_kafka(),
    Behaviour::new(
        "a_host_starts_without_kafka_and_begins_when_it_is_there",
        starts_without_kafka,
    )
    .on_its_own_kafka(),
];

const BURN: u64 = 300;

fn connected(host: &Host, wanted: bool) -> Result {
    let what = if wanted {
        "Kafka is there again"
    } else {
        "the host sees that Kafka is gone"
    };
    host.metrics_when(what, |metrics| {
        metrics.sum("sandman_kafka_connected", &[]) == Some(f64::from(u8::from(wanted)))
    })?;
    Ok(())
}

fn stopped_and_started(world: &World) -> Result {
    let broker = world.own_broker()?;
    let input = world.make_topic("thing.happened")?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    let mut ledger = Ledger::default();
    let mut reader = world.reader(&world.topic("thing.echoed"))?;

    world.send(&input, &ledger.rounds(100, 20, BURN))?;
    reader.until_count(100)?;
    broker.stop()?;
    connected(&host, false)?;
    broker.start()?;
    world.send(&input, &ledger.rounds(100, 20, BURN))?;
    reader.until_count(ledger.total() - 1_000)?;
    connected(&host, true)?;

    broker.kill()?;
    connected(&host, false)?;
    broker.start()?;
    world.send(&input, &ledger.rounds(100, 5, BURN))?;
    ledger.settle(world)?;
    let ended = host.terminate()?;
    ensure!(ended.code() == 0, "the host ended with {}", ended.status);
    ledger.check(world)
}

fn starts_without_kafka(world: &World) -> Result {
    let broker = world.own_broker()?;
    let input = world.make_topic("thing.happened")?;
    let mut ledger = Ledger::default();
    world.send(&input, &ledger.rounds(50, 2, 0))?;
    broker.stop()?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    connected(&host, false)?;
    broker.start()?;
    ledger.settle(world)
}
