//! Why the store cannot be opened.

use thiserror::Error;

/// Why the store cannot be opened. Each error names the store and says what to do.
#[derive(Debug, Error)]
pub enum PgOpenError {
    /// The URL is not a valid URL of a server.
    #[error("[store] url is not a valid PostgreSQL URL: {0}")]
    Url(String),
    /// The URL's parameters about encryption cannot be met.
    #[error("{name}: {reason}")]
    Tls {
        /// The store.
        name: String,
        /// The problem.
        reason: String,
    },
    /// The server does not answer, or refuses the login.
    #[error("{name}: {reason}; check [store] url, PGPASSWORD or the file of PGPASSFILE, and that the server runs")]
    Unreachable {
        /// The store.
        name: String,
        /// The error.
        reason: String,
    },
    /// The database's encoding does not cover every text.
    #[error("{name}: the database has the encoding {encoding}; create one with ENCODING 'UTF8'")]
    Encoding {
        /// The store.
        name: String,
        /// The database's encoding.
        encoding: String,
    },
    /// The schema is missing and cannot be created.
    #[error(
        "{name}: schema \"{schema}\" does not exist and cannot be created: {reason}; run CREATE SCHEMA \"{schema}\" AUTHORIZATION its role"
    )]
    Schema {
        /// The store.
        name: String,
        /// The schema.
        schema: String,
        /// What the server said.
        reason: String,
    },
    /// A newer version has created the tables.
    #[error(
        "{name} was written by a newer Sandman: its tables have version {found}, this one knows up to {known}; run the newer version on every host"
    )]
    Newer {
        /// The store.
        name: String,
        /// Their version.
        found: i32,
        /// The newest version that this program reads.
        known: i32,
    },
    /// A move into it did not come to its end.
    #[error(
        "{name} holds only a part of a deployment, because a move to it was interrupted; run the same `sandman move` again, which continues"
    )]
    HalfMoved {
        /// The store.
        name: String,
    },
    /// Anything else.
    #[error("{name} cannot be opened: {reason}")]
    Failed {
        /// The store.
        name: String,
        /// The error.
        reason: String,
    },
}
