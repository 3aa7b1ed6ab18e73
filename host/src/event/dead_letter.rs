//! A trigger that was given up, on `<topic>.dlq`: the original bytes, and beside them why, where and by whom.

use super::{Header, OutRecord, Record};

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

/// The record for `<topic>.dlq`: key, value and headers as they came, then ours, which start with `sandman.`.
pub fn dead_letter(record: &Record, letter: &DeadLetter<'_>) -> OutRecord {
    let mut headers = record.headers.clone();
    headers.retain(|header| !header.name.starts_with("sandman."));
    let mut add = |name: &str, value: &str| headers.push(Header::text(name, value));
    add("sandman.handler", letter.handler);
    add("sandman.version", &letter.version.to_string());
    add("sandman.digest", letter.digest);
    add("sandman.attempts", &letter.attempts.to_string());
    add("sandman.reason", cut(letter.reason, REASON_BYTES));
    add("sandman.topic", &record.source.topic);
    add("sandman.partition", &record.source.partition.to_string());
    add("sandman.offset", &record.offset.to_string());
    add("sandman.time", letter.time);
    OutRecord {
        topic: format!("{}.dlq", record.source.topic).into(),
        key: record.key.clone(),
        value: record.value.clone(),
        headers,
    }
}

/// The longest beginning of `text` that fits, whole characters only.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
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
            headers: vec![
                Header {
                    name: "x".into(),
                    value: None,
                },
                Header::text("sandman.reason", "old"),
            ],
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
        assert_eq!(out.headers[0], record.headers[0]);
        let reasons: Vec<_> = out.headers.iter().filter(|h| h.name == "sandman.reason").collect();
        assert_eq!(reasons.len(), 1);
        assert_eq!(reasons[0].value.as_ref().unwrap().len(), 4096);
    }
}
