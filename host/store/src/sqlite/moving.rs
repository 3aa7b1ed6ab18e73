//! The store in a file as a side of a move.

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params_from_iter};

use super::SqliteStore;
use super::fault::SqliteFault;
use crate::moving::{ColumnKind, MoveError, MovedTable, MovedValue, MovingSide};
use sandman_core::store::StoreError;

struct SqliteSide<'a> {
    connection: &'a Connection,
    name: &'a str,
    /// Rows of states that were added.
    states: i64,
}

impl SqliteSide<'_> {
    fn named<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| SqliteFault::from(error).named(self.name))
    }
}

impl MovingSide for SqliteSide<'_> {
    fn rows(
        &mut self,
        table: &MovedTable,
        each: &mut dyn FnMut(Vec<MovedValue>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.named(self.connection.prepare(table.from_sqlite))?;
        let mut rows = self.named(statement.query([]))?;
        while let Some(row) = self.named(rows.next())? {
            let mut cells = Vec::with_capacity(table.columns.len());
            for (at, kind) in table.columns.iter().enumerate() {
                cells.push(cell(self.named(row.get_ref(at))?, *kind));
            }
            each(cells)?;
        }
        Ok(())
    }

    fn add(&mut self, table: &MovedTable, row: &[MovedValue], number: i64) -> Result<(), StoreError> {
        if table.name == "states" {
            self.states = number;
        }
        let values = row.iter().map(|cell| match cell {
            MovedValue::Null => Value::Null,
            MovedValue::Number(number) => Value::Integer(*number),
            MovedValue::Text(text) => Value::Text(text.clone()),
            MovedValue::Bytes(bytes) => Value::Blob(bytes.clone()),
        });
        let values = values.chain([Value::Integer(number)]);
        let mut statement = self.named(self.connection.prepare_cached(table.into_sqlite))?;
        self.named(statement.execute(params_from_iter(values))).map(drop)
    }
}

fn cell(value: ValueRef<'_>, kind: ColumnKind) -> MovedValue {
    match value {
        ValueRef::Null => MovedValue::Null,
        ValueRef::Integer(number) => MovedValue::Number(number),
        // No column has any.
        ValueRef::Real(number) => MovedValue::Text(number.to_string()),
        ValueRef::Text(text) => MovedValue::text(kind, &String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => MovedValue::Bytes(bytes.to_vec()),
    }
}

impl SqliteStore {
    /// Reads the deployment as it stands.
    pub(crate) fn moving_out<T>(
        &self,
        work: impl FnOnce(&mut dyn MovingSide) -> Result<T, MoveError>,
    ) -> Result<T, MoveError> {
        let writer = self.writer.lock();
        let mut side = SqliteSide {
            connection: writer.connection(),
            name: &self.name,
            states: 0,
        };
        work(&mut side)
    }

    /// Writes a deployment into an empty file, in one transaction that is committed if `work` succeeds. The store is not to
    /// be used any more: it has to be opened anew.
    pub(crate) fn moving_in<T>(
        &self,
        work: impl FnOnce(&mut dyn MovingSide) -> Result<T, MoveError>,
    ) -> Result<T, MoveError> {
        let writer = self.writer.lock();
        let connection = writer.connection();
        let mut side = SqliteSide {
            connection,
            name: &self.name,
            states: 0,
        };
        let used = connection.query_row("SELECT EXISTS (SELECT 1 FROM handler)", [], |row| row.get(0));
        if side.named(used)? {
            return Err(MoveError::NotEmpty);
        }
        let begun = connection.execute_batch("BEGIN IMMEDIATE");
        side.named(begun)?;
        let done = work(&mut side);
        if done.is_err() {
            let undone = connection.execute_batch("ROLLBACK");
            side.named(undone)?;
            return done;
        }
        let next = side.states + 1;
        let ended = connection
            .execute("UPDATE ledger SET next_row = ?1", [next])
            .and_then(|_| connection.execute_batch("COMMIT"));
        side.named(ended)?;
        done
    }
}
