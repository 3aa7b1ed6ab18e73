//! What Kafka carries: envelopes, headers, dead letters.

use sandman_core::event::{
    DeadLetter, DeadLetterTopic, Envelope, Header, Headers, NewEnvelope, Outgoing, RECORD_BYTES, Record,
    TopicPartition, dead_letter, decode, encode,
};
use sandman_core::printable;
use sandman_core::reason::GivenUp;
use sandman_core::reason::ReasonCode;
use serde::de::IgnoredAny;

use super::cursor::Cursor;

/// A record's value: an envelope, which survives being published, or an error that says what is wrong.
pub fn envelope(data: &[u8]) {
    let read = match decode(Some(data)) {
        Ok(read) => read,
        Err(error) => return assert!(error.to_string().len() > 10, "{error:?} says nothing"),
    };
    assert!(!read.event_id().is_empty());
    // The payload and the metadata, which are passed on, are the text that was sent, and JSON. A name that nobody asks for
    // is not looked at so closely.
    let sent = std::str::from_utf8(data).expect("an envelope is UTF-8");
    assert!(sent.contains(read.payload()));
    assert!(sent.contains(read.metadata().unwrap_or_default()));
    for passed_on in [Some(read.payload()), read.metadata()].into_iter().flatten() {
        serde_json::from_str::<IgnoredAny>(passed_on).expect("what is passed on is JSON");
    }
    let published = encode(&Outgoing {
        topic: "t".into(),
        key: "k",
        envelope: outgoing(&read),
        traceparent: "",
        tracestate: None,
        provenance: &Headers::default(),
    });
    let published = published.expect("an envelope is published");
    let again = decode(published.value.as_deref()).expect("what was published is an envelope");
    assert_eq!(fields(&read), fields(&again));
    let carried = published.headers.iter().find(|header| header.name == "eventType");
    assert_eq!(carried, Some(Header::text("eventType", read.event_type())));
}

fn outgoing(read: &Envelope) -> NewEnvelope<'_> {
    NewEnvelope {
        event_id: read.event_id(),
        event_type: read.event_type(),
        timestamp: read.timestamp(),
        version: read.version(),
        source: read.source(),
        correlation_id: read.correlation_id(),
        causation_id: read.causation_id(),
        metadata: read.metadata(),
        payload: read.payload(),
    }
}

fn fields(envelope: &Envelope) -> [Option<&str>; 9] {
    [
        Some(envelope.event_id()),
        Some(envelope.event_type()),
        Some(envelope.timestamp()),
        Some(envelope.version()),
        Some(envelope.source()),
        envelope.correlation_id(),
        envelope.causation_id(),
        envelope.metadata(),
        Some(envelope.payload()),
    ]
}

/// Headers as they lie in the outbox: taken whole or not at all.
pub fn headers(data: &[u8]) {
    let Some(headers) = Headers::from_bytes(data) else {
        return;
    };
    assert_eq!(headers.iter().count(), headers.len());
    assert_eq!(headers.as_bytes(), data);
    let again: Headers = headers.iter().collect();
    assert_eq!(again, headers);
    assert!(headers.size() >= data.len());
}

/// A dead letter: small enough for Kafka, nothing of the original changed, and what is left out is named.
pub fn dead_letters(data: &[u8]) {
    let mut given = Cursor(data);
    let record = record(&mut given);
    let (reason, handler) = (given.text().repeat(usize::from(given.byte())), given.text());
    let given_up = GivenUp {
        code: ReasonCode::Rejected,
        reason: reason.clone(),
        version: u64::from(given.byte()),
        digest: "d".into(),
        attempts: u32::from(given.byte()),
        state: None,
        at_millis: 0,
    };
    let letter = DeadLetter {
        handler: &handler,
        group: "g",
        topic: &DeadLetterTopic::default(),
        given_up: &given_up,
    };
    let out = dead_letter(&record, &letter);
    assert!(out.bytes() <= RECORD_BYTES, "{} bytes", out.bytes());
    let ours = |name: &str| out.headers.iter().find(|header| header.name == name);
    let size = |name: &str| {
        Some(
            std::str::from_utf8(ours(name)?.value?)
                .ok()?
                .parse::<usize>()
                .expect("a size"),
        )
    };
    match (&record.value, &out.value) {
        (Some(value), None) => assert_eq!(size("sandman.value-omitted"), Some(value.len())),
        (before, after) => assert!(before == after && ours("sandman.value-omitted").is_none()),
    }
    match (&record.key, &out.key) {
        (Some(key), None) => assert_eq!(size("sandman.key-omitted"), Some(key.len())),
        (before, after) => assert!(before == after && ours("sandman.key-omitted").is_none()),
    }
    let theirs = |headers: &Headers| -> Vec<_> {
        let kept = headers
            .iter()
            .filter(|header| !header.name.starts_with("sandman.") && !header.name.starts_with("__dlq.errors."));
        kept.map(|header| (header.name.to_owned(), header.value.map(<[u8]>::to_vec)))
            .collect()
    };
    let (before, after) = (theirs(&record.headers), theirs(&out.headers));
    assert!(before == after || (after.is_empty() && ours("sandman.headers-omitted").is_some()));
    let told = ours("sandman.reason")
        .and_then(|header| header.value)
        .expect("a reason");
    assert_eq!(told, printable::line(&reason, 4096).as_bytes());
    let mut names: Vec<_> = out
        .headers
        .iter()
        .map(|header| header.name)
        .filter(|name| name.starts_with("sandman."))
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "a header of ours stands there twice");
}

fn record(given: &mut Cursor<'_>) -> Record {
    let mut headers = Headers::default();
    for _ in 0..given.byte() % 8 {
        let (name, value) = (given.text(), given.large());
        let value = value.as_deref();
        headers.push(Header { name: &name, value });
    }
    Record {
        source: TopicPartition {
            topic: "a.topic".into(),
            partition: i32::from(given.byte()),
        },
        offset: i64::from(given.byte()),
        key: given.large(),
        value: given.large(),
        headers,
        timestamp_millis: None,
    }
}
