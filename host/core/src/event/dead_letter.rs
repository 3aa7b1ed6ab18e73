//! A trigger that was given up, as a record for `<topic>.dlq`: the original bytes, and headers with the reason, the
//! place and the handler.

use sha2::{Digest, Sha256};

use std::sync::Arc;

use super::{Header, Headers, OutRecord, Record, iso_millis};
use crate::printable;
use crate::reason::GivenUp;

/// Why a record was given up, and by which handler.
#[derive(Clone, Debug)]
pub struct DeadLetter<'a> {
    /// The handler's name.
    pub handler: &'a str,
    /// The handler's consumer group.
    pub group: &'a str,
    /// Where it goes.
    pub topic: &'a DeadLetterTopic,
    /// How it was given up.
    pub given_up: &'a GivenUp,
}

/// Names the topic of the dead letters of a topic: `{topic}` in it stands for the topic's own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterTopic(pub Arc<str>);

impl DeadLetterTopic {
    /// What stands for the topic's name.
    pub const PLACE: &'static str = "{topic}";

    /// The topic of the dead letters of `topic`.
    pub fn of(&self, topic: &str) -> String {
        self.0.replace(Self::PLACE, topic)
    }
}

impl Default for DeadLetterTopic {
    fn default() -> Self {
        Self("{topic}.dlq".into())
    }
}

/// The prefixes of our own headers and of those of Kafka's convention for dead letters.
const OURS: [&str; 2] = ["sandman.", "__dlq.errors."];

/// Digits of a component's digest in a header.
const DIGITS: usize = 12;

/// The most bytes of the reason in a header: the guest chooses the text, and Kafka limits the record.
const REASON_BYTES: usize = 4096;

/// The most bytes of a record for Kafka. A topic's `max.message.bytes` is 1,048,588 by default; the difference is for
/// framing. A record that Kafka does not accept would hold up everything behind it in the outbox.
pub const RECORD_BYTES: usize = 1_000_000;

/// The record for `<topic>.dlq`: the original key, value, timestamp and headers, then ours, which start with
/// `sandman.`, and those of Kafka's own convention for dead letters, which start with `__dlq.errors.`.
/// `sandman.timestamp` is the time of the original record.
///
/// What does not fit into [`RECORD_BYTES`] is left out, the value first, then the headers, then the key; a header
/// `sandman.value-omitted` (or `headers-`, `key-`) then holds its size, and `sandman.value-sha256` the value's digest.
/// The original record is at `sandman.topic`, `partition` and `offset`, as long as that topic keeps it.
pub fn dead_letter(record: &Record, letter: &DeadLetter<'_>) -> OutRecord {
    let mut ours = headers(record, letter);
    let theirs = record.headers.iter();
    let theirs = theirs.filter(|header| !is_ours(header));
    let mut out = OutRecord {
        topic: letter.topic.of(&record.source.topic).into(),
        key: record.key.clone(),
        value: record.value.clone(),
        headers: theirs.collect(),
        timestamp_millis: record.timestamp_millis,
    };
    shrink(&mut out, &mut ours, RECORD_BYTES);
    out.headers.extend(ours.iter());
    out
}

/// The headers of a dead letter.
fn headers(record: &Record, letter: &DeadLetter<'_>) -> Headers {
    let mut ours = Headers::default();
    let mut add = |name: &str, value: &str| ours.push(Header::text(name, value));
    add("sandman.handler", letter.handler);
    let GivenUp {
        code,
        reason,
        version,
        digest,
        attempts,
        ..
    } = letter.given_up;
    let reason = printable::line(reason, REASON_BYTES);
    let (attempts, partition, offset) = (
        attempts.to_string(),
        record.source.partition.to_string(),
        record.offset.to_string(),
    );
    add("sandman.version", &version.to_string());
    // As in the headers of published events.
    add("sandman.digest", digest.get(..DIGITS).unwrap_or(digest));
    let trigger = format!("{}/{partition}/{offset}", record.source.topic);
    add("sandman.trigger", &trigger);
    add("sandman.attempts", &attempts);
    add("sandman.code", code.word());
    add("sandman.reason", &reason);
    add("sandman.topic", &record.source.topic);
    add("sandman.partition", &partition);
    add("sandman.offset", &offset);
    add("sandman.time", &iso_millis(letter.given_up.at_millis));
    add("__dlq.errors.topic", &record.source.topic);
    add("__dlq.errors.partition", &partition);
    add("__dlq.errors.offset", &offset);
    add("__dlq.errors.group", letter.group);
    add("__dlq.errors.delivery.count", &attempts);
    add("__dlq.errors.message", &reason);
    if let Some(millis) = record.timestamp_millis {
        add("sandman.timestamp", &iso_millis(millis));
    }
    ours
}

/// An existing dead letter, reduced to the `bytes` that a topic accepts: what does not fit is left out and noted, as by
/// [`dead_letter`]. `None` if the record is not a dead letter, or is still too large.
pub fn fit_dead_letter(letter: &OutRecord, bytes: usize) -> Option<OutRecord> {
    letter.headers.named("sandman.reason").next()?;
    let mut ours: Headers = letter.headers.iter().filter(is_ours).collect();
    let mut out = OutRecord {
        headers: letter.headers.iter().filter(|header| !is_ours(header)).collect(),
        ..letter.clone()
    };
    shrink(&mut out, &mut ours, bytes);
    out.headers.extend(ours.iter());
    (out.bytes() <= bytes).then_some(out)
}

fn is_ours(header: &Header<'_>) -> bool {
    OURS.iter().any(|ours| header.name.starts_with(ours))
}

/// Leaves out what does not fit beside our headers, and adds headers that say so.
fn shrink(out: &mut OutRecord, ours: &mut Headers, bytes: usize) {
    let room = |ours: &Headers| bytes.saturating_sub(ours.size());
    if out.bytes() > room(ours)
        && let Some(value) = out.value.take()
    {
        ours.push(Header::text("sandman.value-omitted", &value.len().to_string()));
        ours.push(Header::text(
            "sandman.value-sha256",
            &format!("{:x}", Sha256::digest(&value)),
        ));
    }
    if out.bytes() > room(ours) && !out.headers.is_empty() {
        let headers = std::mem::take(&mut out.headers).size();
        ours.push(Header::text("sandman.headers-omitted", &headers.to_string()));
    }
    if out.bytes() > room(ours)
        && let Some(key) = out.key.take()
    {
        ours.push(Header::text("sandman.key-omitted", &key.len().to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::TopicPartition;
    use crate::reason::ReasonCode;

    fn given_up(reason: String) -> GivenUp {
        GivenUp {
            code: ReasonCode::Rejected,
            reason,
            version: 3,
            digest: "d".into(),
            attempts: 2,
            state: None,
            at_millis: 0,
        }
    }

    #[test]
    fn the_topic_of_dead_letters_is_named_by_a_pattern() {
        assert_eq!(DeadLetterTopic::default().of("a.b"), "a.b.dlq");
        assert_eq!(DeadLetterTopic("dead-{topic}".into()).of("a"), "dead-a");
        assert_eq!(DeadLetterTopic("all".into()).of("a"), "all");
    }

    #[test]
    fn the_original_is_untouched_and_an_older_letters_headers_are_replaced() {
        let record = Record {
            source: TopicPartition {
                topic: "a".into(),
                partition: 2,
            },
            offset: 9,
            key: Some(vec![0xff]),
            value: None,
            headers: Headers::from_iter([
                Header { name: "x", value: None },
                Header::text("sandman.reason", "old"),
                Header::text("__dlq.errors.group", "old"),
            ]),
            timestamp_millis: None,
        };
        let given_up = given_up("é".repeat(4000));
        let topic = DeadLetterTopic::default();
        let letter = DeadLetter {
            handler: "h",
            group: "g",
            topic: &topic,
            given_up: &given_up,
        };
        let out = dead_letter(&record, &letter);
        assert_eq!((&*out.topic, &out.key, &out.value), ("a.dlq", &record.key, &None));
        assert_eq!(out.headers.iter().next(), record.headers.iter().next());
        let reasons: Vec<_> = out.headers.iter().filter(|h| h.name == "sandman.reason").collect();
        assert_eq!(reasons.len(), 1);
        assert_eq!(reasons[0].value.unwrap().len(), 4095);
        let text = |name: &str| String::from_utf8(out.headers.named(name).next().unwrap().to_vec()).unwrap();
        assert_eq!(text("sandman.code"), "rejected");
        assert_eq!(text("__dlq.errors.message"), text("sandman.reason"));
        let contract = ["topic", "partition", "offset", "group", "delivery.count"];
        let contract = contract.map(|name| text(&format!("__dlq.errors.{name}")));
        assert_eq!(contract, ["a", "2", "9", "g", "2"]);
        assert_eq!(out.timestamp_millis, None);
        assert_eq!(
            out.headers.named("sandman.timestamp").count(),
            0,
            "its time is not known"
        );
        let timestamp_millis = Some(1_765_535_400_000);
        let out = dead_letter(
            &Record {
                timestamp_millis,
                ..record
            },
            &letter,
        );
        assert_eq!(out.timestamp_millis, timestamp_millis);
        let times: Vec<_> = out.headers.named("sandman.timestamp").collect();
        assert_eq!(times, [b"2025-12-12T10:30:00.000Z"]);
    }

    #[test]
    fn what_kafka_would_not_take_is_left_out_and_said() {
        let (given_up, topic) = (given_up("r".to_owned()), DeadLetterTopic::default());
        let letter = DeadLetter {
            handler: "h",
            group: "g",
            topic: &topic,
            given_up: &given_up,
        };
        let of = |value: usize, header: usize, key: usize| {
            let record = Record {
                source: TopicPartition {
                    topic: "a".into(),
                    partition: 2,
                },
                offset: 9,
                key: Some(vec![b'k'; key]),
                value: Some(vec![b'v'; value]),
                headers: Headers::from_iter([Header::text("x", &"x".repeat(header))]),
                timestamp_millis: None,
            };
            let out = dead_letter(&record, &letter);
            assert!(out.bytes() <= RECORD_BYTES, "{} bytes", out.bytes());
            let said = |name: &str| out.headers.iter().any(|header| header.name == name);
            assert_eq!(out.value.is_none(), said("sandman.value-omitted"));
            assert_eq!(out.key.is_none(), said("sandman.key-omitted"));
            assert_eq!(!said("x"), said("sandman.headers-omitted"));
            (out.value.is_some(), said("x"), out.key.is_some())
        };
        assert_eq!(of(900_000, 10, 10), (true, true, true));
        assert_eq!(of(1_048_400, 10, 10), (false, true, true));
        assert_eq!(of(10, 2_000_000, 10), (false, false, true));
        assert_eq!(of(10, 10, 2_000_000), (false, false, false));
    }
}
