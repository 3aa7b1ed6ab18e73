//! The broker inside: for development, and the host says so.

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, Ledger, Result, World, echo};

pub const BEHAVIOURS: &[Behaviour] = &[Behaviour::new(
    "the_embedded_broker_serves_and_is_announced_as_development_only",
    serves,
)
.with_its_own_store("the embedded broker has a file")
.without_broker()];

fn serves(world: &World) -> Result {
    let input = world.topic("thing.happened");
    let settings = world
        .settings_without_broker()
        .set("kafka.brokers", "\"embedded\"")
        .handler(echo(&[&input])?);
    let host = world.host(&settings)?;
    let line = host.says(&["embedded", "development", "brokers="])?;
    ensure!(line.contains("WARN"), "it is no warning: {line}");
    let brokers = line.split("brokers=").nth(1).context("no address")?;
    world.talk_to(brokers.split_whitespace().next().unwrap_or_default());
    let mut ledger = Ledger::default();
    world.send(&input, &ledger.rounds(20, 5, 0))?;
    ledger.settle(world)?;
    let ended = host.terminate()?;
    ensure!(ended.code() == 0, "the host ended with {}", ended.status);
    // Again with the same store, although the broker begins empty.
    let host = world.host(&settings)?;
    host.still_runs()
}
