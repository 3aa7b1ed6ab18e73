//! Classifies PostgreSQL's errors, in one place.

use ::postgres::error::SqlState;

use sandman_core::store::{CommitConflict, StoreError};

/// An error without the store's name.
#[derive(Debug)]
pub(super) enum PgFault {
    /// A statement failed, or the connection did; nothing was committed.
    Sql(::postgres::Error),
    /// The server cannot be reached, or the pause after a failed attempt lasts.
    Away(String),
    /// The connection was lost while the transaction of this number was being committed.
    Unknown(i64),
    /// The server knows of fewer commits than it has acknowledged.
    Lost,
    /// The data that was read is invalid.
    Damaged(String),
    /// Data on which a commit depends has changed; this is an outcome and not an error.
    Overtaken(CommitConflict),
    /// Another host has taken this one's name.
    Replaced,
    /// The work was given up for a reason that its caller has: the transaction is to be rolled back.
    GivenUp,
    /// Another process has written.
    Conflict { what: &'static str, detail: String },
}

impl From<::postgres::Error> for PgFault {
    fn from(error: ::postgres::Error) -> Self {
        Self::Sql(error)
    }
}

impl PgFault {
    /// The error of [`Store`](sandman_core::store::Store) for the store of that name.
    pub(super) fn named(self, name: &str) -> StoreError {
        match self {
            Self::Sql(error) if is_lasting(&error) => StoreError::Failed(format!("{name}: {}", words(&error))),
            Self::Sql(error) => StoreError::Unavailable(format!("{name}: {}", words(&error))),
            Self::Away(reason) => StoreError::Unavailable(format!("{name}: {reason}")),
            Self::Unknown(number) => StoreError::Failed(format!(
                "{name}: whether transaction {number} of this host was committed cannot be found out"
            )),
            Self::Lost => StoreError::Failed(format!(
                "{name} has lost commits that it had acknowledged: a replica without them was promoted, or a backup restored; start \
                 the host again, which compares the store with what was published"
            )),
            Self::Damaged(detail) => StoreError::Failed(format!("{name} is damaged: {detail}")),
            Self::Overtaken(conflict) => StoreError::Conflict {
                what: "state",
                detail: format!("{} states", conflict.states.len()),
            },
            Self::Replaced => StoreError::Failed(format!("{name}: another host has this one's name")),
            Self::GivenUp => StoreError::Unavailable(format!("{name}: the transaction was given up")),
            Self::Conflict { what, detail } => StoreError::Conflict { what, detail },
        }
    }

    /// Whether the connection cannot be used any more: it broke, or the server has closed it.
    pub(super) fn ends_session(&self) -> bool {
        match self {
            Self::Sql(error) => match error.code() {
                // Not an error of the server: it does not answer, or not in its protocol.
                None => true,
                // The server shuts down, connections are cut, a transaction was idle for too long, or the server became
                // a replica.
                Some(code) => {
                    let code = code.code();
                    ["57P", "08"].iter().any(|class| code.starts_with(class))
                        || ["25P03", "25P04", "25006"].contains(&code)
                }
            },
            Self::Unknown(_) => true,
            _ => false,
        }
    }

    /// Whether a lock was not obtained in time.
    pub(super) fn is_lock_timeout(&self) -> bool {
        matches!(self, Self::Sql(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE))
    }

    /// Whether the server accepts no writes, such as a replica until it is promoted.
    pub(super) fn is_read_only(&self) -> bool {
        matches!(self, Self::Sql(error) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION))
    }

    /// Whether the same transaction may succeed at once: there was a deadlock, or two transactions added the same row.
    pub(super) fn is_collision(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        matches!(
            error.code(),
            Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::UNIQUE_VIOLATION)
        )
    }
}

/// Whether waiting does not help: the tables are wrong, or a permission is missing. Everything else passes: the server
/// is unreachable, full, shutting down, or a replica until it is promoted.
fn is_lasting(error: &::postgres::Error) -> bool {
    let Some(code) = error.code() else { return false };
    if *code == SqlState::UNIQUE_VIOLATION {
        // Another host has added the row: the next attempt may write something else.
        return false;
    }
    // Classes: data exceptions, integrity, syntax and missing permissions or tables, and damage.
    ["22", "23", "42", "XX"]
        .iter()
        .any(|class| code.code().starts_with(class))
}

/// Whether the error proves that the transaction was not committed.
pub(super) fn is_undone(error: &::postgres::Error) -> bool {
    let Some(code) = error.code() else { return false };
    // Connections that the server closes may have been committing.
    !["57", "08", "58", "XX"]
        .iter()
        .any(|class| code.code().starts_with(class))
}

/// The server's message, with its code.
pub(super) fn words(error: &::postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => {
            let code = said.code().code();
            // Missing statements, tables and schemas: another session has prepared the statement or set the schema.
            let hint = match ["26000", "42P05", "42P01", "3F000"].contains(&code) {
                true => "; behind a pooler in transaction mode add pooler=transaction to store.url",
                false => "",
            };
            format!("{} ({code}){hint}", said.message())
        }
        None => {
            let cause = std::error::Error::source(error);
            cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
        }
    }
}

/// PostgreSQL's integers are signed; counters stay far below the limit.
pub(super) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A counter as it was stored; a negative one was never stored.
pub(super) fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Text for people, without the one character that PostgreSQL cannot store; the length stays the same.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', " ")
}
