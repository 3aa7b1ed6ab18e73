//! Opening the file: whether it is a store, whether this version can read it, and every reason for a refusal.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::OnceLock;

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, TransactionBehavior, params};
use uuid::Uuid;

use super::ledger::{Handlers, Ledger};
use super::moving::is_half_moved;
use super::open_error::OpenError;
use super::place::{self, Lock};
use super::readers::Readers;
use super::writer::Writer;
use super::{SqliteStore, files, schema};
use sandman_core::store::StoreId;

/// The first bytes of every SQLite file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The store in a file. One that a move has left half-done is only opened for the move.
pub(super) fn file(path: &Path, to_move: bool) -> Result<SqliteStore, OpenError> {
    let path = place::prepare(path)?;
    if path.is_dir() {
        return Err(OpenError::NoFile { path });
    }
    let lock = Lock::take(&path)?;
    place::make_file(&path)?;
    check_magic(&path)?;
    place::write_log_again(&path).map_err(|source| OpenError::Log {
        path: path.clone(),
        source,
    })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(|error| sort(&path, &error))?;
    if !to_move && is_half_moved(&connection).map_err(|error| sort(&path, &error))? {
        return Err(OpenError::HalfMoved { path });
    }
    let (connection, ledger, id) = prepare(&path, connection)?;
    let readers = Readers::open(&path).map_err(|error| sort(&path, &error))?;
    let name = path.display().to_string();
    let store = assemble(connection, ledger, id, name).map_err(|error| sort(&path, &error))?;
    Ok(SqliteStore {
        readers: Some(readers),
        _lock: Some(lock),
        ..store
    })
}

/// The store in memory.
pub(super) fn in_memory() -> Result<SqliteStore, OpenError> {
    let path = Path::new("in memory");
    let connection = Connection::open_in_memory().map_err(|error| sort(path, &error))?;
    let (connection, ledger, id) = prepare(path, connection)?;
    assemble(connection, ledger, id, "the store in memory".to_owned()).map_err(|error| sort(path, &error))
}

fn assemble(connection: Connection, ledger: Ledger, id: StoreId, name: String) -> rusqlite::Result<SqliteStore> {
    let handlers = Handlers::load(&connection)?;
    let writer = Writer::new(connection, ledger)?;
    Ok(SqliteStore {
        id,
        name,
        handlers,
        size: Mutex::new(writer.size()),
        letters: Mutex::new(writer.letters()),
        host: Mutex::default(),
        failed: OnceLock::new(),
        readers: None,
        writer: Mutex::new(writer),
        _lock: None,
    })
}

/// Refuses a file that is not an SQLite file, before SQLite touches it.
fn check_magic(path: &Path) -> Result<(), OpenError> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(16).read_to_end(&mut head));
    match read {
        Ok(_) if head.is_empty() || head == MAGIC => Ok(()),
        Ok(_) => Err(OpenError::Foreign {
            path: path.to_owned(),
            why: "it is not an SQLite file".to_owned(),
        }),
        Err(source) => Err(OpenError::ReadOnly {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Creates the tables of a new file, checks those of an existing one, and begins a run.
fn prepare(path: &Path, mut connection: Connection) -> Result<(Connection, Ledger, StoreId), OpenError> {
    let sorted = |error| sort(path, &error);
    let format = format(path, &connection)?;
    if format == 0 {
        schema::shape_file(&connection).map_err(sorted)?;
    }
    if connection.is_readonly(MAIN_DB).map_err(sorted)? {
        return Err(OpenError::ReadOnly {
            path: path.to_owned(),
            source: io::ErrorKind::PermissionDenied.into(),
        });
    }
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(sorted)?;
    if mode != "wal" && mode != "memory" {
        return Err(OpenError::Failed {
            path: path.to_owned(),
            detail: format!("its file system has no write-ahead log ({mode} instead); put it on a local disk"),
        });
    }
    schema::set_up_writer(&connection).map_err(sorted)?;
    let (ledger, id) = begin(&mut connection, format).map_err(sorted)?;
    Ok((connection, ledger, id))
}

/// The version of the file's tables, 0 for a file that is still empty; an error if it is not a store, or cannot be read
/// by this version.
fn format(path: &Path, connection: &Connection) -> Result<i32, OpenError> {
    let read = |pragma| connection.pragma_query_value(None, pragma, |row| row.get(0));
    let application: i32 = read("application_id").map_err(|error| sort(path, &error))?;
    let version: i32 = read("user_version").map_err(|error| sort(path, &error))?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| sort(path, &error))?;
    match (application, version) {
        (0, 0) if tables == 0 => Ok(0),
        (schema::APPLICATION_ID, 1..=schema::VERSION) => Ok(version),
        (schema::APPLICATION_ID, found) if found > schema::VERSION => Err(OpenError::Newer {
            path: path.to_owned(),
            found,
            known: schema::VERSION,
        }),
        (schema::APPLICATION_ID, found) => Err(OpenError::Damaged {
            path: path.to_owned(),
            detail: format!("there is no format {found}"),
        }),
        _ => Err(OpenError::Foreign {
            path: path.to_owned(),
            why: "it has the tables of another program".to_owned(),
        }),
    }
}

/// Creates the tables if the file is new, migrates old ones, and counts this run; all in one transaction, so that a
/// file is never half a store or between two formats.
fn begin(connection: &mut Connection, format: i32) -> rusqlite::Result<(Ledger, StoreId)> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if format == 0 {
        transaction.execute_batch(schema::TABLES)?;
        transaction.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
        transaction.execute(schema::ADD_LEDGER, params![Uuid::new_v4().to_string()])?;
    }
    if format < schema::VERSION {
        for (from, step) in (1..).zip(schema::STEPS) {
            if from >= format {
                transaction.execute_batch(step)?;
            }
        }
        if format != 0 {
            files::read_states(&transaction)?;
        }
        transaction.pragma_update(None, "user_version", schema::VERSION)?;
    }
    let (ledger, id) = transaction.query_row(schema::OPEN_LEDGER, [], |row| {
        let id: String = row.get("store")?;
        Ok((Ledger::read(row)?, StoreId(id.into())))
    })?;
    transaction.commit()?;
    Ok((ledger, id))
}

/// Classifies SQLite's error.
fn sort(path: &Path, error: &rusqlite::Error) -> OpenError {
    let (path, detail) = (path.to_owned(), error.to_string());
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => {
            OpenError::Damaged { path, detail }
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => OpenError::ReadOnly {
            path,
            source: io::Error::other(detail),
        },
        Some(_) => OpenError::Failed { path, detail },
        // The tables are invalid: a row is missing, or a column has another type.
        None => OpenError::Damaged { path, detail },
    }
}
