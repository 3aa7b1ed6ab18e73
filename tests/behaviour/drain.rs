//! The host is asked to stop.

use std::time::{Duration, Instant};

use anyhow::ensure;
use sandman_tests::{Behaviour, Event, Ledger, Result, World, echo, hostile};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_stop_drains_what_was_taken_in", drains),
    Behaviour::new("a_start_after_a_stop_repeats_nothing", repeats_nothing).on_postgres_too(),
    Behaviour::new("a_second_signal_ends_at_once_and_loses_nothing", second_signal),
];

const OF_ECHO: [(&str, &str); 1] = [("handler", "echo")];

fn drains(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let handler = echo(&[&input])?.set("limits", r#"{ time = "30s" }"#);
    let settings = world.settings()?.set("host.grace", "\"120s\"").handler(handler);
    let host = world.host(&settings)?;
    let mut ledger = Ledger::default();
    // Long invocations: between them the outbox is empty, and only the lanes know that there is more to come.
    world.send(&input, &ledger.rounds(4, 3, 2_000_000))?;
    let all = ledger.total() as f64;
    host.metrics_when("all is taken in", |metrics| {
        metrics.sum("sandman_events_consumed_total", &OF_ECHO) == Some(all)
    })?;
    let done = world.all_of(&world.topic("thing.echoed"))?.len();
    ensure!(
        done < ledger.total() / 2,
        "{done} events are published already: there is little to drain"
    );
    let ended = host.terminate()?;
    ensure!(ended.code() == 0, "the host ended with {}", ended.status);
    ledger.check(world)
}

fn repeats_nothing(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let settings = world
        .settings()?
        .set("host.batch", "20")
        .set("host.in_flight", "100")
        .handler(echo(&[&input])?);
    let mut ledger = Ledger::default();
    world.send(&input, &ledger.rounds(300, 20, 500))?;
    let host = world.host(&settings)?;
    world.reader(&world.topic("thing.echoed"))?.until_count(500)?;
    let ended = host.terminate()?;
    ensure!(ended.code() == 0, "the host ended with {}", ended.status);

    // All that it took in is published, and the group's offsets say so: another start repeats nothing.
    let published = world.all_of(&world.topic("thing.echoed"))?.len();
    ensure!(
        published < ledger.total(),
        "all was done before the stop: this shows nothing"
    );
    let committed = world.group_offsets("echo", &input)?;
    ensure!(
        i64::try_from(published)? == committed,
        "{published} events were published, the group's offsets say {committed}"
    );
    let host = world.host(&settings)?;
    ledger.settle(world)?;
    let consumed = host.metrics()?.sum("sandman_events_consumed_total", &OF_ECHO);
    let left = (ledger.total() - published) as f64;
    ensure!(
        consumed == Some(left),
        "{consumed:?} records were consumed after the restart, not {left}"
    );
    Ok(())
}

fn second_signal(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let handler = hostile(&[&input])?
        .set("limits", r#"{ time = "60s" }"#)
        .set("retry", "{ attempts = 1 }");
    let settings = world.settings()?.set("host.grace", "\"600s\"").handler(handler);
    let host = world.host(&settings)?;
    let mut events = vec![Event::told("spin", "burn", 20_000)];
    events.extend((0..20).map(|key| Event::told(&format!("key-{key}"), "nothing", 1)));
    world.send(&input, &events)?;
    // The burning key holds the drain up for longer than anybody would wait.
    world.reader(&world.topic("hostile.done"))?.until_count(20)?;
    host.ask_to_stop()?;
    host.says(&["stopping"])?;
    host.ask_to_stop()?;
    let asked = Instant::now();
    host.wait(Duration::from_secs(60))?;
    ensure!(
        asked.elapsed() < Duration::from_secs(60),
        "it took {:?}",
        asked.elapsed()
    );

    // A host that is given less to burn would be another handler: it starts again with the same, and the others stay done.
    let host = world.host(&settings)?;
    host.metrics_when("the burning event is taken in again", |metrics| {
        metrics.sum("sandman_events_consumed_total", &[("handler", "hostile")]) >= Some(1.0)
    })?;
    let consumed = host
        .metrics()?
        .sum("sandman_events_consumed_total", &[("handler", "hostile")]);
    ensure!(
        consumed == Some(1.0),
        "{consumed:?} records were consumed again, not only the one that was not done"
    );
    Ok(())
}
