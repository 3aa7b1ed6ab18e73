//! What an event costs, end to end: `cargo run --release -p sandman-tests --bin throughput [-- EVENTS]`.
//!
//! Events of about 400 bytes for 20,000 keys go to Kafka first; then a host starts and works through them: a fresh
//! instance for each, a state per key, two events out, everything committed and published. Printed is the CPU time of the
//! host's process per event, which is steadier than the wall clock on a busy machine.

use std::process::ExitCode;
use std::time::Instant;

use sandman_tests::{Behaviour, Compression, Event, Handler, Host, Result, World, guest, note};
use serde_json::json;

const KEYS: u64 = 20_000;

fn main() -> ExitCode {
    sandman_tests::main(&[
        Behaviour::new("throughput_fresh", |world| measure(world, "fresh")),
        Behaviour::new("throughput_reused", |world| measure(world, "reused")),
    ])
}

fn measure(world: &World, instances: &str) -> Result {
    let events = std::env::var("EVENTS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(300_000);
    let input = world.make_topic("thing.happened")?;
    let producer = world.producer(Compression::None)?;
    let padding = "x".repeat(180);
    let mut number = 0_u64;
    while number < events {
        let chunk: Vec<Event> = (number..events.min(number + 20_000))
            .map(|n| {
                Event::new(
                    "thing.happened",
                    &format!("user-{:05}", n % KEYS),
                    &json!({ "n": n, "text": padding }),
                )
            })
            .collect();
        number += chunk.len() as u64;
        producer.send(&input, &chunk)?;
    }
    let handler = Handler::new("echo", &guest("echo")?)
        .consumes(&[&input])
        .emits(&["thing.counted", "thing.echoed"])
        .set("instances", &format!("{instances:?}"));
    let host = world.host(&world.settings()?.handler(handler))?;
    let began = Instant::now();
    let started = host.cpu()?;
    published(&host, 2 * events)?;
    let (cpu, wall) = (host.cpu()? - started, began.elapsed());
    let metrics = host.metrics()?;
    let sum = |name: &str| metrics.sum(name, &[]).unwrap_or_default();
    let commits = sum("sandman_commit_units_count");
    note(&format!(
        "{instances}: {events} events, {:.1} CPU s per million, {:.0} events/s; {:.0} units per commit, {:.1} ms per commit, \
         {:.0} relay transactions of {:.1} ms, {:.1} us in the handler by the wall clock",
        cpu.as_secs_f64() / events as f64 * 1e6,
        events as f64 / wall.as_secs_f64(),
        sum("sandman_commit_units_sum") / commits,
        sum("sandman_commit_seconds_sum") / commits * 1e3,
        sum("sandman_relay_transaction_seconds_count"),
        sum("sandman_relay_transaction_seconds_sum") / sum("sandman_relay_transaction_seconds_count") * 1e3,
        sum("sandman_handler_seconds_sum") / sum("sandman_handler_seconds_count") * 1e6,
    ));
    Ok(())
}

fn published(host: &Host, events: u64) -> Result {
    host.metrics_when("everything is published", |metrics| {
        metrics.sum("sandman_events_published_total", &[]).unwrap_or_default() >= events as f64
    })?;
    Ok(())
}
