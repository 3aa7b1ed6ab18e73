//! A key that fails, waits or spins holds up no other key; its own later events wait behind it.

use anyhow::ensure;
use sandman_tests::{Behaviour, Event, Handler, Host, Metrics, Result, World, guest, hostile, on_cores};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("other_keys_go_on_while_one_backs_off", while_one_backs_off),
    Behaviour::new("other_keys_go_on_while_some_spin", while_some_spin),
    Behaviour::new("a_key_that_backs_off_catches_up_in_order", catches_up).on_postgres_too(),
    Behaviour::new(
        "work_parked_behind_a_key_is_bounded_and_goes_on",
        parked_work_is_bounded,
    ),
];

const OTHERS: usize = 200;
/// Cores of a host in which some spin.
const CORES: usize = 2;

/// Orders to many other keys, in all partitions.
fn others() -> Vec<Event> {
    let keys = (0..OTHERS).map(|key| format!("other-{key}"));
    keys.map(|key| Event::told(&key, "nothing", 1)).collect()
}

fn while_one_backs_off(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let handler = hostile(&[&input])?.set("retry", r#"{ attempts = 2, first = "1h", max = "1h" }"#);
    let host = world.host(&world.settings()?.handler(handler))?;
    let mut events = vec![Event::told("stuck", "retry", 0), Event::told("stuck", "nothing", 2)];
    events.extend(others());
    world.send(&input, &events)?;
    let mut done = world.reader(&world.topic("hostile.done"))?;
    let seen = done.until_count(OTHERS)?;
    let overtook = seen.iter().any(|event| event.key_text() == "stuck");
    ensure!(
        !overtook,
        "an event of the key that backs off overtook the one that failed"
    );
    host.still_runs()
}

fn while_some_spin(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let limits = r#"{ time = "60s" }"#;
    let handler = hostile(&[&input])?
        .set("limits", limits)
        .set("retry", "{ attempts = 1 }");
    let settings = world.settings()?.set("host.workers", "8").handler(handler);
    let _host = on_cores(CORES, || world.host(&settings))?;
    // More of them than the host has cores, fewer than it has workers.
    let mut events: Vec<_> = (0..=CORES)
        .map(|key| Event::told(&format!("spin-{key}"), "loop", 0))
        .collect();
    events.extend(others());
    world.send(&input, &events)?;
    world.reader(&world.topic("hostile.done"))?.until_count(OTHERS)?;
    // A spinner that is done would be a dead letter: all of them still spin.
    let letters = world.all_of(&format!("{input}.dlq"))?;
    ensure!(
        letters.is_empty(),
        "the others were done only after {} spinners",
        letters.len()
    );
    Ok(())
}

fn catches_up(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let handler = hostile(&[&input])?.set("retry", r#"{ attempts = 5, first = "50ms", factor = 1.0 }"#);
    let _host = world.host(&world.settings()?.handler(handler))?;
    let mut events = Vec::new();
    for n in 1..=20 {
        for key in ["ada", "bob", "eve"] {
            // Every fifth fails twice before it succeeds.
            let what = if n % 5 == 0 { "fail" } else { "nothing" };
            events.push(Event::told_with(key, what, 2, &n.to_string()));
        }
    }
    let sent: Vec<_> = events.iter().map(|event| event.id.clone()).collect();
    world.send(&input, &events)?;
    let mut done = world.reader(&world.topic("hostile.done"))?;
    let seen = done.until_count(events.len())?;
    for key in ["ada", "bob", "eve"] {
        let of_key = |all: &[Event]| -> Vec<String> {
            let of_key = all.iter().filter(|event| event.key.as_deref() == Some(key.as_bytes()));
            of_key.map(|event| event.id.clone()).collect()
        };
        let causes: Vec<_> = seen.iter().filter(|event| event.key_text() == key).map(cause).collect();
        ensure!(
            causes == of_key(&events),
            "{key} was handled as {causes:?}, sent as {sent:?}"
        );
    }
    let tries = |event: &&sandman_tests::Seen| event.payload()["did"] == "fail" && event.payload()["attempt"] == 3;
    let third = seen.iter().filter(tries).count();
    ensure!(third == 12, "{third} events succeeded at their third try, not 12");
    Ok(())
}

fn cause(event: &sandman_tests::Seen) -> String {
    event.json()["causationId"].as_str().unwrap_or_default().to_owned()
}

const PARKED: f64 = 50.0;
const BEHIND: usize = 1_000;

/// One that fails at its first try, and far more behind it than may be parked; all of one key, so all of one partition.
fn fail_then_much(world: &World, host: &Host, topic: &str, handler: &str) -> Result {
    world.send(topic, &[Event::told("stuck", "fail", 1)])?;
    // What comes in before it has failed is not parked but queued, which has a bound of its own.
    host.metrics_when("the first has failed", |metrics| {
        metrics.sum("sandman_retries_total", &[("handler", handler)]) >= Some(1.0)
    })?;
    let behind: Vec<_> = (0..BEHIND).map(|_| Event::told("stuck", "nothing", 1)).collect();
    world.send(topic, &behind).map(drop)
}

fn parked_work_is_bounded(world: &World) -> Result {
    let (waits, goes_on) = (world.make_topic("waits")?, world.make_topic("goes-on")?);
    let named = |name: &str, topic: &String, first: &str| -> Result<Handler> {
        let handler = Handler::new(name, &guest("hostile")?)
            .consumes(&[topic])
            .emits(&["hostile.done"]);
        Ok(handler.set(
            "retry",
            &format!(r#"{{ attempts = 2, first = "{first}", max = "1h" }}"#),
        ))
    };
    let settings = world
        .settings()?
        .set("host.parked", "50")
        .set("host.in_flight", "1000")
        .handler(named("waits", &waits, "1h")?)
        .handler(named("goes-on", &goes_on, "1s")?);
    let host = world.host(&settings)?;
    fail_then_much(world, &host, &waits, "waits")?;
    fail_then_much(world, &host, &goes_on, "goes-on")?;

    // The partition goes on whenever the back-off is over, as often as it is held at the bound.
    world.reader(&world.topic("hostile.done"))?.until_count(BEHIND + 1)?;
    let taken = |metrics: &Metrics| metrics.sum("sandman_events_consumed_total", &[("handler", "waits")]);
    let metrics = host.metrics_when("work is parked to the bound", |metrics| taken(metrics) >= Some(PARKED))?;
    // One more may come in: it is the record at which the bound is seen.
    ensure!(
        taken(&metrics) <= Some(PARKED + 2.0),
        "{:?} were taken in, the bound is {PARKED}",
        taken(&metrics)
    );
    Ok(())
}
