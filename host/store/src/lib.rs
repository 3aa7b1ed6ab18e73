//! The stores: SQLite for one host in one file, PostgreSQL for a fleet. The only crate that uses a database.

mod batch;
mod moving;
mod numbers;
mod postgres;
mod rings;
mod sqlite;
mod transfer;

pub use moving::{MoveError, MoveProgress, Moved};
pub use postgres::{JoinError, PgOpenError, PgOptions, PostgresStore};
#[doc(hidden)]
pub use sqlite::fuzzing;
pub use sqlite::{OpenError, SqliteStore};
pub use transfer::{move_to_postgres, move_to_sqlite};
