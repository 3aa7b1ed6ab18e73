//! The suite on SQLite.

use std::sync::Arc;

use sandman_core::store::{DeploymentStore, FileStore, VersionStore};
use sandman_store::SqliteStore;

use crate::suite::{self, Backend};

/// A SQLite file. One process has it at a time: its hosts are one.
struct Sqlite {
    folder: tempfile::TempDir,
    store: Option<Arc<SqliteStore>>,
}

impl Sqlite {
    fn new() -> Self {
        let mut made = Self {
            folder: tempfile::TempDir::new().unwrap(),
            store: None,
        };
        made.restart();
        made
    }
}

impl Backend for Sqlite {
    fn host(&self) -> Arc<dyn DeploymentStore> {
        Arc::clone(self.store.as_ref().unwrap()) as _
    }

    fn versions(&self) -> Arc<dyn VersionStore> {
        Arc::clone(self.store.as_ref().unwrap()) as _
    }

    fn files(&self) -> Arc<dyn FileStore> {
        Arc::clone(self.store.as_ref().unwrap()) as _
    }

    fn restart(&mut self) {
        self.store = None;
        let path = self.folder.path().join("sandman.db");
        self.store = Some(Arc::new(SqliteStore::open(&path).unwrap()));
    }
}

suite::conformance!(sqlite, Sqlite::new());
