//! A trigger that was given up, on `<topic>.dlq`: the original bytes, and beside them why, where and by whom.

use sha2::{Digest, Sha256};

use super::{Header, Headers, OutRecord, Record, iso_millis};
use crate::printable;

/// Why a record was given up, and by whom.
#[derive(Clone, Debug)]
pub struct DeadLetter<'a> {
    /// The handler's name.
    pub handler: &'a str,
    /// The number of the version that gave it up.
    pub version: u64,
    /// That version's digest.
    pub digest: &'a str,
    /// How often it was tried; 0 if it never reached the guest.
    pub attempts: u32,
    /// What was wrong, for a person to read.
    pub reason: &'a str,
    /// When it was given up, ISO 8601.
    pub time: &'a str,
}

/// Headers hold at most this much of the reason, in bytes: a guest chooses the text, Kafka bounds the record.
const REASON_BYTES: usize = 4096;

/// What a record for Kafka may hold in all. A topic's `max.message.bytes` is 1,048,588 unless somebody changes it; what is
/// left is for framing. A record that Kafka does not take would hold up everything behind it in the outbox.
pub const RECORD_BYTES: usize = 1_000_000;

/// The record for `<topic>.dlq`: key, value and headers as they came, then ours, which start with `sandman.`;
/// `sandman.timestamp` is the time that the record had.
///
/// What does not fit into [`RECORD_BYTES`] is left out, the value first, then the headers, then the key; a header
/// `sandman.value-omitted` (or `headers-`, `key-`) then holds its size, and `sandman.value-sha256` the value's digest. The
/// record itself still stands at `sandman.topic`, `partition` and `offset`, as long as that topic keeps it.
pub fn dead_letter(record: &Record, letter: &DeadLetter<'_>) -> OutRecord {
    let mut ours = Headers::default();
    let mut add = |name: &str, value: &str| ours.push(Header::text(name, value));
    add("sandman.handler", letter.handler);
    add("sandman.version", &letter.version.to_string());
    add("sandman.digest", letter.digest);
    add("sandman.attempts", &letter.attempts.to_string());
    add("sandman.reason", &printable::line(letter.reason, REASON_BYTES));
    add("sandman.topic", &record.source.topic);
    add("sandman.partition", &record.source.partition.to_string());
    add("sandman.offset", &record.offset.to_string());
    add("sandman.time", letter.time);
    if let Some(millis) = record.timestamp_millis {
        add("sandman.timestamp", &iso_millis(millis));
    }
    let theirs = record.headers.iter();
    let theirs = theirs.filter(|header| !header.name.starts_with("sandman."));
    let mut out = OutRecord {
        topic: format!("{}.dlq", record.source.topic).into(),
        key: record.key.clone(),
        value: record.value.clone(),
        headers: theirs.collect(),
    };
    shrink(&mut out, &mut ours, RECORD_BYTES);
    out.headers.extend(ours.iter());
    out
}

/// A dead letter of an earlier hand as a topic takes it that takes `bytes` in all: what does not fit is left out and said, as
/// by [`dead_letter`]. `None` if the record is no dead letter, or even then too large.
pub fn fit_dead_letter(letter: &OutRecord, bytes: usize) -> Option<OutRecord> {
    let is_ours = |header: &Header<'_>| header.name.starts_with("sandman.");
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

/// Leaves out what does not fit beside our headers, and says so in them.
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
            headers: Headers::from_iter([Header { name: "x", value: None }, Header::text("sandman.reason", "old")]),
            timestamp_millis: None,
        };
        let letter = DeadLetter {
            handler: "h",
            version: 3,
            digest: "d",
            attempts: 2,
            reason: &"é".repeat(4000),
            time: "t",
        };
        let out = dead_letter(&record, &letter);
        assert_eq!((&*out.topic, &out.key, &out.value), ("a.dlq", &record.key, &None));
        assert_eq!(out.headers.iter().next(), record.headers.iter().next());
        let reasons: Vec<_> = out.headers.iter().filter(|h| h.name == "sandman.reason").collect();
        assert_eq!(reasons.len(), 1);
        assert_eq!(reasons[0].value.unwrap().len(), 4095);
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
        let times: Vec<_> = out.headers.named("sandman.timestamp").collect();
        assert_eq!(times, [b"2025-12-12T10:30:00.000Z"]);
    }

    #[test]
    fn what_kafka_would_not_take_is_left_out_and_said() {
        let letter = DeadLetter {
            handler: "h",
            version: 3,
            digest: "d",
            attempts: 2,
            reason: "r",
            time: "t",
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
