//! The versions of the handlers, in transactions separate from the commits.

use std::str::FromStr;
use std::sync::Arc;

use ::postgres::Row;
use sha2::{Digest, Sha256};

use super::fault::{PgFault, from_sql, storable, to_sql};
use super::session::Session;
use super::{PostgresStore, schema};
use sandman_core::store::{Action, Activation, Active, KeptVersion, NewVersion, Outcome, StoreError, VersionStore};

/// Entries of a handler's history that are kept.
const HISTORY: i64 = 1_000;

impl VersionStore for PostgresStore {
    fn versions(&self, handler: &str) -> Result<Vec<KeptVersion>, StoreError> {
        let Some(handler) = self.known_handler(handler)? else {
            return Ok(Vec::new());
        };
        self.read(|session| {
            let rows = session.query(schema::VERSIONS_OF, &[&handler])?;
            let one = |row: &Row| {
                let digest: &str = row.try_get(1)?;
                let replaced: Option<i64> = row.try_get(4)?;
                Ok(KeptVersion {
                    number: from_sql(row.try_get(0)?),
                    digest: digest.into(),
                    bytes: from_sql(row.try_get(2)?),
                    stored_millis: row.try_get(3)?,
                    replaced: replaced.map(from_sql),
                })
            };
            rows.iter().map(one).collect()
        })
    }

    fn active(&self, handler: &str) -> Result<Option<Active>, StoreError> {
        let Some(handler) = self.known_handler(handler)? else {
            return Ok(None);
        };
        self.read(|session| active(session, handler))
    }

    fn component(&self, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|session| {
            let rows = session.query(schema::COMPONENT, &[&digest])?;
            let found: Option<Vec<u8>> = rows.first().map(|row| row.try_get(0)).transpose()?;
            match &found {
                Some(bytes) if format!("{:x}", Sha256::digest(bytes)) != digest => Err(PgFault::Damaged(format!(
                    "the bytes of the component {digest} have changed; restore the database from a backup"
                ))),
                _ => Ok(found),
            }
        })
    }

    fn keep(&self, version: &NewVersion<'_>, now_millis: i64) -> Result<(), StoreError> {
        let NewVersion {
            handler: name,
            number,
            digest,
            component,
        } = *version;
        let handler = self.handler(name)?;
        let size = i64::try_from(component.len()).unwrap_or(i64::MAX);
        self.write(|session| {
            session.execute(schema::ADD_COMPONENT, &[&digest, &component])?;
            let row = session.execute(
                schema::ADD_VERSION,
                &[&handler, &to_sql(number), &digest, &size, &now_millis],
            )?;
            match row {
                0 => Err(PgFault::Conflict {
                    what: "version",
                    detail: format!("handler {name}, version {number} is another component"),
                }),
                _ => Ok(()),
            }
        })
    }

    fn activate(&self, name: &Arc<str>, activation: &Activation, keep: usize) -> Result<Vec<String>, StoreError> {
        let handler = self.handler(name)?;
        let number = to_sql(activation.number.unwrap_or_default());
        self.write(|session| {
            let before = active(session, handler)?;
            if session.execute(schema::SET_ACTIVE, &[&handler, &number, &activation.at_millis])? == 0 {
                return Err(PgFault::Conflict {
                    what: "version",
                    detail: format!("handler {name}, version {number} is not kept"),
                });
            }
            let deploys = activation.action == Action::Deploy && activation.outcome == Outcome::Active;
            if let Some(before) = before
                .map(|before| to_sql(before.number))
                .filter(|before| deploys && *before != number)
            {
                session.execute(schema::SET_REPLACED, &[&handler, &number, &before])?;
            }
            add_activation(session, handler, activation)?;
            session.execute(schema::DROP_VERSIONS, &[&handler, &to_sql(keep as u64)])?;
            let dropped = session.query(schema::DROP_COMPONENTS, &[])?;
            dropped.iter().map(|row| Ok(row.try_get(0)?)).collect()
        })
    }

    fn note(&self, handler: &Arc<str>, activation: &Activation) -> Result<(), StoreError> {
        let handler = self.handler(handler)?;
        self.write(|session| add_activation(session, handler, activation))
    }

    fn history(&self, handler: &str, most: usize) -> Result<Vec<Activation>, StoreError> {
        let Some(handler) = self.known_handler(handler)? else {
            return Ok(Vec::new());
        };
        self.read(|session| {
            let rows = session.query(schema::ACTIVATIONS, &[&handler, &to_sql(most as u64)])?;
            let one = |row: &Row| {
                let number: Option<i64> = row.try_get(0)?;
                let digest: Option<&str> = row.try_get(1)?;
                Ok(Activation {
                    number: number.map(from_sql),
                    digest: digest.map(Arc::from),
                    at_millis: row.try_get(2)?,
                    by: row.try_get(3)?,
                    action: word(row, 4)?,
                    outcome: word(row, 5)?,
                    detail: row.try_get(6)?,
                })
            };
            rows.iter().map(one).collect()
        })
    }
}

fn active(session: &mut Session, handler: i32) -> Result<Option<Active>, PgFault> {
    let rows = session.query(schema::ACTIVE, &[&handler])?;
    let active = rows.first().map(|row| {
        Ok(Active {
            number: from_sql(row.try_get(0)?),
            since_millis: row.try_get(1)?,
        })
    });
    active.transpose()
}

fn add_activation(session: &mut Session, handler: i32, activation: &Activation) -> Result<(), PgFault> {
    let Activation {
        number,
        digest,
        at_millis,
        by,
        action,
        outcome,
        detail,
    } = activation;
    let (number, digest) = (number.map(to_sql), digest.as_deref());
    let (action, outcome) = (action.word(), outcome.word());
    let (by, detail) = (storable(by), storable(detail));
    session.execute(
        schema::ADD_ACTIVATION,
        &[&handler, &number, &digest, at_millis, &by, &action, &outcome, &detail],
    )?;
    session.execute(schema::DROP_ACTIVATIONS, &[&handler, &HISTORY])?;
    Ok(())
}

fn word<T: FromStr<Err: std::fmt::Display>>(row: &Row, at: usize) -> Result<T, PgFault> {
    let text: &str = row.try_get(at)?;
    text.parse()
        .map_err(|error: T::Err| PgFault::Damaged(format!("a history: {error}")))
}
