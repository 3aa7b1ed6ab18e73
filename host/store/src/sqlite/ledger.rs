//! The store's own counters, and the ids of handlers' names.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use rusqlite::{Connection, Row, params};

use super::fault::{SqliteFault, from_sql, to_sql};
use super::schema;
use sandman_core::store::BatchNo;

/// The store's counters, as of the last commit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ledger {
    /// How often the store was opened. It makes the assignment epochs of a run higher than those of all earlier runs,
    /// and reveals a second process that got past the lock.
    pub(super) generation: i64,
    /// The newest batch ever committed; kept apart from the outbox, which may be empty.
    pub(super) last: BatchNo,
    /// The newest batch known to be in Kafka.
    pub(super) published: BatchNo,
    /// Whether the cursor of a deployment has named this store.
    pub(super) claimed: bool,
    /// The next state's row. Never assigned twice, so that (row, revision) identifies one version of one key's state for ever.
    pub(super) next_row: i64,
}

impl Ledger {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            generation: row.get("generation")?,
            last: from_sql(row.get("last_batch")?),
            published: from_sql(row.get("published")?),
            claimed: row.get("claimed")?,
            next_row: row.get("next_row")?,
        })
    }

    /// Writes the counters, if this process is still the last one to have opened the store.
    pub(super) fn write(&self, connection: &Connection) -> Result<(), SqliteFault> {
        let mut update = connection.prepare_cached(schema::SET_LEDGER)?;
        let (last, published) = (to_sql(self.last), to_sql(self.published));
        match update.execute(params![last, published, self.claimed, self.next_row, self.generation])? {
            0 => Err(SqliteFault::Conflict {
                what: "owner",
                detail: format!("it was opened again since run {} opened it", self.generation),
            }),
            _ => Ok(()),
        }
    }
}

/// The ids of the handlers that ever committed.
#[derive(Debug, Default)]
pub(super) struct Handlers(RwLock<HashMap<Arc<str>, i64>>);

impl Handlers {
    /// All handlers of the store.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut query = connection.prepare(schema::HANDLERS)?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Self(RwLock::new(rows.collect::<Result<_, _>>()?)))
    }

    /// The id of a handler, if it ever committed anything.
    pub(super) fn id(&self, name: &str) -> Option<i64> {
        self.0.read().get(name).copied()
    }

    /// Their names, in order.
    pub(super) fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.0.read().keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// The ids within one transaction.
    pub(super) fn within<'a>(&'a self, connection: &'a Connection) -> NewHandlers<'a> {
        NewHandlers {
            known: self,
            connection,
            new: HashMap::new(),
        }
    }

    /// Adds the new handlers of a transaction after its commit.
    pub(super) fn add(&self, new: HashMap<Arc<str>, i64>) {
        if !new.is_empty() {
            self.0.write().extend(new);
        }
    }
}

/// Handlers' ids inside a transaction, which may add some.
pub(super) struct NewHandlers<'a> {
    known: &'a Handlers,
    connection: &'a Connection,
    new: HashMap<Arc<str>, i64>,
}

impl NewHandlers<'_> {
    /// The id of a handler, created if it is new.
    pub(super) fn id(&mut self, name: &Arc<str>) -> Result<i64, SqliteFault> {
        if let Some(id) = self.known.id(name).or_else(|| self.new.get(name).copied()) {
            return Ok(id);
        }
        let mut insert = self.connection.prepare_cached(schema::ADD_HANDLER)?;
        let id = insert.insert(params![name])?;
        self.new.insert(Arc::clone(name), id);
        Ok(id)
    }

    /// The handlers that the transaction added.
    pub(super) fn added(self) -> HashMap<Arc<str>, i64> {
        self.new
    }
}
