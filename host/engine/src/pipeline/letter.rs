//! A trigger that is given up: the record for its topic of dead letters, and the letter for the store.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::registry::Handler;
use sandman_core::event::{DeadLetter, OutRecord, Record, dead_letter};
use sandman_core::reason::GivenUp;
use sandman_core::store::{Hold, LetterWrite, NewLetter};
use sandman_core::unit::{Finish, Unit, UnitEmissions};

use super::Options;

/// The record and the letter, for one commit.
pub(super) fn given_up(
    options: &Options,
    handler: &Handler,
    (record, key): (&Record, Option<&Arc<str>>),
    (given_up, hold): (GivenUp, Hold),
) -> (Vec<OutRecord>, Vec<LetterWrite>) {
    let letter = DeadLetter {
        handler: &handler.name,
        group: &handler.group,
        topic: &options.dead_letter_topic,
        given_up: &given_up,
    };
    let published = dead_letter(record, &letter);
    let kept = NewLetter {
        handler: Arc::clone(&handler.name),
        key: key.cloned(),
        record: record.clone(),
        given_up,
        hold,
    };
    (vec![published], vec![LetterWrite::Add(Box::new(kept))])
}

/// A unit that changes nothing by itself.
pub(super) fn nothing(finish: Finish) -> Unit {
    Unit {
        changes: SmallVec::new(),
        recent: None,
        files: Vec::new(),
        records: Vec::new(),
        letters: Vec::new(),
        emitted: UnitEmissions::default(),
        finish,
        recordings: Vec::new(),
    }
}
