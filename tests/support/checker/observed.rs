//! What readers saw.

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
    /// The event in a record.
    ///
    /// # Errors
    /// If it is none of the guest's.
    pub fn of(seen: &Seen) -> Result<Self> {
        Ok(Self {
            place: place(seen),
            key: seen.key_text().into(),
            told: serde_json::from_value(seen.payload())
                .with_context(|| format!("an event that no guest wrote: {}", seen.json()))?,
        })
    }
}

/// What a reader of everything saw: the first events, the second ones, and the ids of the dead letters.
#[derive(Clone, Debug, Default)]
pub struct Witnessed {
    /// Per index of an event, all of them.
    pub events: [Vec<Sighting>; 2],
    /// Where each dead letter lies, the input's id, and how often it was tried.
    pub dead: Vec<(Place, u64, u32)>,
}

impl Witnessed {
    /// Notes a dead letter.
    ///
    /// # Errors
    /// If it holds no input.
    pub fn note_dead(&mut self, seen: &Seen) -> Result {
        let asked: Asked = serde_json::from_value(seen.payload())
            .with_context(|| format!("a dead letter that nobody sent: {}", seen.json()))?;
        let attempts = seen.header("sandman.attempts").parse().unwrap_or(0);
        self.dead.push((place(seen), asked.id, attempts));
        Ok(())
    }
}

fn place(seen: &Seen) -> Place {
    Place {
        partition: seen.partition,
        offset: seen.offset,
    }
}

/// Everything that is known from outside at the end of a run.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// What readers saw while the faults happened.
    pub live: Witnessed,
    /// What a reader saw that began at the end.
    pub last: Witnessed,
    /// What the host knows of keys: count and fold.
    pub states: Vec<(Arc<str>, witness::Memory)>,
    /// Per record that failed, the numbers of its failed attempts as the hosts logged them, in order.
    pub attempts: Vec<(String, Vec<u32>)>,
    /// Partitions whose last stable offset did not reach the end although nobody wrote any more.
    pub stuck: Vec<String>,
}
