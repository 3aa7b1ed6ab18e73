//! A deployment as a move reads and writes it: all its tables, row by row, whatever the database.
//!
//! The source is read whole first, so that a move that is taken up again can tell whether it is still what it was. Its rows are
//! copied in their order and in batches; the transaction of a batch also notes in the target how far the move has come. At the
//! end the target is read: it has, row by row, what the source has, or does not become a store.

mod cell;
mod mark;
mod tables;

use thiserror::Error;

use mark::Inventory;
use sandman_core::store::{StoreError, StoreId};
use tables::TABLES;

pub(crate) use cell::MovedValue;
pub(crate) use mark::{MoveMark, MovePosition};
pub(crate) use tables::{ColumnKind, GO_ON, MovedTable};

/// Receives a row.
pub(crate) type EachRow<'a> = &'a mut dyn FnMut(Vec<MovedValue>) -> Result<(), MoveError>;

/// Compares what a target holds.
pub(crate) type CheckRows<'a> = &'a mut dyn FnMut(&mut dyn MovingSide) -> Result<(), MoveError>;

/// A store that is read, within one transaction.
pub(crate) trait MovingSide {
    /// Calls `each` for every row of a table, in the table's order.
    fn rows(&mut self, table: &MovedTable, each: EachRow<'_>) -> Result<(), MoveError>;
}

/// A store that a deployment moves into.
pub(crate) trait MovingTarget {
    /// What an earlier move has left there, if it did not come to its end.
    fn mark(&mut self) -> Result<Option<MoveMark>, MoveError>;

    /// Begins a move into an empty store.
    fn begin(&mut self, source: &str) -> Result<(), MoveError>;

    /// Adds rows, and notes how far the move has come, in one transaction.
    fn add(&mut self, batch: &RowBatch<'_>) -> Result<(), MoveError>;

    /// Makes a store of the target, in one transaction, if `check` finds in it what it should.
    fn end(&mut self, check: CheckRows<'_>) -> Result<(), MoveError>;
}

/// Consecutive rows of one table.
pub(crate) struct RowBatch<'a> {
    pub(crate) table: &'a MovedTable,
    pub(crate) rows: &'a [Vec<MovedValue>],
    /// How far the move had come before them.
    pub(crate) from: MovePosition,
    /// And with them.
    pub(crate) to: MovePosition,
}

impl RowBatch<'_> {
    /// The number of its first row in the table, from 1.
    pub(crate) fn first(&self) -> i64 {
        let len = i64::try_from(self.rows.len()).unwrap_or(i64::MAX);
        self.to.rows - len + 1
    }
}

/// The rows that were moved of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Its content, for people.
    pub name: &'static str,
    /// How many rows.
    pub rows: u64,
}

/// How a move is getting on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoveProgress {
    /// The source is being read, for comparison.
    Reading,
    /// An earlier move was broken off; this one goes on behind these rows of this table.
    Resumed {
        /// What the table holds.
        name: &'static str,
        /// How many of its rows are there.
        rows: u64,
    },
    /// So many rows of a table are in the target, durably.
    Copied {
        /// What the table holds.
        name: &'static str,
        /// How many of its rows are there.
        rows: u64,
        /// How many there will be.
        of: u64,
    },
    /// The target is being read, for comparison.
    Verifying,
}

/// Why a move did not come to its end.
#[derive(Debug, Error)]
pub enum MoveError {
    /// Events wait for Kafka, and only the source can publish them exactly once.
    #[error(
        "{0} batches of events are not in Kafka yet; start the host once more where Kafka can be reached, and stop it with \
         SIGTERM, which publishes them"
    )]
    Unpublished(u64),
    /// A host uses one of the stores.
    #[error("host `{0}` is running; stop all hosts first")]
    Running(String),
    /// The target is not empty.
    #[error("the target already has a deployment; name an empty file, or another [store] schema")]
    NotEmpty,
    /// An earlier move came from elsewhere.
    #[error(
        "the target holds a part of another store ({0}), from a move that was interrupted; drop its schema or delete its file \
         to begin anew, or name another target"
    )]
    OtherSource(String),
    /// An earlier move came from here, but there were other rows.
    #[error(
        "the source has changed since the move began ({0}), so that it cannot be continued; drop the target's schema or \
         delete its file, and begin anew"
    )]
    Changed(String),
    /// Somebody else moves into the same target.
    #[error("another move writes to the target; wait for its end")]
    Overtaken,
    /// The target has other rows than the source.
    #[error(
        "the {0} in the target are not those of the source, so that no host can use it; drop its schema or delete its file, \
         and begin anew"
    )]
    Differ(&'static str),
    /// An error of a store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Copies all tables, behind what an earlier move has copied, and compares them.
pub(crate) fn copy(
    (id, from): (&StoreId, &mut dyn MovingSide),
    to: &mut dyn MovingTarget,
    tell: &mut dyn FnMut(MoveProgress),
) -> Result<Vec<Moved>, MoveError> {
    tell(MoveProgress::Reading);
    let inventory = Inventory::of(id, from)?;
    let mut at = MovePosition::default();
    match to.mark()? {
        None => to.begin(&inventory.text())?,
        Some(mark) => {
            inventory.check(&mark.source)?;
            at = mark.at;
            if let Some(table) = TABLES.get(at.table()) {
                let (name, rows) = (table.name, at.rows());
                tell(MoveProgress::Resumed { name, rows });
            }
        }
    }
    let tables = inventory.tables().enumerate();
    for (number, (table, of)) in tables.skip(at.table()) {
        at = Copying::of(to, table, (number, at)).all(from, &mut |rows| {
            let name = table.name;
            tell(MoveProgress::Copied { name, rows, of });
        })?;
    }
    tell(MoveProgress::Verifying);
    to.end(&mut |target| inventory.compare(target))?;
    let moved = inventory.tables().map(|(table, rows)| Moved { name: table.name, rows });
    Ok(moved.collect())
}

/// Rows and bytes of one transaction of the target.
const BATCH_ROWS: usize = 1_000;
const BATCH_BYTES: usize = 4 << 20;

/// One table on its way.
struct Copying<'a> {
    to: &'a mut dyn MovingTarget,
    table: &'a MovedTable,
    /// The table's own number.
    number: usize,
    /// How far the move has come, durably.
    at: MovePosition,
    rows: Vec<Vec<MovedValue>>,
    bytes: usize,
}

impl<'a> Copying<'a> {
    fn of(to: &'a mut dyn MovingTarget, table: &'a MovedTable, (number, at): (usize, MovePosition)) -> Self {
        Self {
            to,
            table,
            number,
            at,
            rows: Vec::new(),
            bytes: 0,
        }
    }

    /// Copies all rows of the table that are not there yet; `tell` hears how many are. Returns how far the move has come then.
    fn all(mut self, from: &mut dyn MovingSide, tell: &mut dyn FnMut(u64)) -> Result<MovePosition, MoveError> {
        let there = self.there();
        let mut read = 0;
        from.rows(self.table, &mut |row| {
            read += 1;
            if read <= there {
                return Ok(());
            }
            self.bytes += row.iter().map(MovedValue::size).sum::<usize>();
            self.rows.push(row);
            if self.rows.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
                self.flush()?;
                tell(self.there());
            }
            Ok(())
        })?;
        self.flush()?;
        tell(self.there());
        Ok(self.at)
    }

    /// How many rows of the table are in the target.
    fn there(&self) -> u64 {
        match self.at.table() == self.number {
            true => self.at.rows(),
            false => 0,
        }
    }

    fn flush(&mut self) -> Result<(), MoveError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let to = MovePosition::behind(self.number, self.there() + self.rows.len() as u64);
        self.to.add(&RowBatch {
            table: self.table,
            rows: &self.rows,
            from: self.at,
            to,
        })?;
        self.at = to;
        self.bytes = 0;
        self.rows.clear();
        Ok(())
    }
}
