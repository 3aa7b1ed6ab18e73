//! Reads the published events like any other service, during the demo.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use parking_lot::Mutex;
use serde::Deserialize;

use super::check::SeenEvent;
use sandman_core::event::{Record, decode};
use sandman_core::json::{self, Object};
use sandman_kafka::{KafkaSettings, Observer};

/// The event types of the service; each has a topic of its name with the prefix.
pub(super) const TYPES: [&str; 3] = ["user.updated", "user.profile.updated", "user.preferences.updated"];

/// How long the broker may take to answer the first question.
const PATIENCE: Duration = Duration::from_secs(20);

/// Collects events on a thread of its own until it is stopped.
pub(super) struct EventCollector {
    seen: Arc<Mutex<Vec<SeenEvent>>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl EventCollector {
    /// Starts to collect.
    pub(super) fn follow(settings: &KafkaSettings, prefix: &str) -> Result<Self> {
        let topics = TYPES.map(|event_type| format!("{prefix}{event_type}"));
        let topics = topics.each_ref().map(String::as_str);
        let observer = Observer::open(settings, &topics, PATIENCE)?;
        let (seen, stop) = (
            Arc::<Mutex<Vec<SeenEvent>>>::default(),
            Arc::new(AtomicBool::new(false)),
        );
        let (theirs, told) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("observer".to_owned()).spawn(move || {
            while !told.load(Ordering::Relaxed) {
                if let Some(record) = observer.next()? {
                    theirs.lock().push(read(&record)?);
                }
            }
            Ok(())
        })?;
        Ok(Self { seen, stop, thread })
    }

    /// How many have arrived so far.
    pub(super) fn count(&self) -> usize {
        self.seen.lock().len()
    }

    /// Waits until this many have arrived, or none for `patience`.
    pub(super) fn wait_for(&self, wanted: usize, patience: Duration) {
        let (mut count, mut since) = (self.count(), Instant::now());
        while count < wanted && since.elapsed() < patience && !self.thread.is_finished() {
            std::thread::park_timeout(Duration::from_millis(10));
            if self.count() > count {
                (count, since) = (self.count(), Instant::now());
            }
        }
    }

    /// Ends the collection and returns the events.
    pub(super) fn end(self) -> Result<Vec<SeenEvent>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the observer panicked"))??;
        Ok(std::mem::take(&mut *self.seen.lock()))
    }
}

#[derive(Default, Deserialize)]
struct Payload {
    #[serde(default)]
    changes: Object<ChangedFields>,
}

#[derive(Default, Deserialize)]
struct ChangedFields {
    username: Option<ChangedField>,
}

#[derive(Deserialize)]
struct ChangedField {
    old: Option<String>,
    new: String,
}

fn read(record: &Record) -> Result<SeenEvent> {
    let envelope = decode(record.value.as_deref()).context("an event that was published")?;
    let payload: Payload = json::object(envelope.payload().as_bytes()).context("the payload of a published event")?;
    let text = |bytes: &Option<Vec<u8>>| String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
    Ok(SeenEvent {
        event_id: envelope.event_id().to_owned(),
        event_type: envelope.event_type().to_owned(),
        user: text(&record.key),
        cause: envelope
            .causation_id()
            .or(envelope.correlation_id())
            .unwrap_or_default()
            .to_owned(),
        name: payload.changes.0.username.map(|change| (change.old, change.new)),
        at_millis: record.timestamp_millis.unwrap_or_default(),
        text: text(&record.value),
    })
}
