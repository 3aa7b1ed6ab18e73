//! What operators see, and what they must not.

use anyhow::ensure;
use sandman_tests::{Behaviour, Event, Result, World, echo, hostile};
use serde_json::json;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("logs_and_metrics_show_no_payload_and_no_user", no_payload_no_user),
    Behaviour::new("metrics_count_what_happened", metrics_count),
];

const SECRET: &str = "passport-X1234567";
const USER: &str = "user-4711-with-a-name";

fn no_payload_no_user(world: &World) -> Result {
    let (told, happened) = (world.make_topic("hostile.told")?, world.make_topic("thing.happened")?);
    let hostile = hostile(&[&told])?.set("retry", r#"{ attempts = 2, first = "10ms" }"#);
    let settings = world
        .settings()?
        .set("host.log", "\"json\"")
        .handler(hostile)
        .handler(echo(&[&happened])?);
    let host = world.host(&settings)?;
    let payload = json!({ "n": 1, "secret": SECRET });
    world.send(
        &happened,
        &[
            Event::new("thing.happened", USER, &payload),
            Event::bytes(USER, format!("{{{SECRET}").as_bytes()),
            Event::new("thing.happened", USER, &json!({ "n": [SECRET] })),
        ],
    )?;
    let told_payload = |what: &str| Event::new("hostile.told", USER, &json!({ "do": what, "secret": SECRET }));
    world.send(
        &told,
        &[told_payload("trap"), told_payload("loop"), told_payload("nothing")],
    )?;
    world.reader(&world.topic("hostile.done"))?.until_count(1)?;
    world.dead_letters(&happened)?.until_count(2)?;

    let metrics = host.metrics()?;
    ensure!(metrics.text().contains("sandman_"), "there are no metrics");
    let log = host.terminate()?.stderr;
    ensure!(
        log.contains("\"key\":"),
        "the log names no key, not even hashed:\n{log}"
    );
    for (place, text) in [("metrics", metrics.text()), ("log", &log)] {
        for word in [SECRET, USER] {
            let line = text.lines().find(|line| line.contains(word));
            ensure!(line.is_none(), "the {place} shows {word}: {line:?}");
        }
    }
    Ok(())
}

fn metrics_count(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let handler = hostile(&[&input])?.set("retry", r#"{ attempts = 2, first = "10ms" }"#);
    let host = world.host(&world.settings()?.handler(handler))?;
    world.send(
        &input,
        &[
            Event::told("ada", "nothing", 1),
            Event::told("ada", "fail", 1),
            Event::told("bob", "retry", 1),
            Event::told("eve", "reject", 1),
        ],
    )?;
    world.reader(&world.topic("hostile.done"))?.until_count(2)?;
    world.dead_letters(&input)?.until_count(2)?;
    let of = [("handler", "hostile")];
    let expected = [
        ("sandman_events_consumed_total", 4.0),
        ("sandman_retries_total", 2.0),
        ("sandman_dead_letters_total", 2.0),
        ("sandman_invocations_total", 6.0),
        ("sandman_handler_seconds_count", 6.0),
        ("sandman_event_lag_seconds_count", 4.0),
        ("sandman_group_lag_messages", 0.0),
        ("sandman_in_flight_triggers", 0.0),
    ];
    for (name, value) in expected {
        host.metrics_when(&format!("{name} is {value}"), |metrics| {
            metrics.sum(name, &of) == Some(value)
        })?;
    }
    for (name, value) in [("sandman_events_published_total", 4.0), ("sandman_outbox_bytes", 0.0)] {
        host.metrics_when(&format!("{name} is {value}"), |metrics| {
            metrics.sum(name, &[]) == Some(value)
        })?;
    }
    Ok(())
}
