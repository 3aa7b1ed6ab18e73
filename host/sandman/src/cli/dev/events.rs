//! Sends events from files, like a client of Kafka.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::value::RawValue;

use crate::cli::output;
use crate::invoke::key_beside;
use sandman_config::Config;
use sandman_core::event::{Header, OutRecord, decode};
use sandman_kafka::{Announcer, KafkaSettings};

/// How long sending a file's events may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends events from files.
pub(super) struct Events(Announcer);

impl Events {
    pub(super) fn open(kafka: &KafkaSettings) -> Result<Self> {
        Ok(Self(Announcer::open(kafka)?))
    }

    /// Sends every event in these files, and reports those that cannot be sent.
    pub(super) fn send_all(&self, files: &[PathBuf], config: &Config) {
        for file in files {
            if let Err(error) = self.send(file, config) {
                output::error(&format!("{}: {error:#}", file.display()));
            }
        }
    }

    fn send(&self, file: &Path, config: &Config) -> Result<()> {
        let text = std::fs::read_to_string(file).context("cannot be read")?;
        let events = serde_json::Deserializer::from_str(&text).into_iter::<&RawValue>();
        for event in events {
            let event = event.context("is not JSON, so the rest of it is not sent")?;
            self.0.publish(&record(event.get(), config)?)?;
        }
        self.0.flush(PATIENCE).context("is not sent")
    }
}

/// The record of an event, with the headers that DreamScape's clients write.
fn record(text: &str, config: &Config) -> Result<OutRecord> {
    let envelope = decode(Some(text.as_bytes())).context("is not an event")?;
    let topic = format!("{}{}", config.kafka.topic_prefix, envelope.event_type());
    let consumed = config.handlers.iter().flat_map(|handler| &handler.topics);
    if !consumed.clone().any(|known| **known == *topic) {
        let known: Vec<&str> = consumed.map(|topic| &**topic).collect();
        bail!("no handler has the topic {topic}; there are {}", known.join(", "));
    }
    let headers = [
        ("eventType", envelope.event_type()),
        ("source", envelope.source()),
        ("version", envelope.version()),
        ("correlationId", envelope.correlation_id().unwrap_or_default()),
        ("timestamp", envelope.timestamp()),
    ];
    Ok(OutRecord {
        topic: topic.into(),
        key: key_beside(text.as_bytes()).map(String::into_bytes),
        value: Some(text.as_bytes().to_vec()),
        headers: headers.iter().map(|(name, value)| Header::text(name, value)).collect(),
        timestamp_millis: None,
    })
}
