//! Shows each consumed event, published event and dead letter as one line.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::cli::output;
use sandman_config::Config;
use sandman_core::event::{Record, decode};
use sandman_core::printable;
use sandman_kafka::{KafkaSettings, Observer};

/// The most of a payload that is shown, in bytes.
const LONGEST: usize = 300;

/// How long the broker may take to list partitions.
const PATIENCE: Duration = Duration::from_secs(10);

/// Shows the topics of the configuration.
pub(super) struct Shows {
    kafka: KafkaSettings,
    shown: BTreeSet<String>,
}

impl Shows {
    pub(super) fn new(kafka: KafkaSettings) -> Self {
        let shown = BTreeSet::new();
        Self { kafka, shown }
    }

    /// Shows every topic that handlers read or write, from now until the process ends.
    pub(super) fn all(&mut self, config: &Config) -> Result<()> {
        let outgoing: BTreeSet<_> = config.handlers.iter().flat_map(|handler| &handler.emits).collect();
        let outgoing: BTreeSet<_> = outgoing
            .iter()
            .map(|event_type| format!("{}{event_type}", config.kafka.topic_prefix))
            .collect();
        let incoming = config.handlers.iter().flat_map(|handler| &handler.topics);
        let dead = |topic: &str| config.kafka.dead_letter_topic.of(topic);
        let incoming = incoming.flat_map(|topic| [topic.to_string(), dead(topic)]);
        let all: BTreeSet<_> = incoming.chain(outgoing.iter().cloned()).collect();
        let new: Vec<_> = all.difference(&self.shown).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let topics: Vec<&str> = new.iter().map(String::as_str).collect();
        // The handler is shown only if there are several.
        let named = config.handlers.len() > 1;
        let observer = Observer::open(&self.kafka, &topics, PATIENCE)?;
        self.shown.extend(new);
        thread::Builder::new().name("show".to_owned()).spawn(move || {
            while let Ok(record) = observer.next() {
                if let Some(record) = record {
                    output::line(&line(&record, &outgoing, named));
                }
            }
        })?;
        Ok(())
    }
}

fn line(record: &Record, outgoing: &BTreeSet<String>, named: bool) -> String {
    let topic = &*record.source.topic;
    let value = record.value.as_deref();
    let key = record.key.as_deref().map_or("-".into(), String::from_utf8_lossy);
    let envelope = decode(value).ok();
    let what = envelope.as_ref().map_or(topic, |envelope| envelope.event_type());
    let payload = match &envelope {
        Some(envelope) => envelope.payload().into(),
        None => String::from_utf8_lossy(value.unwrap_or_default()),
    };
    let (way, told) = match record.header("sandman.reason") {
        Some(reason) if !outgoing.contains(topic) => ("dead", format!("{reason}: {payload}")),
        _ if outgoing.contains(topic) => ("out", payload.into_owned()),
        _ => ("in", payload.into_owned()),
    };
    let (what, key) = (printable::line(what, LONGEST), printable::line(&key, LONGEST));
    let handler = record.header("sandman.handler").filter(|_| named && way != "in");
    let by = handler.map(|handler| format!("  ({handler})")).unwrap_or_default();
    format!("{way:<5}{what:<24} {key:<12} {}{by}", one_line(&told))
}

/// A text as one line of limited length; JSON without whitespace.
fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    printable::line(&words.join(" "), LONGEST).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandman_core::event::{Header, Headers, TopicPartition};

    fn record(topic: &str, value: &str, headers: Headers) -> Record {
        Record {
            source: TopicPartition {
                topic: topic.into(),
                partition: 0,
            },
            offset: 0,
            key: Some(b"u-1".to_vec()),
            value: Some(value.into()),
            headers,
            timestamp_millis: None,
        }
    }

    #[test]
    fn a_record_is_one_line() {
        let outgoing = BTreeSet::from(["p.b".to_owned()]);
        let envelope = |event_type: &str| {
            format!(
                "{{\"eventId\":\"e\",\"eventType\":\"{event_type}\",\"timestamp\":\"t\",\"version\":\"1.0\",\"source\":\"s\",\
                 \"payload\":{{\n \"x\": 1}}}}"
            )
        };
        let shown = |topic: &str, value: &str, headers| line(&record(topic, value, headers), &outgoing, true);
        let none = Headers::default;
        assert_eq!(
            shown("p.a", &envelope("a"), none()),
            format!("in   {:<24} u-1          {{ \"x\": 1}}", "a")
        );
        assert!(shown("p.b", &envelope("b"), none()).starts_with("out  b "));
        let reason = [("sandman.reason", "no envelope"), ("sandman.handler", "shop")];
        let reason = Headers::from_iter(reason.map(|(name, text)| Header::text(name, text)));
        let dead = shown("p.a.dlq", "\u{1b}[2Jrubbish", reason);
        assert!(
            dead.starts_with("dead p.a.dlq") && dead.ends_with("no envelope: \\u{1b}[2Jrubbish  (shop)"),
            "{dead:?}"
        );
    }
}
