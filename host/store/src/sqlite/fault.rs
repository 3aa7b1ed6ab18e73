//! Classifies SQLite's errors for a commit, in one place.

use rusqlite::ErrorCode;

use sandman_core::store::{CommitConflict, StoreError};

/// An error of the store without the store's name.
#[derive(Debug)]
pub(super) enum SqliteFault {
    /// SQLite refused a statement; the transaction was or will be rolled back.
    Sql(rusqlite::Error),
    /// SQLite reported an error while it made a transaction durable: the state on disk is not known.
    Unknown(rusqlite::Error),
    /// The data that was read is invalid.
    Damaged(String),
    /// Data on which a commit depends has changed; this is an outcome and not an error.
    Overtaken(CommitConflict),
    /// Another process has written.
    Conflict { what: &'static str, detail: String },
    /// The caller asked for something that the store cannot do; nothing was changed.
    Refused(String),
}

impl From<rusqlite::Error> for SqliteFault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl SqliteFault {
    /// The error of [`Store`](sandman_core::store::Store) for the store of that name.
    pub(super) fn named(self, name: &str) -> StoreError {
        match self {
            Self::Sql(error) if passes(&error) => StoreError::Unavailable(format!("{name}: {}", hint(&error))),
            Self::Sql(error) => StoreError::Failed(format!("{name}: {}", hint(&error))),
            Self::Unknown(error) => StoreError::Failed(format!(
                "{name}: whether the last commit is durable is not known: {}",
                hint(&error)
            )),
            Self::Damaged(detail) => StoreError::Failed(format!("{name} is damaged: {detail}")),
            Self::Overtaken(conflict) => StoreError::Conflict {
                what: "state",
                detail: format!("{} states", conflict.states.len()),
            },
            Self::Conflict { what, detail } => StoreError::Conflict { what, detail },
            Self::Refused(detail) => StoreError::Failed(format!("{name}: {detail}")),
        }
    }
}

/// Whether the error may pass: no space, or another program (a backup) locks the file for a moment.
pub(super) fn passes(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory
                | ErrorCode::OperationInterrupted
        )
    )
}

/// Whether a failed COMMIT certainly had no effect. SQLite reports a full disk before the frame that would make the
/// commit valid is complete, and a busy file before the first; everything else may come after it.
pub(super) fn undone(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy)
    )
}

/// SQLite's message, and what to do if that is known.
fn hint(error: &rusqlite::Error) -> String {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "; free space on its disk, then the host continues by itself",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "; another program holds the file, end it (for a backup: `sqlite3 FILE \"VACUUM INTO 'COPY'\"`)"
        }
        Some(ErrorCode::SystemIoFailure) => "; check the disk, then restart",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "; restore the file from a backup",
        Some(ErrorCode::ReadOnly) => "; give the user that runs sandman the right to write it, then restart",
        _ => "",
    };
    format!("{error}{advice}")
}

/// SQLite's integers are signed; counters stay far below the limit.
pub(super) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A counter as it was stored; a negative one was never stored.
pub(super) fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
