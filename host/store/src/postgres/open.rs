//! Opening the store: its location, the version of its tables, and every reason for a refusal.

use std::collections::HashMap;
use std::sync::Arc;

use ::postgres::error::SqlState;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use super::fault::{PgFault, words};
use super::fleet::Fleet;
use super::link::Link;
use super::moving::is_half_moved;
use super::open_error::PgOpenError;
use super::session::Session;
use super::target::{ConnectTarget, PgOptions, target};
use super::{PostgresStore, READERS, schema};
use sandman_core::store::{StoreId, kafka_hash};

/// The store's metadata.
struct Meta {
    id: StoreId,
    shards: u16,
    half_moved: bool,
}

/// One that a move has left half-done is only opened for the move.
pub(super) fn open(options: &PgOptions, to_move: bool) -> Result<PostgresStore, PgOpenError> {
    let target = Arc::new(target(options)?);
    let name = || target.name.clone();
    let mut session = Session::open(&target, &Arc::default()).map_err(|error| PgOpenError::Unreachable {
        name: name(),
        reason: words(&error),
    })?;
    check_encoding(&mut session, &target)?;
    make_schema(&mut session, &target)?;
    let meta = session
        .transact(None, |session| migrate(session, options))
        .map_err(|fault| match fault {
            PgFault::Conflict { detail, .. } => PgOpenError::Newer {
                name: name(),
                found: detail.parse().unwrap_or_default(),
                known: schema::VERSION,
            },
            fault => PgOpenError::Failed {
                name: name(),
                reason: fault.named(&options.schema).to_string(),
            },
        })?;
    if meta.half_moved && !to_move {
        return Err(PgOpenError::HalfMoved { name: name() });
    }
    let readers = (0..READERS).map(|_| Mutex::new(Link::new(&target)));
    let failed = Arc::default();
    let writer = Link::new(&target);
    Ok(PostgresStore {
        round_trips: writer.round_trips(),
        doubt: writer.doubt(),
        id: meta.id,
        shards: meta.shards,
        lock_class: lock_class(&options.schema),
        writer: Mutex::new(writer),
        places: Mutex::default(),
        readers: readers.collect(),
        handlers: RwLock::new(HashMap::new()),
        fleet: Fleet::new(&target, &failed),
        failed,
        target,
    })
}

/// Advisory locks belong to the database: those of two schemas must differ.
fn lock_class(schema: &str) -> i32 {
    i32::try_from(kafka_hash(schema.as_bytes())).unwrap_or(i32::MAX)
}

fn check_encoding(session: &mut Session, target: &ConnectTarget) -> Result<(), PgOpenError> {
    let failed = |error: ::postgres::Error| PgOpenError::Failed {
        name: target.name.clone(),
        reason: words(&error),
    };
    let rows = session
        .query("SELECT current_setting('server_encoding')", &[])
        .map_err(failed)?;
    let encoding = rows.first().map(|row| row.try_get(0)).transpose();
    let encoding: String = encoding.map_err(failed)?.unwrap_or_default();
    match encoding == "UTF8" {
        true => Ok(()),
        false => Err(PgOpenError::Encoding {
            name: target.name.clone(),
            encoding,
        }),
    }
}

/// Creates the schema if it is missing; if it exists, no permission to create one is needed.
fn make_schema(session: &mut Session, target: &ConnectTarget) -> Result<(), PgOpenError> {
    let schema = &target.schema;
    let failed = |error: ::postgres::Error| PgOpenError::Schema {
        name: target.name.clone(),
        schema: schema.clone(),
        reason: words(&error),
    };
    let found = session
        .query("SELECT 1 FROM pg_namespace WHERE nspname = $1", &[schema])
        .map_err(failed)?;
    match found.is_empty() {
        false => Ok(()),
        true => match session.batch(&format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\"")) {
            // Another host has created it at the same moment, which the server finds out only at the end.
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(()),
            made => made.map_err(failed),
        },
    }
}

/// The initial rows of a store.
fn first_rows(session: &mut Session, shards: u16) -> Result<(), PgFault> {
    let shards = i32::from(shards);
    let id = Uuid::new_v4().to_string();
    session.execute(
        "INSERT INTO meta VALUES (true, $1, $2, $3)",
        &[&id, &schema::VERSION, &shards],
    )?;
    session.execute(
        "INSERT INTO shards (shard) SELECT generate_series(0, $1 - 1)",
        &[&shards],
    )?;
    session.execute(
        "INSERT INTO relays (shard) SELECT generate_series(0, $1 - 1)",
        &[&shards],
    )?;
    Ok(())
}

/// Migrates the tables, one host at a time, and reads the store's metadata.
fn migrate(session: &mut Session, options: &PgOptions) -> Result<Meta, PgFault> {
    // The lock lasts as long as the transaction: the second host finds the migration done.
    session.query("SELECT pg_advisory_xact_lock($1, -1)", &[&lock_class(&options.schema)])?;
    let schema: Option<String> = session.one("SELECT current_schema()::text", &[])?.try_get(0)?;
    if schema.as_ref() != Some(&options.schema) {
        // Tables must not be created in whatever schema comes first there.
        let reason = "the server forgets which schema this host uses; behind a pooler in transaction mode add \
             pooler=transaction to store.url";
        return Err(PgFault::Away(reason.to_owned()));
    }
    let there: bool = session.one("SELECT to_regclass('meta') IS NOT NULL", &[])?.try_get(0)?;
    let version = match there {
        true => session.one("SELECT version FROM meta", &[])?.try_get(0)?,
        false => 0,
    };
    if version > schema::VERSION {
        return Err(PgFault::Conflict {
            what: "version",
            detail: version.to_string(),
        });
    }
    for (from, step) in (0..).zip(schema::STEPS) {
        if from >= version {
            session.batch(step)?;
        }
    }
    if version == 0 {
        first_rows(session, options.shards)?;
    } else if version < schema::VERSION {
        session.execute("UPDATE meta SET version = $1", &[&schema::VERSION])?;
    }
    let row = session.one("SELECT store, shards FROM meta", &[])?;
    let (id, shards): (String, i32) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Meta {
        id: StoreId(id.into()),
        half_moved: is_half_moved(session)?,
        shards: u16::try_from(shards).map_err(|_| PgFault::Damaged(format!("it has {shards} shards")))?,
    })
}
