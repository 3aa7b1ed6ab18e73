//! The store on SQLite: one host, one file. The only crate that names a database.

mod sqlite;

#[doc(hidden)]
pub use sqlite::fuzzing;
pub use sqlite::{OpenError, SqliteStore};
