//! The trigger of a recording: the record as it came from Kafka, or the request as the handler saw it.

use serde::{Deserialize, Serialize};

use super::RecordedBytes;
use crate::event::Record;
use crate::outcome::UploadedFile;
use crate::work::RequestWork;

/// What invoked the handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecordedTrigger {
    /// A record of a topic.
    Event(RecordedEvent),
    /// A request on a route.
    Request(RecordedRequest),
}

/// A record, with its original bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedEvent {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// When it was produced, milliseconds since 1970, if Kafka said.
    pub timestamp_millis: Option<i64>,
    /// The record's key.
    pub key: Option<RecordedBytes>,
    /// The record's value.
    pub value: Option<RecordedBytes>,
    /// The record's headers, in order.
    pub headers: Vec<(String, Option<RecordedBytes>)>,
}

/// A request as the handler saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedRequest {
    /// The HTTP method, upper case.
    pub method: String,
    /// The route's pattern.
    pub route: String,
    /// The path's parameters.
    pub params: Vec<(String, String)>,
    /// The query's parameters.
    pub query: Vec<(String, String)>,
    /// The verified token's claims, a JSON object as text.
    pub claims: Option<String>,
    /// The body, JSON text.
    pub body: Option<String>,
    /// Uploaded files.
    pub files: Vec<UploadedFile>,
    /// The request's correlation id.
    pub correlation_id: String,
}

impl From<&Record> for RecordedEvent {
    fn from(record: &Record) -> Self {
        let bytes = |field: &Option<Vec<u8>>| field.as_deref().map(RecordedBytes::of);
        let headers = record.headers.iter();
        Self {
            topic: record.source.topic.to_string(),
            partition: record.source.partition,
            offset: record.offset,
            timestamp_millis: record.timestamp_millis,
            key: bytes(&record.key),
            value: bytes(&record.value),
            headers: headers
                .map(|header| (header.name.to_owned(), header.value.map(RecordedBytes::of)))
                .collect(),
        }
    }
}

impl From<&RequestWork> for RecordedRequest {
    fn from(work: &RequestWork) -> Self {
        Self {
            method: work.method.clone(),
            route: work.route.clone(),
            params: work.params.clone(),
            query: work.query.clone(),
            claims: work.claims.clone(),
            body: work.body.clone(),
            files: work.files.clone(),
            correlation_id: work.correlation_id.clone(),
        }
    }
}

impl RecordedRequest {
    /// The request for a key, as it goes into a lane.
    pub(super) fn work(&self, key: &str) -> RequestWork {
        RequestWork {
            key: key.into(),
            method: self.method.clone(),
            route: self.route.clone(),
            params: self.params.clone(),
            query: self.query.clone(),
            claims: self.claims.clone(),
            body: self.body.clone(),
            files: self.files.clone(),
            correlation_id: self.correlation_id.clone(),
            ..RequestWork::default()
        }
    }
}

impl RecordedTrigger {
    /// A short name for it: the event type, or method and route.
    pub fn kind(&self) -> String {
        match self {
            Self::Event(event) => event
                .envelope_text("eventType")
                .unwrap_or_else(|| "no event".to_owned()),
            Self::Request(request) => format!("{} {}", request.method, request.route),
        }
    }

    /// Where it came from: `topic/partition/offset`, or `http:` and the correlation id.
    pub fn place(&self) -> String {
        match self {
            Self::Event(event) => format!("{}/{}/{}", event.topic, event.partition, event.offset),
            Self::Request(request) => format!("http:{}", request.correlation_id),
        }
    }
}

impl RecordedEvent {
    /// A text field of the envelope; `None` if the value is not an envelope or has no such field.
    pub fn envelope_text(&self, field: &str) -> Option<String> {
        let envelope: serde_json::Value = serde_json::from_str(self.value.as_ref()?.text()?).ok()?;
        Some(envelope.get(field)?.as_str()?.to_owned())
    }
}
