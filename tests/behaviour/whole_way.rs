//! A record goes the whole way, Kafka to guest to store to Kafka, and nothing of it is rewritten on the way.

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, Event, Header, Result, Seen, World, echo};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_record_goes_the_whole_way_byte_for_byte", byte_for_byte),
    Behaviour::new("an_event_without_a_key_is_ordered_by_its_id", without_a_key),
    Behaviour::new("an_event_that_no_handler_consumes_is_passed_over", passed_over),
];

/// What parsing and writing again would change: spaces, number formats, escapes, the order of fields, a repeated field.
const PAYLOAD: &str = r#"{ "n" :7, "z":1e0,"a":-0.0,"big":12345678901234567890123,"é":"\u00e9 \/ 🦀",
    "n2":[ ],"nested":{"x":null , "x":1.50}}"#;
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn envelope() -> String {
    format!(
        r#"{{"eventType":"thing.happened","payload":{PAYLOAD},"version":"1.0","timestamp":"2025-12-12T10:30:00.000Z",
           "source":"booking-service","eventId":"first","correlationId":"journey-1","unknown":[1]}}"#
    )
}

fn byte_for_byte(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let _host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    let mut event = Event::bytes("Ada Lovelace/é", envelope().as_bytes());
    event.headers = vec![Header::new("traceparent", PARENT)];
    world.send(&input, &[event])?;

    let echoed = only(world, "thing.echoed")?;
    ensure!(
        echoed.key_text() == "Ada Lovelace/é",
        "the key became {:?}",
        echoed.key_text()
    );
    let value = String::from_utf8(echoed.value.clone().unwrap_or_default())?;
    ensure!(
        value.contains(&format!("\"payload\":{PAYLOAD}")),
        "the payload was rewritten: {value}"
    );
    check_envelope(&echoed)?;
    check_headers(&echoed)?;

    let counted = only(world, "thing.counted")?;
    let expected = r#""payload":{"count":1,"sum":7,"fold":7,"last":7,"by":1}"#;
    let value = String::from_utf8(counted.value.unwrap_or_default())?;
    ensure!(value.contains(expected), "counted as {value}");
    Ok(())
}

/// What the host fills in.
fn check_envelope(echoed: &Seen) -> Result {
    let envelope = echoed.json();
    let text = |field: &str| envelope[field].as_str().unwrap_or_default().to_owned();
    let id = uuid::Uuid::parse_str(&text("eventId")).context("eventId")?;
    ensure!(id.get_version_num() == 4, "eventId is no UUID v4: {id}");
    ensure!(
        is_iso_millis(&text("timestamp")),
        "timestamp is {:?}",
        text("timestamp")
    );
    let fixed = [
        ("eventType", "thing.echoed"),
        ("version", "1.0"),
        ("source", "user-service"),
        ("correlationId", "journey-1"),
        ("causationId", "first"),
    ];
    for (field, expected) in fixed {
        ensure!(
            text(field) == expected,
            "{field} is {:?}, not {expected:?}",
            text(field)
        );
    }
    ensure!(
        envelope.get("metadata").is_none(),
        "metadata came out of nowhere: {envelope}"
    );
    Ok(())
}

/// The headers are those of DreamScape's clients, in their order, then the trace, then where the event comes from.
fn check_headers(echoed: &Seen) -> Result {
    let names: Vec<_> = echoed.headers.iter().map(|header| header.name.as_str()).collect();
    let expected = [
        "eventType",
        "source",
        "version",
        "correlationId",
        "timestamp",
        "traceparent",
        "sandman.handler",
        "sandman.version",
        "sandman.digest",
        "sandman.trigger",
        "sandman.attempt",
        "sandman.revision",
    ];
    ensure!(names == expected, "the headers are {names:?}");
    let envelope = echoed.json();
    for field in &expected[..5] {
        let header = echoed.header(field);
        ensure!(
            envelope[field] == header.as_str(),
            "header {field} is {header:?}: {envelope}"
        );
    }
    let trace = echoed.header("traceparent");
    let same_trace = trace.starts_with(&PARENT[..36]) && trace.ends_with("-01") && trace.len() == PARENT.len();
    ensure!(
        same_trace && trace != PARENT,
        "the trace goes on as {trace}, from {PARENT}"
    );
    Ok(())
}

/// `2025-12-12T10:30:00.000Z`
fn is_iso_millis(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    shape == "9999-99-99T99:99:99.999Z"
}

fn only(world: &World, event_type: &str) -> Result<Seen> {
    let topic = world.topic(event_type);
    world.reader(&topic)?.until_count(1)?;
    let mut all = world.all_of(&topic)?;
    ensure!(all.len() == 1, "{} events on {event_type}", all.len());
    all.pop().context("none")
}

fn without_a_key(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let _host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    let event = Event::thing("", 7).with_key(None);
    world.send(&input, std::slice::from_ref(&event))?;
    let echoed = only(world, "thing.echoed")?;
    ensure!(
        echoed.key_text() == event.id,
        "the key is {:?}, not {}",
        echoed.key_text(),
        event.id
    );
    ensure!(echoed.json().get("correlationId").is_none(), "{}", echoed.json());
    ensure!(echoed.header("correlationId").is_empty(), "{:?}", echoed.headers);
    Ok(())
}

fn passed_over(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    let other = Event::new("thing.else", "ada", &serde_json::json!({ "n": "not even a number" }));
    world.send(&input, &[other, Event::thing("ada", 1)])?;
    only(world, "thing.counted")?;
    ensure!(host.terminate()?.code() == 0, "the host did not stop well");
    let letters = world.all_of(&format!("{input}.dlq"))?;
    ensure!(letters.is_empty(), "it became a dead letter: {letters:?}");
    Ok(())
}
