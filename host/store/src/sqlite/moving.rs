//! The store in a file as a side of a move.

use parking_lot::MutexGuard;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::SqliteStore;
use super::fault::SqliteFault;
use super::schema;
use super::writer::Writer;
use crate::moving::{
    CheckRows, ColumnKind, EachRow, MoveError, MoveMark, MovePosition, MovedTable, MovedValue, MovingSide,
    MovingTarget, RowBatch,
};
use sandman_core::faults::{self, Step};

struct SqliteSide<'a> {
    connection: &'a Connection,
    name: &'a str,
}

fn named<T>(name: &str, result: rusqlite::Result<T>) -> Result<T, MoveError> {
    result.map_err(|error| SqliteFault::from(error).named(name).into())
}

impl MovingSide for SqliteSide<'_> {
    fn rows(&mut self, table: &MovedTable, each: EachRow<'_>) -> Result<(), MoveError> {
        let mut statement = named(self.name, self.connection.prepare(table.from_sqlite))?;
        let mut rows = named(self.name, statement.query([]))?;
        while let Some(row) = named(self.name, rows.next())? {
            let mut cells = Vec::with_capacity(table.columns.len());
            for (at, kind) in table.columns.iter().enumerate() {
                cells.push(cell(named(self.name, row.get_ref(at))?, *kind));
            }
            each(cells)?;
        }
        Ok(())
    }
}

fn cell(value: ValueRef<'_>, kind: ColumnKind) -> MovedValue {
    match value {
        ValueRef::Null => MovedValue::Null,
        ValueRef::Integer(number) => MovedValue::Number(number),
        // No column has values of this type.
        ValueRef::Real(number) => MovedValue::Text(number.to_string()),
        ValueRef::Text(text) => MovedValue::text(kind, &String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => MovedValue::Bytes(bytes.to_vec()),
    }
}

fn value(cell: &MovedValue) -> Value {
    match cell {
        MovedValue::Null => Value::Null,
        MovedValue::Number(number) => Value::Integer(*number),
        MovedValue::Text(text) => Value::Text(text.clone()),
        MovedValue::Bytes(bytes) => Value::Blob(bytes.clone()),
    }
}

/// A file that a deployment moves into. No other use is made of it by this process: what the store keeps in memory does not
/// follow.
struct SqliteTarget<'a> {
    writer: MutexGuard<'a, Writer>,
    name: &'a str,
}

impl SqliteTarget<'_> {
    /// Runs `work` in a transaction of its own.
    fn transact<T>(&self, work: impl FnOnce(&mut SqliteSide<'_>) -> Result<T, MoveError>) -> Result<T, MoveError> {
        let connection = self.writer.connection();
        named(self.name, connection.execute_batch("BEGIN IMMEDIATE"))?;
        let mut side = SqliteSide {
            connection,
            name: self.name,
        };
        let done = work(&mut side).and_then(|done| {
            faults::at(Step::Written);
            named(self.name, connection.execute_batch("COMMIT"))?;
            Ok(done)
        });
        if done.is_err() && !connection.is_autocommit() {
            named(self.name, connection.execute_batch("ROLLBACK"))?;
        }
        done
    }
}

impl MovingTarget for SqliteTarget<'_> {
    fn mark(&mut self) -> Result<Option<MoveMark>, MoveError> {
        let connection = self.writer.connection();
        if !named(self.name, is_half_moved(connection))? {
            return Ok(None);
        }
        let found = connection.query_row(schema::MOVE_MARK, [], |row| {
            Ok(MoveMark {
                source: row.get(0)?,
                at: MovePosition {
                    table: row.get(1)?,
                    rows: row.get(2)?,
                },
            })
        });
        named(self.name, found.optional())
    }

    fn begin(&mut self, source: &str) -> Result<(), MoveError> {
        self.transact(|side| {
            let used = side
                .connection
                .query_row("SELECT EXISTS (SELECT 1 FROM handler)", [], |row| row.get(0));
            if named(side.name, used)? {
                return Err(MoveError::NotEmpty);
            }
            named(side.name, side.connection.execute_batch(schema::MAKE_MOVE_MARK))?;
            let added = side.connection.execute(schema::ADD_MOVE_MARK, [source]);
            named(side.name, added).map(drop)
        })
    }

    fn add(&mut self, batch: &RowBatch<'_>) -> Result<(), MoveError> {
        self.transact(|side| {
            let (from, to) = (batch.from, batch.to);
            let noted = params![from.table, from.rows, to.table, to.rows];
            if named(side.name, side.connection.execute(schema::SET_MOVE_MARK, noted))? != 1 {
                return Err(MoveError::Overtaken);
            }
            let mut statement = named(side.name, side.connection.prepare_cached(batch.table.into_sqlite))?;
            for (number, row) in (batch.first()..).zip(batch.rows) {
                let values = row.iter().map(value).chain([Value::Integer(number)]);
                named(side.name, statement.execute(params_from_iter(values)))?;
            }
            Ok(())
        })?;
        faults::at(Step::Committed);
        Ok(())
    }

    fn end(&mut self, check: CheckRows<'_>) -> Result<(), MoveError> {
        self.transact(|side| {
            check(side)?;
            named(side.name, side.connection.execute_batch(schema::END_MOVE))
        })
    }
}

/// Whether a move into the file was broken off.
pub(super) fn is_half_moved(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(schema::HAS_MOVE_MARK, [], |row| row.get(0))
}

impl SqliteStore {
    /// Reads the deployment in its current state.
    pub(crate) fn moving_out<T>(
        &self,
        work: impl FnOnce(&mut dyn MovingSide) -> Result<T, MoveError>,
    ) -> Result<T, MoveError> {
        let writer = self.writer.lock();
        let mut side = SqliteSide {
            connection: writer.connection(),
            name: &self.name,
        };
        work(&mut side)
    }

    /// The file as the target of a move. The store has to be opened anew afterwards.
    pub(crate) fn moving_in(&self) -> impl MovingTarget {
        SqliteTarget {
            writer: self.writer.lock(),
            name: &self.name,
        }
    }
}
