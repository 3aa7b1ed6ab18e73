//! What cannot be handled becomes a dead letter that says why, with the original bytes; everything else goes on.

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, Event, Header, Result, Seen, World, echo, hostile};
use serde_json::json;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("bytes_that_are_no_event_become_dead_letters", poison_bytes),
    Behaviour::new("events_that_are_refused_become_dead_letters", poison_events).on_postgres_too(),
];

const GOOD: &str = r#"{"eventId":"e1","eventType":"thing.happened","timestamp":"2025-12-12T10:30:00.000Z","version":"1.0","source":"tests","payload":{"n":1}}"#;

/// A value that is no event, and words that the reason has.
fn bad_values() -> Vec<(Option<Vec<u8>>, &'static str)> {
    let without = |field: &str| Some(GOOD.replace(field, "").into_bytes());
    vec![
        (None, "no value"),
        (Some(Vec::new()), "no value"),
        (Some(b"\x00\x01\xff\xfe".to_vec()), "not UTF-8"),
        (Some(b"hello".to_vec()), "not a JSON object"),
        (Some(b"[1,2]".to_vec()), "not a JSON object"),
        (Some(GOOD[..GOOD.len() - 1].into()), "not a JSON object"),
        (without(r#""eventId":"e1","#), "no field `eventId`"),
        (without(r#""version":"1.0","#), "no field `version`"),
        (without(r#","payload":{"n":1}"#), "no field `payload`"),
        (
            Some(GOOD.replace(r#""e1""#, "7").into_bytes()),
            "`eventId` must be a string",
        ),
        (
            Some(GOOD.replace(r#""e1""#, "\"\"").into_bytes()),
            "`eventId` must be a string",
        ),
        (
            Some(format!("{}{}", "[".repeat(200_000), "]".repeat(200_000)).into_bytes()),
            "not a JSON object",
        ),
    ]
}

fn poison_bytes(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let handler = echo(&[&input])?.set("tombstones", r#""dead-letter""#);
    let _host = world.host(&world.settings()?.handler(handler))?;
    let bad = bad_values();
    let mut events = Vec::new();
    for (value, _) in &bad {
        // A good event of the same key follows each bad one.
        let mut event = Event::bytes("ada", b"").with_value(value.as_deref());
        event.headers = vec![
            Header::new("eventType", "thing.happened"),
            Header {
                name: "raw".to_owned(),
                value: Some(vec![0, 255]),
            },
            Header {
                name: "null".to_owned(),
                value: None,
            },
            Header::new("sandman.reason", "from an earlier life"),
        ];
        events.extend([event, Event::thing("ada", 1)]);
    }
    events.push(Event::thing("", 1).with_key(Some(b"\xff\xfe")));
    let landed = world.send(&input, &events)?;

    let mut reader = world.dead_letters(&input)?;
    let letters = reader.until_count(bad.len() + 1)?;
    for (number, (value, words)) in bad.iter().enumerate() {
        let event = number * 2;
        let letter = letter_of(letters, landed[event])?;
        let reason = letter.header("sandman.reason");
        ensure!(reason.contains(words), "the reason {reason:?} does not say {words:?}");
        ensure!(letter.key.as_deref() == Some(b"ada"), "the key became {:?}", letter.key);
        ensure!(letter.value == *value, "the value was rewritten: {:?}", letter.value);
        let kept = &letter.headers[..3];
        ensure!(
            kept == &events[event].headers[..3],
            "the headers became {:?}",
            letter.headers
        );
        check_letter(letter, &input, "echo", "0")?;
    }
    let letter = letter_of(letters, landed[bad.len() * 2])?;
    ensure!(
        letter.header("sandman.reason").contains("key is not UTF-8"),
        "{:?}",
        letter.headers
    );
    ensure!(
        letter.key.as_deref() == Some(b"\xff\xfe"),
        "the key became {:?}",
        letter.key
    );
    world
        .reader(&world.topic("thing.counted"))?
        .until("all good events", |seen| {
            seen.iter().any(|event| event.payload()["count"] == bad.len())
        })?;
    Ok(())
}

/// An order that is refused, the tries that are made, and words that the reason has.
fn refused() -> Vec<(Event, &'static str, &'static str)> {
    vec![
        (
            Event::told_with("k", "reject", 0, "no such flight"),
            "1",
            "no such flight",
        ),
        (Event::told_with("k", "retry", 0, "not now"), "3", "not now"),
        (
            Event::told_with("k", "panic", 0, "seat 12F is gone"),
            "3",
            "seat 12F is gone",
        ),
        (Event::told("k", "trap", 0), "3", "unreachable"),
        (Event::told("k", "undeclared", 0), "1", "does not declare"),
        (Event::new("hostile.told", "k", &json!({ "do": 5 })), "1", "do"),
        (version(&Event::told("k", "nothing", 0), "9.9"), "0", "`9.9`"),
    ]
}

fn version(event: &Event, version: &str) -> Event {
    let text = String::from_utf8_lossy(event.value.as_deref().unwrap_or_default()).into_owned();
    let text = text.replace(r#""version":"1.0""#, &format!(r#""version":"{version}""#));
    event.clone().with_value(Some(text.as_bytes()))
}

fn poison_events(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let handler = hostile(&[&input])?.set("retry", r#"{ attempts = 3, first = "10ms" }"#);
    let _host = world.host(&world.settings()?.handler(handler))?;
    let refused = refused();
    let mut events: Vec<_> = refused.iter().map(|(event, ..)| event.clone()).collect();
    events.push(Event::told("k", "nothing", 1));
    let landed = world.send(&input, &events)?;
    let mut reader = world.dead_letters(&input)?;
    let letters = reader.until_count(refused.len())?;
    for ((event, tries, words), place) in refused.iter().zip(&landed) {
        let letter = letter_of(letters, *place)?;
        let reason = letter.header("sandman.reason");
        ensure!(reason.contains(words), "the reason {reason:?} does not say {words:?}");
        ensure!(letter.value == event.value, "the value was rewritten");
        check_letter(letter, &input, "hostile", tries)?;
    }
    // The key goes on behind its poison, and no state of a refused event was kept.
    let mut done = world.reader(&world.topic("hostile.done"))?;
    let seen = done.until_count(1)?;
    ensure!(seen[0].payload()["did"] == "nothing", "{:?}", seen[0].payload());
    Ok(())
}

fn letter_of(letters: &[Seen], (partition, offset): (i32, i64)) -> Result<&Seen> {
    let place = (partition.to_string(), offset.to_string());
    let of = |letter: &&Seen| (letter.header("sandman.partition"), letter.header("sandman.offset")) == place;
    let mut found = letters.iter().filter(of);
    let letter = found
        .next()
        .with_context(|| format!("no dead letter of partition {partition}, offset {offset}"))?;
    ensure!(
        found.next().is_none(),
        "two dead letters of partition {partition}, offset {offset}"
    );
    Ok(letter)
}

/// The headers that every dead letter has.
fn check_letter(letter: &Seen, topic: &str, handler: &str, attempts: &str) -> Result {
    let fixed = [
        ("sandman.handler", handler),
        ("sandman.version", "1"),
        ("sandman.attempts", attempts),
        ("sandman.topic", topic),
    ];
    for (name, expected) in fixed {
        let value = letter.header(name);
        let reason = letter.header("sandman.reason");
        ensure!(
            value == expected,
            "{name} is {value:?}, not {expected:?}; the reason is {reason:?}"
        );
    }
    let digest = letter.header("sandman.digest");
    ensure!(
        digest.len() == 12 && digest.bytes().all(|b| b.is_ascii_hexdigit()),
        "the digest is {digest:?}"
    );
    let time = letter.header("sandman.time");
    ensure!(time.len() == 24 && time.ends_with('Z'), "the time is {time:?}");
    let written = letter.header("sandman.timestamp");
    ensure!(
        written.len() == 24 && written.ends_with('Z') && written <= time,
        "the record's own time is {written:?}"
    );
    let reasons = letter
        .headers
        .iter()
        .filter(|header| header.name == "sandman.reason")
        .count();
    ensure!(reasons == 1, "{reasons} reasons");
    Ok(())
}
