//! What readers saw.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::Context;
use witness::{Asked, Testimony};

use crate::Result;
use crate::consumer::Seen;

/// Where a record lies: a record that was seen there once must lie there for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
}

/// An event that a reader saw, in the order in which it saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Where.
    pub place: Place,
    /// The record's key.
    pub key: Arc<str>,
    /// The guest's word.
    pub told: Testimony,
}

impl Sighting {
    /// What a live reader keeps of it.
    pub fn glimpse(&self) -> Glimpse {
        let (place, id) = (self.place, self.told.id);
        Glimpse { place, id }
    }
}

/// What is kept of a record that was seen while the faults happened: enough to find it again, and no more, for there may be
/// tens of millions of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Glimpse {
    /// Where.
    pub place: Place,
    /// The input's id.
    pub id: u64,
}

impl Glimpse {
    /// The event in a record.
    ///
    /// # Errors
    /// If it is none of the guest's.
    pub fn of_event(seen: &Seen) -> Result<Self> {
        let id = testimony(seen)?.id;
        Ok(Self { place: place(seen), id })
    }

    /// The dead letter in a record.
    ///
    /// # Errors
    /// If it holds no input.
    pub fn of_dead(seen: &Seen) -> Result<Self> {
        let id = asked(seen)?.id;
        Ok(Self { place: place(seen), id })
    }
}

/// A dead letter: the input as it came, and what the host says of it.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Where.
    pub glimpse: Glimpse,
    /// The record's key.
    pub key: Arc<str>,
    /// The input in it.
    pub asked: Asked,
    /// Where the input lies in its own topic, as the letter says.
    pub source: Place,
    /// The header `eventType` of the input.
    pub event_type: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was given up.
    pub reason: String,
}

impl Letter {
    fn of(seen: &Seen, key: Arc<str>) -> Result<Self> {
        let number = |name: &str| {
            let text = seen.header(name);
            let number = text.parse::<i64>();
            number.with_context(|| format!("the header {name} of a dead letter is no number: {text:?}"))
        };
        Ok(Self {
            glimpse: Glimpse::of_dead(seen)?,
            key,
            asked: asked(seen)?,
            event_type: seen.header("eventType"),
            source: Place {
                partition: number("sandman.partition")?.try_into()?,
                offset: number("sandman.offset")?,
            },
            attempts: number("sandman.attempts")?.try_into()?,
            reason: seen.header("sandman.reason"),
        })
    }
}

/// What a reader of everything saw: the first events, the second ones, and the dead letters.
#[derive(Clone, Debug, Default)]
pub struct Witnessed {
    /// Per index of an event, all of them.
    pub events: [Vec<Sighting>; 2],
    /// The dead letters.
    pub dead: Vec<Letter>,
    /// Each key once: there are few of them, and many events.
    keys: HashSet<Arc<str>>,
}

impl Witnessed {
    /// Notes the record of a first event (0), of a second one (1), or of a dead letter.
    ///
    /// # Errors
    /// If it is none.
    pub fn note(&mut self, index: usize, seen: &Seen) -> Result {
        let name = seen.key_text();
        let key = match self.keys.get(name.as_str()) {
            Some(key) => Arc::clone(key),
            None => name.into(),
        };
        self.keys.insert(Arc::clone(&key));
        let Some(events) = self.events.get_mut(index) else {
            self.dead.push(Letter::of(seen, key)?);
            return Ok(());
        };
        let told = Testimony {
            // Of no use to the judge, and most of an event.
            pad: String::new(),
            ..testimony(seen)?
        };
        let place = place(seen);
        events.push(Sighting { place, key, told });
        Ok(())
    }
}

fn testimony(seen: &Seen) -> Result<Testimony> {
    serde_json::from_value(seen.payload()).with_context(|| format!("an event that no guest wrote: {}", seen.json()))
}

fn asked(seen: &Seen) -> Result<Asked> {
    serde_json::from_value(seen.payload()).with_context(|| format!("a dead letter that nobody sent: {}", seen.json()))
}

fn place(seen: &Seen) -> Place {
    Place {
        partition: seen.partition,
        offset: seen.offset,
    }
}

/// A failed attempt, as a host logged it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which host it was, of one after the other.
    pub host: usize,
    /// How often the record had failed with it.
    pub failed: u32,
    /// Whether it is certain that the host stored it before it ended.
    pub stored: bool,
}

/// Everything that is known from outside at the end of a run.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// What readers saw while the faults happened: first events, second events, dead letters.
    pub live: [Vec<Glimpse>; 3],
    /// What a reader saw that began at the end.
    pub last: Witnessed,
    /// What the host knows of keys: count and fold.
    pub states: Vec<(Arc<str>, witness::Memory)>,
    /// Per record that failed, its failed attempts as the hosts logged them, in order.
    pub attempts: Vec<(String, Vec<Failure>)>,
    /// Partitions whose last stable offset did not reach the end although nobody wrote any more.
    pub stuck: Vec<String>,
}
