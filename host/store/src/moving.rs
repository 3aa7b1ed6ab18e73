//! A deployment that is stopped moves from a store in a file to PostgreSQL, or back: all of it, checked, or nothing.
//!
//! The target is written in one transaction, and read back in it: what it has must be what the source has, row by row. An end
//! in the middle leaves the target empty, and the move can be begun again.

mod cell;
mod tables;

use thiserror::Error;

use crate::{PostgresStore, SqliteStore};
use sandman_core::store::{HostStore, Shard, Store, StoreError};
use tables::TABLES;

pub(crate) use cell::MovedValue;
pub(crate) use tables::{ColumnKind, GO_ON, MovedTable};

/// A side of a move, within one transaction where it is written.
pub(crate) trait MovingSide {
    /// Calls `each` for every row of a table.
    fn rows(
        &mut self,
        table: &MovedTable,
        each: &mut dyn FnMut(Vec<MovedValue>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    /// Adds a row, the `number`th of its table.
    fn add(&mut self, table: &MovedTable, row: &[MovedValue], number: i64) -> Result<(), StoreError>;
}

/// What was moved of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// What it holds.
    pub name: &'static str,
    /// How many rows.
    pub rows: u64,
}

/// Why nothing was moved.
#[derive(Debug, Error)]
pub enum MoveError {
    /// Something waits for Kafka, which only the source's own cursor can see through.
    #[error(
        "{0} batches of events are not on Kafka yet; start the host once more where Kafka can be reached, and stop it with \
         SIGTERM, which publishes them"
    )]
    Unpublished(u64),
    /// Somebody works with a store.
    #[error("host `{0}` is running; stop all hosts first")]
    Running(String),
    /// There is something there already.
    #[error("the target holds a deployment already; name an empty file, or another [store] schema")]
    NotEmpty,
    /// The target has other rows than the source.
    #[error("the {0} in the target are not those of the source; nothing was moved")]
    Differ(&'static str),
    /// A store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Rows without their order: how many there are, and the sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct RowSum {
    rows: u64,
    hashes: u128,
}

impl RowSum {
    fn add(&mut self, row: &[MovedValue]) {
        self.rows += 1;
        self.hashes = self.hashes.wrapping_add(cell::hash(row));
    }
}

/// Copies all tables and compares them. `tell` hears of each table as it is done, and of every so many rows.
fn copy(
    (from, to): (&mut dyn MovingSide, &mut dyn MovingSide),
    tell: &mut dyn FnMut(&Moved),
) -> Result<Vec<Moved>, MoveError> {
    let mut all = Vec::new();
    for table in TABLES {
        let mut sent = RowSum::default();
        from.rows(table, &mut |row| {
            sent.add(&row);
            to.add(table, &row, i64::try_from(sent.rows).unwrap_or(i64::MAX))?;
            if sent.rows.is_multiple_of(STEP) {
                tell(&Moved {
                    name: table.name,
                    rows: sent.rows,
                });
            }
            Ok(())
        })?;
        let mut found = RowSum::default();
        to.rows(table, &mut |row| {
            found.add(&row);
            Ok(())
        })?;
        if sent != found {
            return Err(MoveError::Differ(table.name));
        }
        let moved = Moved {
            name: table.name,
            rows: sent.rows,
        };
        tell(&moved);
        all.push(moved);
    }
    Ok(all)
}

/// Rows between two words of progress.
const STEP: u64 = 100_000;

fn is_published(store: &dyn Store) -> Result<(), MoveError> {
    let mut waiting = 0;
    for shard in 0..store.shards() {
        waiting += store.outbox_size(Shard(shard))?.batches;
    }
    match waiting {
        0 => Ok(()),
        waiting => Err(MoveError::Unpublished(waiting)),
    }
}

fn is_stopped(store: &PostgresStore) -> Result<(), MoveError> {
    let live = store.hosts()?.into_iter().find(|host| host.live);
    live.map_or(Ok(()), |host| Err(MoveError::Running(host.name.to_string())))
}

/// Moves a deployment from a file to PostgreSQL. The file stays as it is.
///
/// # Errors
/// [`MoveError`]; then the target is as it was.
pub fn move_to_postgres(
    from: &SqliteStore,
    to: &PostgresStore,
    tell: &mut dyn FnMut(&Moved),
) -> Result<Vec<Moved>, MoveError> {
    is_published(from)?;
    is_stopped(to)?;
    from.moving_out(|from| to.moving_in(|to| copy((from, to), tell)))
}

/// Moves a deployment from PostgreSQL to a file. PostgreSQL stays as it is.
///
/// # Errors
/// [`MoveError`]; then the target is as it was.
pub fn move_to_sqlite(
    from: &PostgresStore,
    to: &SqliteStore,
    tell: &mut dyn FnMut(&Moved),
) -> Result<Vec<Moved>, MoveError> {
    is_published(from)?;
    is_stopped(from)?;
    from.moving_out(|from| to.moving_in(|to| copy((from, to), tell)))
}
