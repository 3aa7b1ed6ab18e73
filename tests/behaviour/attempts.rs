//! How often a trigger failed is known after a restart.

use anyhow::ensure;
use sandman_tests::{Behaviour, Event, Host, Metrics, Result, World, hostile};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("attempts_survive_a_restart", survive_a_restart).on_real_kafka(REAL),
    Behaviour::new("the_last_attempt_after_a_restart_gives_up", gives_up_after_a_restart)
        .on_postgres_too()
        .on_real_kafka(REAL),
];

const REAL: &str = "does not put the group of a killed member right";

fn retried(host: &Host, times: f64) -> Result<Metrics> {
    host.metrics_when("the failure is noted", |metrics| {
        metrics.sum("sandman_retries_total", &[("handler", "hostile")]) >= Some(times)
    })
}

fn survive_a_restart(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let handler = hostile(&[&input])?.set("retry", r#"{ attempts = 5, first = "5s", factor = 1.0 }"#);
    let settings = world.settings()?.handler(handler);
    let host = world.host(&settings)?;
    world.send(
        &input,
        &[Event::told("ada", "fail", 2), Event::told("ada", "nothing", 0)],
    )?;
    retried(&host, 1.0)?;
    host.terminate()?;
    let host = world.host(&settings)?;
    let mut done = world.reader(&world.topic("hostile.done"))?;
    let seen = done.until_count(2)?;
    let attempts: Vec<_> = seen.iter().map(|event| event.payload()["attempt"].clone()).collect();
    ensure!(
        attempts == [3, 1],
        "the attempts were {attempts:?}, not the third and the first"
    );
    // One failure before the restart, one after it.
    let retries = host.metrics()?.sum("sandman_retries_total", &[("handler", "hostile")]);
    ensure!(retries == Some(1.0), "{retries:?} retries after the restart, not 1");
    Ok(())
}

fn gives_up_after_a_restart(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let handler = hostile(&[&input])?.set("retry", r#"{ attempts = 2, first = "3s" }"#);
    let settings = world.settings()?.handler(handler);
    let host = world.host(&settings)?;
    world.send(&input, &[Event::told("ada", "retry", 0)])?;
    retried(&host, 1.0)?;
    // Until the failure is durable a kill would forget it, and that would be right as well.
    host.metrics_when("the failure is committed", |metrics| {
        metrics.sum("sandman_commit_units_sum", &[]) >= Some(1.0)
    })?;
    host.kill()?;
    let host = world.host(&settings)?;
    let mut letters = world.dead_letters(&input)?;
    let letter = &letters.until_count(1)?[0];
    ensure!(letter.header("sandman.attempts") == "2", "{:?}", letter.headers);
    let invocations = host
        .metrics()?
        .sum("sandman_invocations_total", &[("handler", "hostile")]);
    ensure!(
        invocations == Some(1.0),
        "{invocations:?} invocations after the restart, not 1"
    );
    Ok(())
}
