//! What the service published of a user, and whether it is that to the letter.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use uuid::Uuid;

use super::PUBLISHED;
use super::user::User;
use crate::Result;
use crate::client::Ask;
use crate::consumer::{Reader, Seen};
use crate::world::World;

/// What an envelope after a request has. After an event it has `causationId` too, and `correlationId` only if that had one.
const ENVELOPE: [&str; 7] = [
    "eventId",
    "eventType",
    "timestamp",
    "version",
    "source",
    "correlationId",
    "payload",
];
const HEADERS: [&str; 12] = [
    "eventType",
    "source",
    "version",
    "correlationId",
    "timestamp",
    "traceparent",
    "sandman.handler",
    "sandman.version",
    "sandman.digest",
    "sandman.trigger",
    "sandman.attempt",
    "sandman.revision",
];

/// A read-committed client of all three topics.
pub struct Events {
    readers: BTreeMap<&'static str, Reader>,
}

/// The events of one user, by type, in the order in which they are read.
#[derive(Debug)]
pub struct Told(BTreeMap<&'static str, Vec<Seen>>);

impl Events {
    pub(super) fn open(world: &World) -> Result<Self> {
        let open = |name: &&'static str| Ok((*name, world.reader(&world.topic(name))?));
        let readers: Result<_> = PUBLISHED.iter().map(open).collect();
        Ok(Self { readers: readers? })
    }

    /// The reader of one type.
    ///
    /// # Errors
    /// If the service publishes no such type.
    pub fn reader(&mut self, event_type: &str) -> Result<&mut Reader> {
        let reader = self.readers.get_mut(event_type);
        reader.with_context(|| format!("nobody publishes {event_type}"))
    }

    /// What was read of a type so far.
    pub fn seen(&self, event_type: &str) -> &[Seen] {
        self.readers.get(event_type).map(Reader::seen).unwrap_or_default()
    }

    /// Everything that was published of a user. It ends with a last word of the user that all three topics hear of: what
    /// is ordered before it and is not there was never published.
    ///
    /// # Errors
    /// If the last word does not arrive, or an envelope is not to the letter.
    pub fn of(&mut self, user: &User) -> Result<Told> {
        let word = last_word(user)?;
        let mut told = BTreeMap::new();
        for (name, reader) in &mut self.readers {
            let seen = reader.until(&format!("the last word of {}", user.id), |seen| {
                seen.iter().rev().any(|event| event.header("correlationId") == word)
            })?;
            let of_user = seen.iter().filter(|event| event.key_text() == user.id);
            let before: Vec<_> = of_user
                .take_while(|event| event.header("correlationId") != word)
                .cloned()
                .collect();
            for event in &before {
                to_the_letter(event, name).with_context(|| format!("{name}: {}", event.json()))?;
            }
            told.insert(*name, before);
        }
        Ok(Told(told))
    }
}

/// Changes something that each of the three events carries; returns the correlation id.
fn last_word(user: &User) -> Result<String> {
    let word = Uuid::new_v4().to_string();
    let settings = user.settings()?.has(200)?;
    let language = if settings["preferences"]["language"] == "vo" {
        "io"
    } else {
        "vo"
    };
    let form = json!({
        "profile": { "name": word, "photo": format!("/{word}.png") },
        "preferences": { "language": language },
    });
    let ask: Ask = user.putting(&form).header("X-Correlation-Id", &word);
    user.client().ask(&ask)?.has(200)?;
    Ok(word)
}

impl Told {
    /// The events of a type.
    pub fn events(&self, event_type: &str) -> &[Seen] {
        self.0.get(event_type).map(Vec::as_slice).unwrap_or_default()
    }

    /// All events.
    pub fn all(&self) -> impl Iterator<Item = &Seen> {
        self.0.values().flatten()
    }

    /// Whether these, and no others, were published: type and payload, but for `userId` and `updatedAt`, which every
    /// payload has; in order for each type.
    ///
    /// # Errors
    /// The type whose events are others.
    pub fn is(&self, expected: &[(&str, Value)]) -> Result {
        for (name, events) in &self.0 {
            let seen: Vec<_> = events.iter().map(section).collect();
            let wanted: Vec<_> = expected.iter().filter(|(wanted, _)| wanted == name).collect();
            let wanted: Vec<_> = wanted.into_iter().map(|(_, payload)| payload.clone()).collect();
            ensure!(seen == wanted, "{name} told {}\n  not {}", json!(seen), json!(wanted));
        }
        Ok(())
    }
}

/// The payload without the fields that every payload has.
fn section(event: &Seen) -> Value {
    let mut payload = event.payload();
    if let Some(fields) = payload.as_object_mut() {
        fields.remove("userId");
        fields.remove("updatedAt");
    }
    payload
}

/// Whether envelope and headers are what the documentation says, and nothing more.
fn to_the_letter(event: &Seen, event_type: &str) -> Result {
    let envelope = event.json();
    let text = |field: &str| envelope[field].as_str().unwrap_or_default().to_owned();
    let fields: BTreeSet<_> = envelope
        .as_object()
        .context("no object")?
        .keys()
        .map(String::as_str)
        .collect();
    let mut wanted = BTreeSet::from(ENVELOPE);
    if envelope.get("causationId").is_some() {
        wanted.insert("causationId");
        wanted.retain(|field| *field != "correlationId" || fields.contains(field));
    }
    ensure!(fields == wanted, "the envelope has {fields:?}, not {wanted:?}");
    ensure!(!holds_null(&envelope), "something is null");
    for (field, change) in envelope["payload"]["changes"].as_object().into_iter().flatten() {
        ensure!(change.get("old").is_some(), "changes.{field} has no old");
    }
    let id = Uuid::parse_str(&text("eventId")).context("eventId")?;
    ensure!(
        id.get_version_num() == 4 && id.hyphenated().to_string() == text("eventId"),
        "eventId is no UUID v4"
    );
    ensure!(is_iso_millis(&text("timestamp")), "timestamp is no time");
    let fixed = [
        ("eventType", event_type),
        ("version", "1.0"),
        ("source", "user-service"),
    ];
    for (field, value) in fixed {
        ensure!(envelope[field] == value, "{field} is not {value}");
    }
    let payload = &envelope["payload"];
    ensure!(
        payload["userId"] == event.key_text().as_str(),
        "the key is not the user"
    );
    ensure!(
        payload["updatedAt"] == envelope["timestamp"],
        "updatedAt is not the time of the event"
    );
    let names: Vec<_> = event.headers.iter().map(|header| header.name.as_str()).collect();
    ensure!(names == HEADERS, "the headers are {names:?}");
    for field in HEADERS.iter().take(5) {
        ensure!(text(field) == event.header(field), "header {field} differs");
    }
    Ok(())
}

/// Whether anything is null but the old value of a change.
fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(holds_null),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| holds_null(value) && !(name == "old" && value.is_null())),
        _ => false,
    }
}

/// `2025-12-12T10:30:00.000Z`
fn is_iso_millis(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    shape == "9999-99-99T99:99:99.999Z"
}
