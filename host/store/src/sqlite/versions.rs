//! The versions of the handlers, in transactions separate from the commits.

use std::str::FromStr;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use super::fault::{SqliteFault, from_sql, to_sql};
use super::{SqliteStore, schema};
use sandman_core::store::{Action, Activation, Active, KeptVersion, NewVersion, Outcome, StoreError, VersionStore};

/// Entries of a handler's history that are kept.
const HISTORY: i64 = 1_000;

impl VersionStore for SqliteStore {
    fn versions(&self, handler: &str) -> Result<Vec<KeptVersion>, StoreError> {
        let Some(handler) = self.handlers.id(handler) else {
            return self.usable().map(|()| Vec::new());
        };
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::VERSIONS_OF)?;
            let rows = query.query_map(params![handler], |row| {
                Ok(KeptVersion {
                    number: from_sql(row.get(0)?),
                    digest: row.get_ref(1)?.as_str()?.into(),
                    bytes: from_sql(row.get(2)?),
                    stored_millis: row.get(3)?,
                    replaced: row.get::<_, Option<i64>>(4)?.map(from_sql),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn active(&self, handler: &str) -> Result<Option<Active>, StoreError> {
        let Some(handler) = self.handlers.id(handler) else {
            return self.usable().map(|()| None);
        };
        self.read(|connection| Ok(active(connection, handler)?))
    }

    fn component(&self, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::COMPONENT)?;
            let found: Option<Vec<u8>> = query.query_row(params![digest], |row| row.get(0)).optional()?;
            // SQLite's pages have no checksum: a component that the disk has corrupted would run as the deployed version.
            if let Some(bytes) = &found
                && format!("{:x}", Sha256::digest(bytes)) != digest
            {
                return Err(SqliteFault::Damaged(format!(
                    "the bytes of the component {digest} have changed; restore the file from a backup"
                )));
            }
            Ok(found)
        })
    }

    fn keep(&self, version: &NewVersion<'_>, now_millis: i64) -> Result<(), StoreError> {
        let NewVersion {
            handler,
            number,
            digest,
            component,
        } = *version;
        self.write(|writer| {
            writer.aside(&self.handlers, |connection, ids| {
                let id = ids.id(handler)?;
                connection.execute(schema::ADD_COMPONENT, params![digest, component])?;
                let size = i64::try_from(component.len()).unwrap_or(i64::MAX);
                let row = params![id, to_sql(number), digest, size, now_millis];
                if connection.execute(schema::ADD_VERSION, row)? == 0 {
                    return Err(SqliteFault::Conflict {
                        what: "version",
                        detail: format!("handler {handler}, version {number} is another component"),
                    });
                }
                Ok(())
            })
        })
    }

    fn activate(&self, handler: &Arc<str>, activation: &Activation, keep: usize) -> Result<Vec<String>, StoreError> {
        let number = activation.number.unwrap_or_default();
        self.write(|writer| {
            writer.aside(&self.handlers, |connection, ids| {
                let id = ids.id(handler)?;
                let before = active(connection, id)?;
                let row = params![id, to_sql(number), activation.at_millis];
                if connection.execute(schema::SET_ACTIVE, row)? == 0 {
                    return Err(SqliteFault::Conflict {
                        what: "version",
                        detail: format!("handler {handler}, version {number} is not kept"),
                    });
                }
                if let Some(before) = before.filter(|before| deploys(activation) && before.number != number) {
                    let replaced = params![id, to_sql(number), to_sql(before.number)];
                    connection.execute(schema::SET_REPLACED, replaced)?;
                }
                add_activation(connection, id, activation)?;
                let keep = i64::try_from(keep).unwrap_or(i64::MAX);
                connection.execute(schema::DROP_VERSIONS, params![id, keep])?;
                let mut drop = connection.prepare_cached(schema::DROP_COMPONENTS)?;
                let dropped = drop.query_map([], |row| row.get(0))?;
                Ok(dropped.collect::<Result<_, _>>()?)
            })
        })
    }

    fn note(&self, handler: &Arc<str>, activation: &Activation) -> Result<(), StoreError> {
        self.write(|writer| {
            writer.aside(&self.handlers, |connection, ids| {
                let id = ids.id(handler)?;
                add_activation(connection, id, activation)
            })
        })
    }

    fn history(&self, handler: &str, most: usize) -> Result<Vec<Activation>, StoreError> {
        let Some(handler) = self.handlers.id(handler) else {
            return self.usable().map(|()| Vec::new());
        };
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::ACTIVATIONS)?;
            let mut rows = query.query(params![handler, most])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                all.push(Activation {
                    number: row.get::<_, Option<i64>>(0)?.map(from_sql),
                    digest: row.get::<_, Option<String>>(1)?.map(Arc::from),
                    at_millis: row.get(2)?,
                    by: row.get(3)?,
                    action: word(row, 4)?,
                    outcome: word(row, 5)?,
                    detail: row.get(6)?,
                });
            }
            Ok(all)
        })
    }
}

/// Whether an entry of the history made a deployed component active.
fn deploys(activation: &Activation) -> bool {
    activation.action == Action::Deploy && activation.outcome == Outcome::Active
}

fn active(connection: &Connection, handler: i64) -> rusqlite::Result<Option<Active>> {
    let mut query = connection.prepare_cached(schema::ACTIVE)?;
    let found = query.query_row(params![handler], |row| {
        Ok(Active {
            number: from_sql(row.get(0)?),
            since_millis: row.get(1)?,
        })
    });
    found.optional()
}

fn add_activation(connection: &Connection, handler: i64, activation: &Activation) -> Result<(), SqliteFault> {
    let Activation {
        number,
        digest,
        at_millis,
        by,
        action,
        outcome,
        detail,
    } = activation;
    let (number, action, outcome) = (number.map(to_sql), action.word(), outcome.word());
    let row = params![
        handler,
        number,
        digest.as_deref(),
        at_millis,
        by,
        action,
        outcome,
        detail
    ];
    connection.execute(schema::ADD_ACTIVATION, row)?;
    connection.execute(schema::DROP_ACTIVATIONS, params![handler, HISTORY])?;
    Ok(())
}

fn word<T: FromStr<Err: std::fmt::Display>>(row: &Row<'_>, at: usize) -> Result<T, SqliteFault> {
    let text: String = row.get(at)?;
    text.parse()
        .map_err(|error: T::Err| SqliteFault::Damaged(format!("a history: {error}")))
}
