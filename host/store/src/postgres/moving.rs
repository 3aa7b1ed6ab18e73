//! PostgreSQL as a side of a move.

use ::postgres::Row;
use ::postgres::types::ToSql;
use parking_lot::MutexGuard;

use super::fault::PgFault;
use super::link::Link;
use super::session::Session;
use super::{PostgresStore, schema};
use crate::moving::{
    CheckRows, ColumnKind, EachRow, GO_ON, MoveError, MoveMark, MovePosition, MovedTable, MovedValue, MovingSide,
    MovingTarget, RowBatch,
};
use sandman_core::faults::{self, Step};
use sandman_core::store::StoreError;

/// A transaction reads large tables whole, and waits while the other side writes: nothing of that may take too long.
const AS_LONG_AS_IT_TAKES: &str = "
    SET LOCAL transaction_isolation = 'repeatable read';
    SET LOCAL enable_seqscan = on;
    SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0";

/// One session, in a transaction.
struct PostgresSide<'a> {
    session: &'a mut Session,
    /// The store's name, for errors.
    name: &'a str,
}

impl MovingSide for PostgresSide<'_> {
    fn rows(&mut self, table: &MovedTable, each: EachRow<'_>) -> Result<(), MoveError> {
        let mut failed = Ok(());
        let read = self.session.each(table.from_postgres, &mut |row| {
            let cells = table.columns.iter().enumerate().map(|(at, kind)| cell(row, at, *kind));
            let cells = cells.collect::<Result<Vec<_>, _>>()?;
            failed = each(cells);
            Ok(failed.is_ok())
        });
        read.map_err(|fault| fault.named(self.name))?;
        failed
    }
}

fn cell(row: &Row, at: usize, kind: ColumnKind) -> Result<MovedValue, PgFault> {
    let number = |number: Option<i64>| number.map_or(MovedValue::Null, MovedValue::Number);
    Ok(match kind {
        ColumnKind::Long => number(row.try_get(at)?),
        ColumnKind::Short => number(row.try_get::<_, Option<i32>>(at)?.map(i64::from)),
        ColumnKind::Flag => number(row.try_get::<_, Option<bool>>(at)?.map(i64::from)),
        ColumnKind::Text => row
            .try_get::<_, Option<&str>>(at)?
            .map_or(MovedValue::Null, |text| MovedValue::text(kind, text)),
        ColumnKind::Key => match row.try_get::<_, Option<&[u8]>>(at)? {
            None => MovedValue::Null,
            Some(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|_| PgFault::Damaged("a key is not text".to_owned()))?;
                MovedValue::text(kind, text)
            }
        },
        ColumnKind::Bytes => row
            .try_get::<_, Option<Vec<u8>>>(at)?
            .map_or(MovedValue::Null, MovedValue::Bytes),
    })
}

/// A column of some rows, as an array.
fn column(kind: ColumnKind, rows: &[Vec<MovedValue>], at: usize) -> Box<dyn ToSql + Sync> {
    let cells = rows.iter().map(|row| row.get(at).unwrap_or(&MovedValue::Null));
    match kind {
        ColumnKind::Long => Box::new(cells.map(MovedValue::number).collect::<Vec<Option<i64>>>()),
        ColumnKind::Short => {
            let short = |cell: &MovedValue| cell.number().and_then(|number| i32::try_from(number).ok());
            Box::new(cells.map(short).collect::<Vec<Option<i32>>>())
        }
        ColumnKind::Flag => {
            let flag = |cell: &MovedValue| cell.number().map(|number| number != 0);
            Box::new(cells.map(flag).collect::<Vec<Option<bool>>>())
        }
        ColumnKind::Text => {
            let text = |cell: &MovedValue| match cell {
                MovedValue::Text(text) => Some(text.clone()),
                _ => None,
            };
            Box::new(cells.map(text).collect::<Vec<Option<String>>>())
        }
        ColumnKind::Key | ColumnKind::Bytes => {
            let bytes = |cell: &MovedValue| match cell {
                MovedValue::Bytes(bytes) => Some(bytes.clone()),
                MovedValue::Text(text) => Some(text.clone().into_bytes()),
                _ => None,
            };
            Box::new(cells.map(bytes).collect::<Vec<Option<Vec<u8>>>>())
        }
    }
}

/// A schema that a deployment moves into.
struct PostgresTarget<'a> {
    link: MutexGuard<'a, Link>,
    name: &'a str,
}

impl PostgresTarget<'_> {
    /// Runs `work` in a transaction of its own. What it refuses is rolled back.
    fn transact<T>(
        &mut self,
        mut work: impl FnMut(&mut PostgresSide<'_>) -> Result<Result<T, MoveError>, PgFault>,
    ) -> Result<T, MoveError> {
        let name = self.name;
        let mut refused = None;
        let done = self.link.transact(|session| {
            let done = work(&mut PostgresSide { session, name })?;
            faults::at(Step::Written);
            done.map_err(|error| {
                refused = Some(error);
                PgFault::GivenUp
            })
        });
        match (refused, done) {
            (Some(error), Err(_)) => Err(error),
            (_, done) => done.map_err(|fault| fault.named(name).into()),
        }
    }
}

impl MovingTarget for PostgresTarget<'_> {
    fn mark(&mut self) -> Result<Option<MoveMark>, MoveError> {
        self.transact(|side| {
            if !is_half_moved(side.session)? {
                return Ok(Ok(None));
            }
            let row = side.session.one(schema::MOVE_MARK, &[])?;
            let at = MovePosition {
                table: row.try_get(1)?,
                rows: row.try_get(2)?,
            };
            let source = row.try_get(0)?;
            Ok(Ok(Some(MoveMark { source, at })))
        })
    }

    fn begin(&mut self, source: &str) -> Result<(), MoveError> {
        self.transact(|side| {
            let used = side.session.one("SELECT EXISTS (SELECT 1 FROM handlers)", &[])?;
            if used.try_get(0)? {
                return Ok(Err(MoveError::NotEmpty));
            }
            side.session.batch(schema::MAKE_MOVE_MARK)?;
            side.session.execute(schema::ADD_MOVE_MARK, &[&source])?;
            Ok(Ok(()))
        })
    }

    fn add(&mut self, batch: &RowBatch<'_>) -> Result<(), MoveError> {
        let columns = batch.table.columns.iter().enumerate();
        let arrays: Vec<Box<dyn ToSql + Sync>> = columns.map(|(at, kind)| column(*kind, batch.rows, at)).collect();
        let params: Vec<&(dyn ToSql + Sync)> = arrays.iter().map(|array| &**array).collect();
        let (from, to) = (batch.from, batch.to);
        self.transact(|side| {
            let noted: [&(dyn ToSql + Sync); 4] = [&from.table, &from.rows, &to.table, &to.rows];
            if side.session.execute(schema::SET_MOVE_MARK, &noted)? != 1 {
                return Ok(Err(MoveError::Overtaken));
            }
            side.session.execute(batch.table.into_postgres, &params)?;
            Ok(Ok(()))
        })?;
        faults::at(Step::Committed);
        Ok(())
    }

    fn end(&mut self, check: CheckRows<'_>) -> Result<(), MoveError> {
        self.transact(|side| {
            side.session.batch(AS_LONG_AS_IT_TAKES)?;
            if let Err(error) = check(side) {
                return Ok(Err(error));
            }
            side.session.execute(schema::ADD_HELD_STATES, &[])?;
            side.session.batch(GO_ON)?;
            side.session.batch(schema::DROP_MOVE_MARK)?;
            Ok(Ok(()))
        })
    }
}

/// Whether a move into the schema was broken off.
pub(super) fn is_half_moved(session: &mut Session) -> Result<bool, PgFault> {
    Ok(session.one(schema::HAS_MOVE_MARK, &[])?.try_get(0)?)
}

impl PostgresStore {
    /// Reads the deployment in its current state.
    pub(crate) fn moving_out<T>(
        &self,
        work: impl FnOnce(&mut dyn MovingSide) -> Result<T, MoveError>,
    ) -> Result<T, MoveError> {
        let mut source = PostgresTarget {
            link: self.writer.lock(),
            name: &self.target.name,
        };
        let (mut work, mut done) = (Some(work), None);
        let ended = source.transact(|side| {
            side.session.batch(AS_LONG_AS_IT_TAKES)?;
            // The rows that were read before the connection was lost are not read again here.
            done = work.take().map(|work| work(side));
            Ok(Ok(()))
        });
        match (done, ended) {
            (Some(done), _) => done,
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Err(MoveError::Store(StoreError::Unavailable(source.name.to_owned()))),
        }
    }

    /// The schema as the target of a move.
    pub(crate) fn moving_in(&self) -> impl MovingTarget {
        PostgresTarget {
            link: self.writer.lock(),
            name: &self.target.name,
        }
    }
}
