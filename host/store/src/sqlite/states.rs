//! The states and recent events of keys: one row for each key, found by its id and changed by its revision.
//!
//! The recent events of a key are in the row of its state, so that remembering one costs no additional row. A key with
//! recent events but no state has a row with a negative id and an empty document, which is dropped [`RECENT_MILLIS`]
//! after the last of them. An id is never assigned twice, and a row that gets or loses its document gets another one,
//! so that id and revision always identify one version of one key.

use rusqlite::{Connection, params};

use super::fault::{SqliteFault, from_sql, to_sql};
use super::ledger::{Ledger, NewHandlers};
use super::schema;
use sandman_core::outcome::StateChange;
use sandman_core::recent::RecentEvents;
use sandman_core::store::{CommitConflict, RECENT_MILLIS, Revision, StateKey, StateWrite};

/// A row's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RowId(i64);

/// A row's id, and how often it was written.
type RowPlace = (RowId, u64);

/// The change of one key's row.
enum RowChange<'a> {
    /// It gets a document, and these recent events or the existing ones.
    Document(&'a str, Option<&'a [u8]>),
    /// It keeps its document, if any, and gets these recent events.
    Recent(&'a [u8]),
    /// It loses its document, and gets these recent events or the existing ones.
    NoDocument(Option<&'a [u8]>),
    /// Nothing.
    Nothing,
}

impl<'a> RowChange<'a> {
    fn of(write: &'a StateWrite) -> Self {
        let recent = write.recent.as_ref().map(RecentEvents::as_bytes);
        match (&write.change, recent) {
            (StateChange::Put(document), recent) => Self::Document(document, recent),
            (StateChange::Keep, Some(recent)) => Self::Recent(recent),
            (StateChange::Keep, None) => Self::Nothing,
            (StateChange::Delete, recent) => Self::NoDocument(recent),
        }
    }
}

/// Writes states within a transaction.
pub(super) struct StateWriter<'a, 'c> {
    pub(super) connection: &'c Connection,
    pub(super) handlers: &'a mut NewHandlers<'c>,
    pub(super) ledger: &'a mut Ledger,
    /// Milliseconds since 1970.
    pub(super) now: i64,
    /// States that are not at the revision that the commit names.
    pub(super) stale: &'a mut Vec<StateKey>,
}

impl StateWriter<'_, '_> {
    /// The revision of each afterwards; `None` if nothing is stored for the key.
    pub(super) fn write(mut self, states: &[StateWrite]) -> Result<Vec<Option<Revision>>, SqliteFault> {
        let mut revisions = Vec::with_capacity(states.len());
        let mut is_any_recent = false;
        for write in states {
            let change = RowChange::of(write);
            let written = match write.base.map(place) {
                None => self.insert(write, &change),
                Some(base) if is_state(base.0) => self.change_state(base, write, &change),
                Some(base) => self.change_recent(base, write, &change),
            };
            let place = match written {
                Err(SqliteFault::Overtaken(conflict)) => {
                    self.stale.extend(conflict.states);
                    None
                }
                place => place?,
            };
            is_any_recent |= place.is_some_and(|(row, _)| !is_state(row));
            revisions.push(place.map(|(row, version)| Revision::new(row.0.cast_unsigned(), version)));
        }
        if is_any_recent {
            let mut drop = self.connection.prepare_cached(schema::DROP_RECENT)?;
            drop.execute(params![self.now - RECENT_MILLIS])?;
        }
        Ok(revisions)
    }

    fn change_state(
        &mut self,
        (row, revision): RowPlace,
        write: &StateWrite,
        change: &RowChange<'_>,
    ) -> Result<Option<RowPlace>, SqliteFault> {
        let was = to_sql(revision);
        let changed = match change {
            RowChange::Nothing => return Ok(Some((row, revision))),
            RowChange::Document(document, None) => {
                let mut set = self.connection.prepare_cached(schema::SET_STATE)?;
                set.execute(params![row.0, was, document])?
            }
            RowChange::Document(document, Some(recent)) => {
                let mut set = self.connection.prepare_cached(schema::SET_STATE_AND_RECENT)?;
                set.execute(params![row.0, was, document, recent])?
            }
            RowChange::Recent(recent) => {
                let mut set = self.connection.prepare_cached(schema::SET_RECENT)?;
                set.execute(params![row.0, was, recent])?
            }
            RowChange::NoDocument(recent) => {
                let mut take = self.connection.prepare_cached(schema::TAKE_DOCUMENT)?;
                let left = RowId(-self.ledger.next_row);
                if take.execute(params![row.0, was, left.0, recent, self.now])? > 0 {
                    self.ledger.next_row += 1;
                    return Ok(Some((left, revision + 1)));
                }
                let mut delete = self.connection.prepare_cached(schema::DROP_STATE)?;
                return match delete.execute(params![row.0, was])? {
                    0 => Err(newer_state(write)),
                    _ => Ok(None),
                };
            }
        };
        match changed {
            0 => Err(newer_state(write)),
            _ => Ok(Some((row, revision + 1))),
        }
    }

    /// Changes the row of a key without a state. It may have expired and been dropped since it was read.
    fn change_recent(
        &mut self,
        (row, revision): RowPlace,
        write: &StateWrite,
        change: &RowChange<'_>,
    ) -> Result<Option<RowPlace>, SqliteFault> {
        let was = to_sql(revision);
        match change {
            RowChange::Nothing => return Ok(Some((row, revision))),
            RowChange::Document(document, recent) => {
                let mut give = self.connection.prepare_cached(schema::GIVE_DOCUMENT)?;
                let state = RowId(self.ledger.next_row);
                if give.execute(params![row.0, was, state.0, document, recent])? > 0 {
                    self.ledger.next_row += 1;
                    return Ok(Some((state, revision + 1)));
                }
            }
            RowChange::Recent(recent) | RowChange::NoDocument(Some(recent)) => {
                let mut set = self.connection.prepare_cached(schema::SET_RECENT_ALONE)?;
                if set.execute(params![row.0, was, recent, self.now])? > 0 {
                    return Ok(Some((row, revision + 1)));
                }
            }
            RowChange::NoDocument(None) => {
                let mut find = self.connection.prepare_cached(schema::HAS_ROW)?;
                if find.exists(params![row.0, was])? {
                    return Ok(Some((row, revision)));
                }
            }
        }
        self.insert(write, change)
    }

    fn insert(&mut self, write: &StateWrite, change: &RowChange<'_>) -> Result<Option<RowPlace>, SqliteFault> {
        let row = self.ledger.next_row;
        let (row, added) = match change {
            RowChange::Nothing => return Ok(None),
            RowChange::Document(document, recent) => {
                let mut insert = self.connection.prepare_cached(schema::ADD_STATE)?;
                let handler = self.handlers.id(&write.handler)?;
                (row, insert.execute(params![row, handler, write.key, document, recent])?)
            }
            RowChange::Recent(recent) | RowChange::NoDocument(Some(recent)) => {
                let mut insert = self.connection.prepare_cached(schema::ADD_RECENT)?;
                let handler = self.handlers.id(&write.handler)?;
                (
                    -row,
                    insert.execute(params![-row, handler, write.key, recent, self.now])?,
                )
            }
            RowChange::NoDocument(None) => {
                let mut query = self.connection.prepare_cached(schema::STATE)?;
                return match query.exists(params![self.handlers.id(&write.handler)?, write.key])? {
                    true => Err(newer_state(write)),
                    false => Ok(None),
                };
            }
        };
        if added == 0 {
            return Err(newer_state(write));
        }
        self.ledger.next_row += 1;
        Ok(Some((RowId(row), 1)))
    }
}

/// Whether the row has a document.
fn is_state(row: RowId) -> bool {
    row.0 > 0
}

fn place(revision: Revision) -> RowPlace {
    let (row, version) = revision.parts();
    (RowId(row.cast_signed()), version)
}

/// The revision of a row as it is stored.
pub(super) fn revision(row: i64, version: i64) -> Revision {
    Revision::new(row.cast_unsigned(), from_sql(version))
}

/// Whether the row of this revision has a document.
pub(super) fn has_document(revision: Revision) -> bool {
    is_state(place(revision).0)
}

fn newer_state(write: &StateWrite) -> SqliteFault {
    let stale = StateKey {
        handler: write.handler.clone(),
        key: write.key.clone(),
    };
    SqliteFault::Overtaken(CommitConflict {
        states: vec![stale],
        ..CommitConflict::default()
    })
}
