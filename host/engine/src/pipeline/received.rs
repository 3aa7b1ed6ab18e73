//! What a record turns out to be, and the units of those that no guest sees.

use std::sync::Arc;

use crate::clock;
use crate::registry::Handler;
use sandman_core::event::{DeadLetter, Envelope, OutRecord, Record, dead_letter, decode, iso_millis};
use sandman_core::lanes::{HandlerIx, PartitionIx};
use sandman_core::limits::Tombstones;
use sandman_core::printable;
use sandman_core::progress::Span;
use sandman_core::unit::{Finish, Unit};

use super::Pipeline;

/// What a record turns out to be.
pub(super) enum Received {
    /// An event, and the key of its lane.
    Event(Arc<str>, Envelope),
    /// A record without a value, which the handler passes over.
    Tombstone,
    /// A dead letter, for this reason.
    Unreadable(String),
}

impl Received {
    pub(super) fn of(record: &Record, handler: &Handler) -> Self {
        if record.value.is_none() && handler.active().tombstones == Tombstones::Skip {
            return Self::Tombstone;
        }
        let envelope = match decode(record.value.as_deref()) {
            Ok(envelope) => envelope,
            Err(error) => return Self::Unreadable(error.to_string()),
        };
        match handler.key.of(record.key.as_deref(), &envelope) {
            Ok(key) => Self::Event(key, envelope),
            Err(error) => Self::Unreadable(error.to_string()),
        }
    }
}

/// A record's place: what it accounts for, and in which partition.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) handler: HandlerIx,
    pub(super) partition: PartitionIx,
    pub(super) span: Span,
}

impl Pipeline {
    /// A tombstone is done without a guest.
    pub(super) fn passed_over(&self, place: Place, record: &Record) -> Unit {
        let handler = self.registry.get(place.handler);
        if let Some(meters) = handler.and_then(|handler| handler.meters.topic(&record.source.topic)) {
            meters.tombstones.increment(1);
        }
        done(place, record, Vec::new())
    }

    /// A record that is no event for the handler becomes a dead letter.
    pub(super) fn undecodable(&self, place: Place, record: &Record, reason: &str) -> Unit {
        let Some(handler) = self.registry.get(place.handler) else {
            return done(place, record, Vec::new());
        };
        let reason = &*printable::line(reason, printable::LONGEST);
        let (topic, offset) = (&record.source.topic, record.offset);
        tracing::error!(handler = &*handler.name, %topic, partition = record.source.partition, offset, reason, "no event, dead letter");
        if let Some(meters) = handler.meters.topic(topic) {
            meters.dead_letters.increment(1);
        }
        let version = handler.active();
        let letter = DeadLetter {
            handler: &handler.name,
            version: version.number,
            digest: &version.digest,
            attempts: 0,
            reason,
            time: &iso_millis(clock::wall_millis()),
        };
        done(place, record, vec![dead_letter(record, &letter)])
    }
}

fn done(Place { partition, span, .. }: Place, record: &Record, records: Vec<OutRecord>) -> Unit {
    let finish = Finish::Done {
        partition,
        span,
        failed: 0,
        produced_millis: record.timestamp_millis,
        weight: record.weight(),
    };
    Unit {
        changes: Vec::new(),
        recent: None,
        records,
        finish,
    }
}
