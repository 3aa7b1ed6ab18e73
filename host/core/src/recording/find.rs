//! Which recordings a question is about.

use serde::{Deserialize, Serialize};

use super::{RecordedOutcome, RecordedTrigger, Recording};

/// What is asked for; of several all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordingQuery {
    /// An `eventId` of the trigger or of a published event, `topic/partition/offset`, or a correlation id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Failures alone.
    #[serde(default)]
    pub failed: bool,
}

/// How a recording belongs to an event.
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
                .event
                .as_ref()
                .is_none_or(|event| recording.related(event).is_some())
    }

    /// Whether a line may hold such a recording, without reading it; cheap.
    pub fn may_match(&self, line: &str) -> bool {
        // A place is taken apart in the line, and a key may be escaped there.
        let found = |text: &str| text.contains(['/', '"', '\\']) || line.contains(text);
        self.event.as_deref().is_none_or(found) && self.key.as_deref().is_none_or(|key| !key.is_ascii() || found(key))
    }
}

impl Recording {
    /// How it belongs to an event, named by its `eventId`, by `topic/partition/offset` or by a correlation id.
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
            RecordedOutcome::Ignored | RecordedOutcome::Failed { .. } => &[],
        };
        events.iter()
    }
}
