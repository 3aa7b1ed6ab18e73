//! A few connections that read the last commit while the writer prepares the next one.

use std::path::Path;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};

use super::fault::SqliteFault;
use super::schema;

/// Connections besides the first. A read takes microseconds, so a few serve many workers.
const MORE: usize = 3;

/// The connections for reads.
#[derive(Debug)]
pub(super) struct Readers {
    first: Mutex<Connection>,
    more: Vec<Mutex<Connection>>,
}

impl Readers {
    /// Connections to a file that exists.
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let connect = || -> rusqlite::Result<_> {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            schema::set_up_reader(&connection)?;
            Ok(Mutex::new(connection))
        };
        Ok(Self {
            first: connect()?,
            more: std::iter::repeat_with(connect).take(MORE).collect::<Result<_, _>>()?,
        })
    }

    /// Runs a query; waits for a connection while all are in use.
    pub(super) fn with<T>(&self, query: impl FnOnce(&Connection) -> Result<T, SqliteFault>) -> Result<T, SqliteFault> {
        let idle = self.more.iter().find_map(Mutex::try_lock);
        query(&idle.unwrap_or_else(|| self.first.lock()))
    }
}
