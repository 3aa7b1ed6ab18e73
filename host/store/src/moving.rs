//! A store as a move reads and writes it: all its tables, row by row, whatever the database.
//!
//! The target is written in one transaction, and read back in it: what it has must be what the source has, row by row. An end
//! in the middle leaves the target empty, and the move can be begun again.

mod cell;
mod tables;

use thiserror::Error;

use sandman_core::store::StoreError;
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
pub(crate) fn copy(
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
