//! Which recordings a query asks for.

use serde::{Deserialize, Serialize};

use super::{RecordedOutcome, RecordedTrigger, Recording};

/// A query for recordings; all given conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordingQuery {
    /// An `eventId` of the trigger or of a published event, `topic/partition/offset`, or a correlation id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Only failures.
    #[serde(default)]
    pub failed: bool,
    /// Only failures with this code, or with one that begins with it: `trap` is every `trap.…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// The prefix of a request's correlation id where a trigger is named.
const REQUEST: &str = "http:";

/// How a recording relates to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RelatedBy {
    /// The event is its trigger.
    Trigger,
    /// It published the event.
    Published,
    /// It has the correlation id.
    Correlation,
}

impl RecordingQuery {
    /// Whether a recording is asked for.
    pub fn matches(&self, recording: &Recording) -> bool {
        let failed = matches!(recording.outcome, RecordedOutcome::Failed { .. });
        self.key.as_ref().is_none_or(|key| *key == recording.key)
            && (failed || !self.failed)
            && self
                .code
                .as_deref()
                .is_none_or(|code| failed && is_of(recording.outcome.word(), code))
            && self
                .event
                .as_ref()
                .is_none_or(|event| recording.related(event).is_some())
    }

    /// Whether a line may be such a recording, without parsing it; cheap.
    pub fn may_match(&self, line: &str) -> bool {
        // The parts of a place are separate in the line. All characters but these may be escaped there, in more than
        // one way, because the producer's JSON is a string in ours.
        let stands = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | ':');
        let found = |text: &str| !text.chars().all(stands) || line.contains(text);
        let event = self
            .event
            .as_deref()
            .map(|event| event.strip_prefix(REQUEST).unwrap_or(event));
        event.is_none_or(found) && self.key.as_deref().is_none_or(found)
    }
}

/// Whether a code is this one, or begins with it.
fn is_of(code: &str, asked: &str) -> bool {
    code == asked || code.strip_prefix(asked).is_some_and(|rest| rest.starts_with('.'))
}

impl Recording {
    /// How it relates to an event, given by `eventId`, `topic/partition/offset` or correlation id.
    pub fn related(&self, event: &str) -> Option<RelatedBy> {
        let (id, correlation) = match &self.trigger {
            RecordedTrigger::Event(trigger) => {
                (trigger.envelope_text("eventId"), trigger.envelope_text("correlationId"))
            }
            RecordedTrigger::Request(request) => (None, Some(request.correlation_id.clone())),
        };
        if id.as_deref() == Some(event) || self.trigger.place() == event {
            return Some(RelatedBy::Trigger);
        }
        if self
            .events()
            .any(|published| published.event_id.as_deref() == Some(event))
        {
            return Some(RelatedBy::Published);
        }
        (correlation.as_deref() == Some(event)).then_some(RelatedBy::Correlation)
    }

    /// The events that it published.
    pub fn events(&self) -> impl Iterator<Item = &super::RecordedEmission> {
        let events = match &self.outcome {
            RecordedOutcome::Decided { events, .. } => events.as_slice(),
            RecordedOutcome::Ignored | RecordedOutcome::Failed { .. } | RecordedOutcome::Duplicate => &[],
        };
        events.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RECORDING_FORMAT, RecordedBytes, RecordedContext, RecordedEvent, RecordedRequest};
    use super::*;
    use crate::limits::Limits;

    fn recording(key: &str, trigger: RecordedTrigger) -> Recording {
        Recording {
            format: RECORDING_FORMAT,
            id: None,
            handler: "h".to_owned(),
            version: 1,
            digest: "d".to_owned(),
            key: key.to_owned(),
            trigger,
            state: None,
            context: RecordedContext {
                now_millis: 0,
                attempt: 1,
                settings: "{}".to_owned(),
                source: "s".to_owned(),
                limits: Limits::default(),
                reused: false,
            },
            outcome: RecordedOutcome::Ignored,
            dead_letter: false,
            letter: None,
            cpu_micros: None,
            memory_bytes: 0,
        }
    }

    fn event(value: &str) -> RecordedTrigger {
        RecordedTrigger::Event(RecordedEvent {
            topic: "t".to_owned(),
            partition: 1,
            offset: 4,
            timestamp_millis: None,
            key: None,
            value: Some(RecordedBytes::of(value.as_bytes())),
            headers: Vec::new(),
        })
    }

    fn is_found(query: &RecordingQuery, recording: &Recording) -> bool {
        let line = recording.line().unwrap();
        query.may_match(&line) && query.matches(&Recording::read(&line).unwrap())
    }

    #[test]
    fn keys_and_events_are_found_however_their_letters_are_written() {
        for key in [
            "ada",
            "nl\nkey",
            "esc\u{1b}[2J\r\n",
            "tab\tkey",
            "k\u{fc}che",
            "a\"b\\c/d",
            "<&>'=",
        ] {
            let query = RecordingQuery {
                key: Some(key.to_owned()),
                ..RecordingQuery::default()
            };
            assert!(is_found(&query, &recording(key, event("{}"))), "{key:?}");
            assert!(!is_found(&query, &recording("eve", event("{}"))), "{key:?}");
            let query = RecordingQuery {
                event: Some(key.to_owned()),
                ..RecordingQuery::default()
            };
            // As serde writes it, and as senders do that keep to ASCII.
            let plain = serde_json::json!({ "eventId": key }).to_string();
            let escaped: String = key.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            let escaped = match key.is_ascii() && key.chars().all(char::is_alphanumeric) {
                true => key.to_owned(),
                false => escaped,
            };
            for value in [plain, format!(r#"{{"eventId":"{escaped}"}}"#)] {
                assert!(is_found(&query, &recording("k", event(&value))), "{value}");
            }
        }
    }

    #[test]
    fn a_request_is_found_by_its_correlation_id_and_as_headers_name_it() {
        let request = RecordedRequest {
            correlation_id: "web-42".to_owned(),
            ..RecordedRequest::default()
        };
        let recording = recording("k", RecordedTrigger::Request(request));
        for (name, found) in [
            ("web-42", true),
            ("http:web-42", true),
            ("http:web-4", false),
            ("web-43", false),
        ] {
            let query = RecordingQuery {
                event: Some(name.to_owned()),
                ..RecordingQuery::default()
            };
            assert_eq!(is_found(&query, &recording), found, "{name}");
        }
    }
}
