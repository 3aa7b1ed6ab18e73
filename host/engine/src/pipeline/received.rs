//! Classifies records, and makes the units of those that no guest sees.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::clock;
use crate::registry::Handler;
use sandman_core::event::{Envelope, OutRecord, Record, decode};
use sandman_core::lanes::{HandlerIx, PartitionIx};
use sandman_core::limits::Tombstones;
use sandman_core::printable;
use sandman_core::progress::Span;
use sandman_core::reason::{GivenUp, ReasonCode};
use sandman_core::store::Hold;
use sandman_core::unit::{Finish, Unit, UnitEmissions};

use super::{Pipeline, letter};

/// The kind of a record.
pub(super) enum Received {
    /// An event, and the key of its lane.
    Event(Arc<str>, Envelope),
    /// A record without a value, which the handler skips.
    Tombstone,
    /// A dead letter, for this reason.
    Unreadable(Unreadable),
}

/// Why a record is not an event for its handler.
pub(super) struct Unreadable {
    pub(super) code: ReasonCode,
    pub(super) reason: String,
}

impl Unreadable {
    pub(super) fn new(code: ReasonCode, reason: impl ToString) -> Self {
        let reason = reason.to_string();
        Self { code, reason }
    }
}

impl Received {
    pub(super) fn of(record: &Record, handler: &Handler) -> Self {
        if record.value.is_none() && handler.active().tombstones == Tombstones::Skip {
            return Self::Tombstone;
        }
        let envelope = match decode(record.value.as_deref()) {
            Ok(envelope) => envelope,
            Err(error) => return Self::Unreadable(Unreadable::new(ReasonCode::Decode, error)),
        };
        match handler.key.of(record.key.as_deref(), &envelope) {
            Ok(key) => Self::Event(key, envelope),
            Err(error) => Self::Unreadable(Unreadable::new(ReasonCode::Key, error)),
        }
    }
}

/// A record's place: what it accounts for, and in which partition.
#[derive(Clone, Copy, Debug)]
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

    /// A record that is not an event for the handler becomes a dead letter.
    pub(super) fn undecodable(&self, place: Place, record: &Record, unreadable: &Unreadable) -> Unit {
        let Some(handler) = self.registry.get(place.handler) else {
            return done(place, record, Vec::new());
        };
        let reason = &*printable::line(&unreadable.reason, printable::LONGEST);
        let (topic, offset) = (&record.source.topic, record.offset);
        tracing::error!(handler = &*handler.name, %topic, partition = record.source.partition, offset, reason, "not an event, dead letter");
        if let Some(meters) = handler.meters.topic(topic) {
            meters.dead_letters.increment(1);
        }
        let version = handler.active();
        let given_up = GivenUp {
            code: unreadable.code,
            reason: reason.to_owned(),
            version: version.number,
            digest: Arc::clone(&version.digest),
            attempts: 0,
            state: None,
            at_millis: clock::wall_millis(),
        };
        let (records, letters) = letter::given_up(&self.options, handler, (record, None), (given_up, Hold::No));
        Unit {
            letters,
            ..done(place, record, records)
        }
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
        changes: SmallVec::new(),
        recent: None,
        files: Vec::new(),
        records,
        letters: Vec::new(),
        emitted: UnitEmissions::default(),
        finish,
        recordings: Vec::new(),
    }
}
