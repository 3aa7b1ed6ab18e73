//! Which records in Kafka belong to a question.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;
use serde_json::Value;

use super::{FoundRecord, Question, Relation, place};
use sandman_core::event::{EventKey, Record, decode, iso_millis};
use sandman_core::recording::{RecordedTrigger, Recording};

/// Where the keys of a topic's events come from: a rule for each handler that consumes it.
pub type KeyRules = HashMap<String, Vec<EventKey>>;

/// Decides which records belong to a question; it learns ids from the records that it has seen.
#[derive(Debug, Default)]
pub struct Matcher {
    key: Option<String>,
    rules: KeyRules,
    /// The ids of the event, and of those that it names.
    ids: BTreeSet<String>,
    itself: BTreeSet<String>,
    places: BTreeSet<String>,
}

/// The least bytes of an id that is searched for in a record that is not JSON.
const LONG: usize = 16;

/// The ids in an envelope.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EnvelopeIds {
    event_id: Value,
    event_type: Value,
    correlation_id: Value,
    causation_id: Value,
}

impl Matcher {
    /// A matcher for a question, with the ids from the recordings.
    pub fn new(question: &Question, recordings: &[Recording], rules: KeyRules) -> Self {
        let mut matcher = Self {
            key: question.key.clone(),
            rules,
            ..Self::default()
        };
        if let Some(event) = &question.event {
            let request = event.strip_prefix("http:");
            if place(event).is_some() || request.is_some() {
                matcher.places.insert(event.clone());
            }
            if place(event).is_none() {
                let id = request.unwrap_or(event).to_owned();
                matcher.itself.insert(id.clone());
                matcher.ids.insert(id);
            }
        }
        for recording in recordings {
            if let (RecordedTrigger::Event(event), None) = (&recording.trigger, &question.key) {
                let is_asked = question.event.as_deref() == Some(&recording.trigger.place());
                matcher.learn(event.envelope_text("eventId"), is_asked);
            }
            matcher.places.insert(recording.trigger.place());
        }
        matcher
    }

    /// Whether a place belongs to the question.
    pub fn knows(&self, place: &str) -> bool {
        self.places.contains(place)
    }

    /// Adds an id of the event in question.
    pub fn learn(&mut self, event_id: Option<String>, is_itself: bool) {
        if let Some(id) = event_id {
            if is_itself {
                self.itself.insert(id.clone());
            }
            self.ids.insert(id);
        }
    }

    /// Whether it belongs to the key in question, by the record's key or by the rule of a handler that reads its topic.
    fn is_of_key(&self, record: &Record) -> bool {
        let Some(key) = self.key.as_deref() else { return false };
        if record.key.as_deref() == Some(key.as_bytes()) {
            return true;
        }
        let rules = self.rules.get(&*record.source.topic).map_or(&[][..], Vec::as_slice);
        let mut others = rules.iter().filter(|rule| **rule != EventKey::Record).peekable();
        if others.peek().is_none() {
            return false;
        }
        let Ok(envelope) = decode(record.value.as_deref()) else {
            return false;
        };
        others.any(|rule| {
            rule.of(record.key.as_deref(), &envelope)
                .is_ok_and(|found| *found == *key)
        })
    }

    /// The record as a part of the story, if it is one.
    pub fn found(&self, record: &Record) -> Option<FoundRecord> {
        let place = format!("{}/{}/{}", record.source.topic, record.source.partition, record.offset);
        let is = self.relation(record, &place)?;
        let named = EnvelopeIds::of(record).unwrap_or_default();
        let text = |field: &Value| field.as_str().map(str::to_owned);
        let says = record.headers.iter().filter_map(|header| {
            let name = header.name.strip_prefix("sandman.")?;
            let value = String::from_utf8_lossy(header.value?).into_owned();
            Some((name.to_owned(), value))
        });
        Some(FoundRecord {
            says: says.collect(),
            place,
            is,
            // A dead letter has the timestamp of its record, so the time is in a header.
            at: said(record, "time")
                .filter(|_| is == Relation::DeadLetter)
                .or_else(|| record.timestamp_millis.map(iso_millis)),
            key: String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned(),
            event_id: text(&named.event_id),
            event_type: text(&named.event_type),
            correlation_id: text(&named.correlation_id),
            causation_id: text(&named.causation_id),
            again: None,
            again_given_up: false,
        })
    }

    /// How the record at this place relates to the question, if it does.
    fn relation(&self, record: &Record, place: &str) -> Option<Relation> {
        let read = EnvelopeIds::of(record);
        let value = record.value.as_deref().unwrap_or_default();
        // In a value that is not JSON, only a long id is significant.
        let is_in = |id: &String| id.len() >= LONG && String::from_utf8_lossy(value).contains(id.as_str());
        let is_in_rubbish = read.is_none() && self.ids.iter().any(is_in);
        let named = read.unwrap_or_default();
        let is_id = |field: &Value| field.as_str().is_some_and(|id| self.ids.contains(id));
        let is_itself = |field: &Value| field.as_str().is_some_and(|id| self.itself.contains(id));
        let fields = [&named.event_id, &named.causation_id, &named.correlation_id];
        let is_named = self.places.contains(place) || is_in_rubbish || fields.into_iter().any(is_id);
        let origin = said(record, "trigger").or_else(|| {
            let [topic, partition, offset] = ["topic", "partition", "offset"].map(|name| said(record, name));
            Some(format!("{}/{}/{}", topic?, partition?, offset?))
        });
        let is_of_place = origin.as_ref().is_some_and(|origin| self.places.contains(origin));
        if !is_named && !is_of_place && !self.is_of_key(record) {
            return None;
        }
        Some(if said(record, "reason").is_some() {
            Relation::DeadLetter
        } else if self.key.is_some() {
            // Records of ours have it in a header, whether or not their invocation is recorded.
            match said(record, "trigger") {
                Some(_) => Relation::Effect,
                None => Relation::Related,
            }
        } else if is_itself(&named.event_id) || self.places.contains(place) {
            Relation::Itself
        } else if is_itself(&named.causation_id) || is_of_place {
            Relation::Effect
        } else if is_id(&named.event_id) {
            Relation::Cause
        } else {
            Relation::Related
        })
    }
}

impl EnvelopeIds {
    /// `None` if the record's value is not an envelope.
    fn of(record: &Record) -> Option<Self> {
        serde_json::from_slice(record.value.as_deref().unwrap_or_default()).ok()
    }
}

/// The value of one of our headers, by its name without `sandman.`.
fn said(record: &Record, name: &str) -> Option<String> {
    record.header(&format!("sandman.{name}")).map(str::to_owned)
}
