//! The names of uploaded files: which states name them, and since when none does.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::fault::{SqliteFault, to_sql};
use super::ledger::NewHandlers;
use super::{SqliteStore, schema};
use sandman_core::files;
use sandman_core::store::{FileStore, FilesWrite, StoreError};

/// Writes the files that states name from now on.
pub(super) fn write(
    connection: &Connection,
    writes: &[FilesWrite],
    handlers: &mut NewHandlers<'_>,
    now: i64,
) -> Result<(), SqliteFault> {
    for FilesWrite { handler, key, names } in writes {
        let handler = handlers.id(handler)?;
        let mut query = connection.prepare_cached(schema::NAMES_OF)?;
        let known = query.query_map(params![handler, key], |row| row.get(0))?;
        let known: BTreeSet<String> = known.collect::<Result<_, _>>()?;
        for name in names.iter().filter(|name| !known.contains(&***name)) {
            let mut add = connection.prepare_cached(schema::ADD_NAME)?;
            add.execute(params![handler, key, name])?;
            connection
                .prepare_cached(schema::UNLIST_UNNAMED)?
                .execute(params![name])?;
        }
        for name in known
            .iter()
            .filter(|known| !names.iter().any(|name| **name == ***known))
        {
            let mut drop = connection.prepare_cached(schema::DROP_NAME)?;
            drop.execute(params![handler, key, name])?;
            connection
                .prepare_cached(schema::LIST_UNNAMED)?
                .execute(params![name, now])?;
        }
    }
    Ok(())
}

/// Reads all states once to find the file names in them, for a store whose format did not have these.
pub(super) fn read_states(connection: &Connection) -> rusqlite::Result<()> {
    let mut query = connection.prepare(schema::ALL_DOCUMENTS)?;
    let mut add = connection.prepare(schema::ADD_NAME)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let handler: i64 = row.get(0)?;
        for name in files::names_in(row.get_ref(2)?.as_str()?) {
            add.execute(params![handler, row.get_ref(1)?.as_str()?, name])?;
        }
    }
    Ok(())
}

impl FileStore for SqliteStore {
    fn list_files(&self, names: &[&str], since_millis: i64) -> Result<(), StoreError> {
        self.write(|writer| {
            writer.aside(&self.handlers, |connection, _| {
                let mut list = connection.prepare_cached(schema::LIST_UNNAMED)?;
                for name in names {
                    list.execute(params![name, since_millis])?;
                }
                Ok(())
            })
        })
    }

    fn take_unnamed_files(&self, before_millis: i64, most: usize) -> Result<Vec<String>, StoreError> {
        self.write(|writer| {
            writer.aside(&self.handlers, |connection, _| {
                let mut take = connection.prepare_cached(schema::TAKE_UNNAMED)?;
                let taken = take.query_map(params![before_millis, to_sql(most as u64)], |row| row.get(0))?;
                Ok(taken.collect::<Result<_, _>>()?)
            })
        })
    }
}
