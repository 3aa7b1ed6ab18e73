//! The store of a host that is stopped, as somebody finds and changes it who should not.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use rusqlite::{Connection, params};

use crate::Result;

/// A handler's progress as the rows of the store: topic, partition, what is done.
pub type ProgressRows = Vec<(String, i32, Vec<u8>)>;

/// The file of a store whose host is stopped.
pub struct StoreFile {
    path: PathBuf,
}

impl StoreFile {
    /// The file at that path.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Whether a host has made it.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    fn open(&self) -> Result<Connection> {
        ensure!(self.path.exists(), "there is no store {}", self.path.display());
        Connection::open(&self.path).with_context(|| format!("{} cannot be opened", self.path.display()))
    }

    /// What is done, of all handlers.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn progress(&self) -> Result<ProgressRows> {
        let store = self.open()?;
        let mut rows =
            store.prepare("SELECT topic, partition, done FROM progress ORDER BY handler, topic, partition")?;
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Deletes what is known of the progress in a partition.
    ///
    /// # Errors
    /// If nothing was known of it, or the file cannot be written.
    pub fn forget_progress(&self, topic: &str, partition: i32) -> Result {
        let deleted = self.open()?.execute(
            "DELETE FROM progress WHERE topic = ?1 AND partition = ?2",
            params![topic, partition],
        )?;
        ensure!(deleted == 1, "{deleted} rows were the progress of {topic}[{partition}]");
        Ok(())
    }

    /// From now on the old document stays at one write in eleven of one state in seven. The host, who keeps states in memory,
    /// notices nothing until it reads one anew.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn keep_old_documents(&self) -> Result {
        Ok(self.open()?.execute_batch(
            "CREATE TRIGGER IF NOT EXISTS keep_document AFTER UPDATE OF document ON state
             WHEN new.id % 7 = 3 AND new.revision % 11 = 0
             BEGIN UPDATE state SET document = old.document WHERE id = new.id; END",
        )?)
    }

    /// Turns the last byte of every component over, as a disk may; the digests that they go by stay.
    ///
    /// # Errors
    /// If there is none, or the file cannot be written.
    pub fn spoil_components(&self) -> Result {
        let store = self.open()?;
        let mut all = store.prepare("SELECT digest, bytes FROM components")?;
        let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let components: Vec<(String, Vec<u8>)> = rows.collect::<Result<_, _>>()?;
        ensure!(!components.is_empty(), "there is no component");
        for (digest, mut bytes) in components {
            let last = bytes.last_mut().context("an empty component")?;
            *last = !*last;
            store.execute(
                "UPDATE components SET bytes = ?2 WHERE digest = ?1",
                params![digest, bytes],
            )?;
        }
        Ok(())
    }

    /// The states of a handler as lines for `sandman import`.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn states(&self, handler: &str) -> Result<String> {
        let store = self.open()?;
        let mut rows = store.prepare(
            "SELECT json_object('key', key, 'state', json(document)) FROM state \
             JOIN handler ON handler.id = state.handler WHERE name = ?1 AND state.id > 0 ORDER BY key",
        )?;
        let lines: Vec<String> = rows.query_map([handler], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(lines.join("\n"))
    }
}
