//! The story of an event or of a key: from recordings, dead letters, and records in Kafka with their headers.

mod matcher;
#[cfg(test)]
mod tests;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::letters::LetterLine;
use sandman_core::comparison::json_differences;
use sandman_core::event::iso_millis;
use sandman_core::recording::{RecordedOutcome, Recording};

pub use matcher::{KeyRules, Matcher};

/// What to explain: an event, or everything of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Question {
    /// An `eventId`, `topic/partition/offset`, or a correlation id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// A key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How many of the last records of each partition in Kafka are searched; 0: none.
    pub scan: u64,
}

/// Everything that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Story {
    /// The question.
    pub question: Question,
    /// Records in Kafka that belong to it, the oldest first.
    pub records: Vec<FoundRecord>,
    /// Invocations that are recorded, the oldest first.
    pub invocations: Vec<StoryInvocation>,
    /// Dead letters of it that are in the store, the oldest first.
    #[serde(default)]
    pub letters: Vec<LetterLine>,
    /// Further remarks, a sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What was searched, and what was not.
    pub looked_at: Vec<LookedAt>,
}

/// A record in Kafka.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundRecord {
    /// `topic/partition/offset`.
    pub place: String,
    /// How it relates to the question.
    pub is: Relation,
    /// When it was produced, as in an envelope; for a dead letter, when it was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Its key.
    pub key: String,
    /// The envelope's `eventId`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The envelope's `eventType`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// The envelope's `correlationId`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The envelope's `causationId`: the event that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// The place of an earlier record of the same event: this one is a producer's retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
    /// Whether the earlier one was given up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again_given_up: bool,
    /// Headers with its origin or the reason why it was given up: those that begin with `sandman.`, without the prefix.
    pub says: Vec<(String, String)>,
}

/// How a record relates to the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Relation {
    /// The event itself.
    Itself,
    /// It caused the event.
    Cause,
    /// The event caused it.
    Effect,
    /// A dead letter of it.
    DeadLetter,
    /// It has the same correlation id, or the same key.
    Related,
}

/// One invocation of a story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoryInvocation {
    /// The recording.
    pub recording: String,
    /// When, as in an envelope.
    pub at: String,
    /// The handler.
    pub handler: String,
    /// The version that ran.
    pub version: u64,
    /// Its component, 12 digits.
    pub digest: String,
    /// Which attempt it was.
    pub attempt: u32,
    /// What invoked it.
    pub trigger: String,
    /// The origin of the trigger: `topic/partition/offset`, or `http:` and the correlation id.
    pub place: String,
    /// The key.
    pub key: String,
    /// The outcome, for people.
    pub outcome: String,
    /// Whether the trigger was given up after it.
    pub dead_letter: bool,
    /// The dead letter that it redrove.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letter: Option<u64>,
    /// What changed in the state: place, before, after.
    pub state: Vec<(String, String, String)>,
    /// What it published: event type, `eventId`, topic.
    pub published: Vec<(String, String, String)>,
    /// CPU time in microseconds, if it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_micros: Option<u64>,
}

/// A place that was searched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LookedAt {
    /// What: a topic, or the recordings of a handler.
    pub what: String,
    /// How much was read there.
    pub read: u64,
    /// What was not searched there, for people; empty if that is nothing.
    pub not: String,
}

impl StoryInvocation {
    /// The invocation in a recording.
    pub fn of(recording: &Recording) -> Self {
        let (before, after) = (recording.state.as_deref(), recording.state_after());
        Self {
            recording: recording.id.map(|id| id.to_string()).unwrap_or_default(),
            at: iso_millis(recording.context.now_millis),
            handler: recording.handler.clone(),
            version: recording.version,
            digest: recording.digest.chars().take(12).collect(),
            attempt: recording.context.attempt,
            trigger: recording.trigger.kind(),
            place: recording.trigger.place(),
            key: recording.key.clone(),
            outcome: said(&recording.outcome),
            dead_letter: recording.dead_letter,
            letter: recording.letter,
            state: changed(before, after),
            published: recording
                .events()
                .map(|event| {
                    let id = event.event_id.clone().unwrap_or_default();
                    (event.event_type.clone(), id, event.topic.clone())
                })
                .collect(),
            cpu_micros: recording.cpu_micros,
        }
    }
}

fn said(outcome: &RecordedOutcome) -> String {
    match outcome {
        RecordedOutcome::Ignored => "ignored: the version does not consume it".to_owned(),
        RecordedOutcome::Decided { reply: Some(reply), .. } => format!("decided, reply {}", reply.status),
        RecordedOutcome::Decided { .. } => "decided".to_owned(),
        RecordedOutcome::Failed { reason, .. } => format!("failed ({}): {reason}", outcome.word()),
        RecordedOutcome::Duplicate => "skipped: its event had been handled before".to_owned(),
    }
}

/// The places where the state changed; all of it if there was none before or is none after.
fn changed(before: Option<&str>, after: Option<&str>) -> Vec<(String, String, String)> {
    match (before, after) {
        (Some(before), Some(after)) if before != after => json_differences(before, after)
            .into_iter()
            .map(|(place, _, before, after)| (place.trim_start_matches('.').to_owned(), before, after))
            .collect(),
        (Some(_), Some(_)) | (None, None) => Vec::new(),
        (before, after) => {
            let text = |state: Option<&str>| state.unwrap_or_default().to_owned();
            vec![(String::new(), text(before), text(after))]
        }
    }
}

impl FoundRecord {
    /// The place of the record that was given up, for a dead letter.
    fn origin(&self) -> Option<String> {
        let said = |name: &str| self.says.iter().find(|(known, _)| known == name);
        let [topic, partition, offset] = ["topic", "partition", "offset"].map(said);
        Some(format!("{}/{}/{}", topic?.1, partition?.1, offset?.1))
    }
}

/// Parses `topic/partition/offset`.
pub fn place(text: &str) -> Option<(&str, i32, i64)> {
    let (rest, offset) = text.rsplit_once('/')?;
    let (topic, partition) = rest.rsplit_once('/')?;
    Some((topic, partition.parse().ok()?, offset.parse().ok()?)).filter(|(topic, ..)| !topic.is_empty())
}

impl Story {
    /// Sorts everything by time.
    pub fn sort(&mut self) {
        self.records.sort_by(|a, b| (&a.at, &a.place).cmp(&(&b.at, &b.place)));
        self.records.dedup_by(|a, b| a.place == b.place);
        let dead = self.records.iter().filter(|record| record.is == Relation::DeadLetter);
        let given_up: BTreeSet<String> = dead.filter_map(FoundRecord::origin).collect();
        let mut seen: HashMap<(String, String), String> = HashMap::new();
        for record in self
            .records
            .iter_mut()
            .filter(|record| record.is != Relation::DeadLetter)
        {
            let topic = place(&record.place).map(|(topic, ..)| topic.to_owned());
            if let (Some(topic), Some(id)) = (topic, record.event_id.clone()) {
                match seen.entry((topic, id)) {
                    Entry::Occupied(first) => {
                        record.again_given_up = given_up.contains(first.get());
                        record.again = Some(first.get().clone());
                    }
                    Entry::Vacant(none) => drop(none.insert(record.place.clone())),
                }
            }
        }
        self.invocations
            .sort_by(|a, b| (&a.at, a.attempt, &a.recording).cmp(&(&b.at, b.attempt, &b.recording)));
    }
}
