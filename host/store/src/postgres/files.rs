//! The names of uploaded files: which states name them, and since when none does.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::fault::{PgFault, to_sql};
use super::session::Session;
use super::{PostgresStore, schema};
use sandman_core::store::{Commit, FileStore, FilesWrite, StoreError};

/// Writes the files that states name from now on. `handlers` are the ids of the handlers in the commit.
pub(super) fn write(
    session: &mut Session,
    commit: &Commit,
    handlers: &HashMap<Arc<str>, i32>,
    (class, now): (i32, i64),
) -> Result<(), PgFault> {
    if commit.files.is_empty() {
        return Ok(());
    }
    session.query(schema::LOCK_FILES, &[&class])?;
    for FilesWrite { handler, key, names } in &commit.files {
        let handler = handlers.get(handler).copied().unwrap_or_default();
        let key = key.as_bytes();
        let rows = session.query(schema::NAMES_OF, &[&handler, &key])?;
        let known = rows.iter().map(|row| Ok(row.try_get(0)?));
        let known: BTreeSet<String> = known.collect::<Result<_, PgFault>>()?;
        let added = names.iter().map(|name| &**name).filter(|name| !known.contains(*name));
        let added: Vec<&str> = added.collect();
        if !added.is_empty() {
            session.execute(schema::ADD_NAMES, &[&handler, &key, &added])?;
            session.execute(schema::UNLIST_UNNAMED, &[&added])?;
        }
        let dropped = known.iter().map(String::as_str);
        let dropped: Vec<&str> = dropped
            .filter(|known| !names.iter().any(|name| **name == **known))
            .collect();
        if !dropped.is_empty() {
            session.execute(schema::DROP_NAMES, &[&handler, &key, &dropped])?;
            session.execute(schema::LIST_UNNAMED, &[&dropped, &now])?;
        }
    }
    Ok(())
}

impl PostgresStore {
    /// Runs a transaction that changes names, which waits for others of its kind.
    fn write_names<T: Send>(
        &self,
        mut work: impl FnMut(&mut Session) -> Result<T, PgFault> + Send,
    ) -> Result<T, StoreError> {
        self.write(|session| {
            session.query(schema::LOCK_FILES, &[&self.lock_class])?;
            work(session)
        })
    }
}

impl FileStore for PostgresStore {
    fn list_files(&self, names: &[&str], since_millis: i64) -> Result<(), StoreError> {
        self.write_names(|session| {
            session.execute(schema::LIST_UNNAMED, &[&names, &since_millis])?;
            Ok(())
        })
    }

    fn take_unnamed_files(&self, before_millis: i64, most: usize) -> Result<Vec<String>, StoreError> {
        self.write_names(|session| {
            let taken = session.query(schema::TAKE_UNNAMED, &[&before_millis, &to_sql(most as u64)])?;
            taken.iter().map(|row| Ok(row.try_get(0)?)).collect()
        })
    }
}
