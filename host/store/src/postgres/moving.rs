//! PostgreSQL as a side of a move.

use ::postgres::Row;
use ::postgres::types::ToSql;

use super::PostgresStore;
use super::fault::PgFault;
use super::session::Session;
use crate::moving::{ColumnKind, GO_ON, MoveError, MovedTable, MovedValue, MovingSide};
use sandman_core::store::StoreError;

/// One session, in a transaction.
struct PostgresSide<'a> {
    session: &'a mut Session,
    /// The store's name, for errors.
    name: &'a str,
}

impl MovingSide for PostgresSide<'_> {
    fn rows(
        &mut self,
        table: &MovedTable,
        each: &mut dyn FnMut(Vec<MovedValue>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let named = |fault: PgFault| fault.named(self.name);
        let mut failed = Ok(());
        let read = self.session.each(table.from_postgres, &mut |row| {
            let cells = table.columns.iter().enumerate().map(|(at, kind)| cell(row, at, *kind));
            let cells = cells.collect::<Result<Vec<_>, _>>()?;
            if failed.is_ok() {
                failed = each(cells);
            }
            Ok(failed.is_ok())
        });
        read.map_err(named)?;
        failed
    }

    fn add(&mut self, table: &MovedTable, row: &[MovedValue], _: i64) -> Result<(), StoreError> {
        let values: Vec<Box<dyn ToSql + Sync>> = table
            .columns
            .iter()
            .zip(row)
            .map(|(kind, cell)| value(*kind, cell))
            .collect();
        let params: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| &**value).collect();
        let added = self.session.execute(table.into_postgres, &params);
        added.map(drop).map_err(|error| PgFault::Sql(error).named(self.name))
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
                let text = std::str::from_utf8(bytes).map_err(|_| PgFault::Damaged("a key is no text".to_owned()))?;
                MovedValue::text(kind, text)
            }
        },
        ColumnKind::Bytes => row
            .try_get::<_, Option<Vec<u8>>>(at)?
            .map_or(MovedValue::Null, MovedValue::Bytes),
    })
}

fn value(kind: ColumnKind, cell: &MovedValue) -> Box<dyn ToSql + Sync> {
    let number = match cell {
        MovedValue::Number(number) => Some(*number),
        _ => None,
    };
    let text = match cell {
        MovedValue::Text(text) => Some(text.clone()),
        _ => None,
    };
    let bytes = match cell {
        MovedValue::Bytes(bytes) => Some(bytes.clone()),
        MovedValue::Text(text) => Some(text.clone().into_bytes()),
        _ => None,
    };
    match kind {
        ColumnKind::Long => Box::new(number),
        ColumnKind::Short => Box::new(number.and_then(|number| i32::try_from(number).ok())),
        ColumnKind::Flag => Box::new(number.map(|number| number != 0)),
        ColumnKind::Text => Box::new(text),
        ColumnKind::Key | ColumnKind::Bytes => Box::new(bytes),
    }
}

impl PostgresStore {
    /// Reads the deployment as it stands.
    pub(crate) fn moving_out<T>(
        &self,
        work: impl FnOnce(&mut dyn MovingSide) -> Result<T, MoveError>,
    ) -> Result<T, MoveError> {
        self.in_one(work, false)
    }

    /// Writes a deployment into an empty schema, in one transaction that is committed if `work` succeeds.
    pub(crate) fn moving_in<T>(
        &self,
        work: impl FnOnce(&mut dyn MovingSide) -> Result<T, MoveError>,
    ) -> Result<T, MoveError> {
        self.in_one(work, true)
    }

    fn in_one<T>(
        &self,
        work: impl FnOnce(&mut dyn MovingSide) -> Result<T, MoveError>,
        writes: bool,
    ) -> Result<T, MoveError> {
        let name = &self.target.name;
        let named = |fault: PgFault| MoveError::Store(fault.named(name));
        let mut link = self.writer.lock();
        let mut work = Some(work);
        let mut refused = None;
        let done = link.transact(|session| {
            session.batch("SET LOCAL transaction_isolation = 'repeatable read'")?;
            if writes {
                let used: bool = session.one("SELECT EXISTS (SELECT 1 FROM handlers)", &[])?.try_get(0)?;
                if used {
                    refused = Some(MoveError::NotEmpty);
                }
            }
            let side = &mut PostgresSide { session, name };
            match work.take().filter(|_| refused.is_none()).map(|work| work(side)) {
                Some(Ok(done)) => {
                    if writes {
                        side.session.execute(super::schema::ADD_HELD_STATES, &[])?;
                        side.session.batch(GO_ON)?;
                    }
                    Ok(Some(done))
                }
                Some(Err(error)) => {
                    refused = Some(error);
                    Err(PgFault::Away("the move was given up".to_owned()))
                }
                None => Ok(None),
            }
        });
        match (refused, done) {
            (Some(error), _) => Err(error),
            (None, Ok(Some(done))) => Ok(done),
            (None, Ok(None)) => Err(named(PgFault::Away("the connection was lost; begin again".to_owned()))),
            (None, Err(fault)) => Err(named(fault)),
        }
    }
}
