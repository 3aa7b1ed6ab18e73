//! Partitions are taken away and given back.

use anyhow::ensure;
use sandman_tests::{Behaviour, Event, Ledger, Result, World, echo};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new(
        "partitions_taken_by_a_stranger_and_given_back_lose_and_double_nothing",
        taken_and_given_back,
    )
    .on_real_kafka("balances groups in its own way"),
    Behaviour::new("a_group_of_another_kind_is_said_and_waited_for", another_kind)
        .on_real_kafka("lets any two clients into a group"),
];

fn taken_and_given_back(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let settings = world.settings()?.set("host.batch", "50").handler(echo(&[&input])?);
    let host = world.host(&settings)?;
    let mut ledger = Ledger::default();
    let mut reader = world.reader(&world.topic("thing.echoed"))?;
    for round in 1..=3 {
        world.send(&input, &ledger.rounds(300, 10, 100))?;
        // In the middle of the load a stranger joins, is given partitions, and leaves.
        reader.until_count(ledger.total() - 2_500)?;
        let stranger = world.foreign_member("echo", &input)?;
        let held = stranger.holds_some()?;
        ensure!(held < 3, "round {round}: the stranger got all partitions");
        world.send(&input, &ledger.rounds(300, 1, 0))?;
        stranger.leave();
        reader.until_count(ledger.total())?;
        host.still_runs()?;
    }
    ledger.settle(world)
}

/// As when somebody has left an instance of the service before us running.
fn another_kind(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let stranger = world.foreign_member_of_another_kind("echo", &input)?;
    stranger.holds_some()?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    world.send(&input, &[Event::thing("ada", 1)])?;
    host.says(&["WARN", "divide partitions in another way", "echo"])?;
    stranger.leave();
    world.reader(&world.topic("thing.echoed"))?.until_count(1)?;
    let warnings = host.terminate()?.stderr.matches("divide partitions").count();
    ensure!(warnings < 30, "{warnings} warnings");
    Ok(())
}
