//! The stores: SQLite for one host in one file, PostgreSQL for a fleet. The only crate that names a database.

mod batch;
mod postgres;
mod rings;
mod sqlite;

pub use postgres::{JoinError, PgOpenError, PgOptions, PostgresStore};
#[doc(hidden)]
pub use sqlite::fuzzing;
pub use sqlite::{OpenError, SqliteStore};
