//! What cannot be read is told with its place, and is never passed over.

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, Compression, Event, Host, Result, World, echo, eventually, note};
use serde_json::json;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new(
        "a_batch_that_unpacks_to_too_much_degrades_its_handler_and_then_stops_it",
        too_much,
    )
    .on_real_kafka("keeps little"),
    Behaviour::new(
        "a_batch_that_unpacks_to_a_thousand_times_its_size_takes_no_more_than_is_said",
        bombs,
    )
    .on_real_kafka("keeps little"),
    Behaviour::new(
        "a_batch_that_a_disk_has_damaged_stops_its_handler_with_its_offset",
        damaged,
    )
    .on_its_own_kafka(),
];

/// `host.in_flight_bytes`, and what is fetched ahead.
const IN_FLIGHT: u64 = (64 + 17) << 20;

/// What `/health` says of the handler `echo`, as soon as it says that it is stopped, or not.
fn fault(host: &Host, stopped: bool) -> Result<String> {
    eventually("the handler is said to be in trouble", || {
        let health = host.operator().get("/health")?.json();
        let fault = &health["handlers"][0];
        let reason = fault["reason"].as_str().map(str::to_owned);
        Ok(reason
            .filter(|_| fault["stopped"] == stopped && fault["handler"] == "echo" && health["status"] == "degraded"))
    })
}

fn too_much(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    // The least that goes with the host's own bounds: the batch need not be as large then.
    let settings = world
        .settings()?
        .set("kafka.options.\"receive.message.max.bytes\"", "\"10000000\"")
        .handler(echo(&[&input])?);
    let host = world.host(&settings)?;
    world.send(&input, &[Event::thing("ada", 1)])?;
    let mut reader = world.reader(&world.topic("thing.echoed"))?;
    reader.until_count(1)?;
    let text = "a".repeat(900_000);
    let large: Vec<_> = (0..15)
        .map(|n| Event::new("thing.happened", "ada", &json!({ "n": n, "text": text })))
        .collect();
    let landed = world.send_packed(&input, &large, Compression::Zstd)?;
    let (partition, offset) = *landed.first().context("nothing landed")?;
    let place = format!("{input}[{partition}] at offset {offset}");
    let reason = fault(&host, false)?;
    ensure!(reason.contains(&place), "{reason}");
    let reason = fault(&host, true)?;
    for words in [place.as_str(), "compression", "receive.message.max.bytes"] {
        ensure!(reason.contains(words), "nothing of {words:?} in {reason}");
    }
    host.says(&["ERROR", "echo", "consumes nothing any more", &place])?;
    host.terminate()?;
    // With room for it, every record of it is handled.
    let settings = settings.set("kafka.options.\"receive.message.max.bytes\"", "\"100000000\"");
    let _host = world.host(&settings)?;
    reader.until_count(1 + large.len())?;
    Ok(())
}

fn damaged(world: &World) -> Result {
    let broker = world.own_broker()?;
    let input = world.make_topic("thing.happened")?;
    let settings = world.settings()?.handler(echo(&[&input])?);
    let host = world.host(&settings)?;
    world.send(&input, &[Event::thing("ada", 1)])?;
    world.reader(&world.topic("thing.echoed"))?.until_count(1)?;
    host.terminate()?;
    // A batch for each.
    let mut landed = Vec::new();
    for text in ["sound", "to-be-spoiled", "behind-it"] {
        let event = Event::new("thing.happened", "ada", &json!({ "n": 2, "text": text }));
        landed.extend(world.send(&input, &[event])?);
    }
    let (partition, offset) = *landed.get(1).context("nothing landed")?;
    broker.stop()?;
    broker.spoil(&input, partition, "to-be-spoiled")?;
    broker.start()?;
    let place = format!("{input}[{partition}] at offset {offset}");
    for _ in 0..2 {
        let host = world.host(&settings)?;
        let reason = fault(&host, true)?;
        for words in [place.as_str(), "CRC", "cannot be read"] {
            ensure!(reason.contains(words), "nothing of {words:?} in {reason}");
        }
        ensure!(!reason.contains("etention"), "{reason}");
        host.says(&["ERROR", "echo", "consumes nothing any more", &place])?;
        host.terminate()?;
        let seen = world.all_of(&world.topic("thing.echoed"))?;
        let mut texts = seen.iter().map(|event| event.payload()["text"].clone());
        ensure!(!texts.any(|text| text == "behind-it"), "what is behind it was handled");
        let done = world.group_offsets("echo", &input)?;
        ensure!(done <= offset, "the group was told that {done} records are done");
    }
    Ok(())
}

/// Bytes of a packed batch that the topic takes.
const PACKED: usize = 100_000;
/// What deflate makes of the best case, by its definition.
const RATIO: u64 = 1_032;

fn bombs(world: &World) -> Result {
    let input = world.topic("thing.happened");
    world.cluster()?.create_small(&input, PACKED)?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    world.send(&input, &[Event::thing("ada", 1)])?;
    let mut reader = world.reader(&world.topic("thing.echoed"))?;
    reader.until_count(1)?;
    let before = host.peak_memory()?;
    // Of a type that the handler does not consume: what it takes to handle them is bounded elsewhere.
    let text = "a".repeat(900_000);
    let large: Vec<_> = (0..90)
        .map(|n| Event::new("thing.other", "ada", &json!({ "n": n, "text": text })))
        .collect();
    // One is unpacked while another waits, and the last records of a third are still there.
    for _ in 0..3 {
        world.send_packed(&input, &large, Compression::Gzip)?;
    }
    world.send(&input, &[Event::thing("ada", 2)])?;
    reader.until_count(2)?;
    let grown = host.peak_memory()?.saturating_sub(before);
    let unpacked = (large.len() * text.len()) as u64;
    ensure!(unpacked > PACKED as u64 * 800, "the batches are small");
    let bound = 3 * RATIO * PACKED as u64 + IN_FLIGHT;
    note(&format!(
        "batches of {unpacked} bytes made it grow by {grown}, of {bound} that are said"
    ));
    ensure!(grown < bound, "it grew by {grown} bytes, and {bound} are said");
    ensure!(
        grown > unpacked / 2,
        "it grew by {grown} bytes only: nothing was unpacked"
    );
    host.still_runs()
}
