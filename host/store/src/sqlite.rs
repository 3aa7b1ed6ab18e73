//! The embedded store: one SQLite file, one writer, a few readers that never wait for a commit.
//!
//! [`open`](SqliteStore::open) locks the file for the life of the process. A commit is one transaction in WAL mode with
//! `synchronous=FULL`: when it returns, it is on the disk. After a failure that leaves open whether a commit is
//! durable, the store refuses all further work, because memory and disk may disagree until the file is reopened.

mod changes;
#[doc(hidden)]
pub mod fuzzing;
mod fault;
mod files;
mod ledger;
mod moving;
mod letters;
mod open;
mod open_error;
mod place;
mod readers;
mod recordings;
mod schema;
mod states;
mod versions;
mod writer;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};

use crate::batch;
use fault::{SqliteFault, from_sql, to_sql};
use ledger::Handlers;
use place::Lock;
use readers::Readers;
use sandman_core::event::{TopicId, TopicPartition};
use sandman_core::faults;
use sandman_core::progress::Progress;
use sandman_core::recent::RecentEvents;
use sandman_core::store::{
    ANSWER_MILLIS, Answered, Assigned, Attempts, BatchNo, Commit, CommitResult, Epoch, HostEntry, HostStore,
    LettersSize, OutboxBatch, OutboxSize, Shard, ShardLease, Store, StoreError, StoreId, StoreStatistics, Stored,
};
use writer::Writer;

pub use open_error::OpenError;

/// The embedded store. One process at a time; threads share it freely.
#[derive(Debug)]
pub struct SqliteStore {
    id: StoreId,
    /// How errors name the store: its path.
    name: String,
    handlers: Handlers,
    /// Kept outside of the writer, so that reading it never waits for a commit.
    size: Mutex<OutboxSize>,
    /// The dead letters, likewise.
    letters: Mutex<LettersSize>,
    /// The report of the only host about itself.
    host: Mutex<Option<(Arc<str>, String)>>,
    /// Why the store refuses all work, after a commit with an unknown result.
    failed: OnceLock<String>,
    // The last three are dropped in this order: the writer closes after the readers and writes the log into the file,
    // and only then may another host take the lock.
    readers: Option<Readers>,
    writer: Mutex<Writer>,
    _lock: Option<Lock>,
}

impl SqliteStore {
    /// Opens the store at `path`; creates the file, and its folder (mode 0700), if they are missing.
    ///
    /// # Errors
    /// [`OpenError`], which names the path and says what to do: the file is in use by another host, damaged, written by
    /// a newer Sandman, not a Sandman store, or cannot be written.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        open::file(path, false)
    }

    /// The same as the target of a move, which may have been begun before.
    ///
    /// # Errors
    /// As for [`SqliteStore::open`].
    pub fn open_target(path: &Path) -> Result<Self, OpenError> {
        open::file(path, true)
    }

    /// A store in memory, which is lost when it is dropped. Its reads wait for its commits.
    ///
    /// # Errors
    /// [`OpenError`] if SQLite has no memory for it.
    pub fn in_memory() -> Result<Self, OpenError> {
        open::in_memory()
    }

    /// Runs a query on the last commit.
    fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, SqliteFault>) -> Result<T, StoreError> {
        self.usable()?;
        let result = match &self.readers {
            Some(readers) => readers.with(query),
            None => query(self.writer.lock().connection()),
        };
        result.map_err(|fault| fault.named(&self.name))
    }

    /// Runs one transaction, and updates the copy in memory if it was committed.
    fn write<T>(&self, work: impl FnOnce(&mut Writer) -> Result<T, SqliteFault>) -> Result<T, StoreError> {
        let mut writer = self.writer.lock();
        self.usable()?;
        let result = work(&mut writer).map_err(|fault| fault.named(&self.name));
        if let Err(StoreError::Failed(why)) = &result {
            // Another thread cannot have failed before us: it would have held the writer.
            let _ = self.failed.set(why.clone());
            writer.leave_log();
        }
        *self.size.lock() = writer.size();
        *self.letters.lock() = writer.letters();
        result
    }

    fn usable(&self) -> Result<(), StoreError> {
        match self.failed.get() {
            None => Ok(()),
            Some(why) => Err(StoreError::Failed(why.clone())),
        }
    }
}

impl HostStore for SqliteStore {
    fn hosts(&self) -> Result<Vec<HostEntry>, StoreError> {
        let host = self.host.lock().clone();
        let entry = |(name, report)| HostEntry {
            name,
            silent_millis: 0,
            live: true,
            own: true,
            shards: vec![Shard::default()],
            report,
        };
        Ok(host.map(entry).into_iter().collect())
    }

    fn tell(&self, name: &str, report: String) {
        *self.host.lock() = Some((name.into(), report));
    }

    fn statistics(&self) -> StoreStatistics {
        StoreStatistics::default()
    }
}

impl Store for SqliteStore {
    fn id(&self) -> &StoreId {
        &self.id
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn shards(&self) -> u16 {
        1
    }

    fn leases(&self) -> Vec<ShardLease> {
        vec![ShardLease::default()]
    }

    fn state(&self, handler: &str, key: &str) -> Result<Option<Stored>, StoreError> {
        let Some(handler) = self.handlers.id(handler) else {
            return self.usable().map(|()| None);
        };
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::STATE)?;
            let found = query.query_row(params![handler, key], |row| {
                let revision = states::revision(row.get(0)?, row.get(1)?);
                let document = row.get_ref(2)?.as_str()?;
                Ok(Stored {
                    revision,
                    document: states::has_document(revision).then(|| document.into()),
                    recent: RecentEvents::from_bytes(row.get_ref(3)?.as_blob_or_null()?.unwrap_or_default()),
                    since_millis: 0,
                    held: None,
                })
            });
            Ok(found.optional()?)
        })
    }

    fn assign(&self, handler: &Arc<str>, partitions: &[TopicPartition]) -> Result<Vec<Assigned>, StoreError> {
        let id = match self.handlers.id(handler) {
            Some(id) => id,
            // Its name has no id yet.
            None => self.write(|writer| writer.aside(&self.handlers, |_, handlers| handlers.id(handler)))?,
        };
        // The epochs come first, so that nobody can change the data that is read afterwards under an older one.
        let mut writer = self.writer.lock();
        let begun = partitions.iter().map(|partition| writer.epochs().begin(id, partition));
        let epochs: Vec<Epoch> = begun.collect();
        drop(writer);
        self.read(|connection| {
            let found = partitions.iter().zip(epochs);
            let found = found.map(|(partition, epoch)| assigned(connection, (id, partition), epoch));
            found.collect()
        })
    }

    fn progress(&self, handler: &str) -> Result<Vec<(TopicPartition, Progress)>, StoreError> {
        let Some(handler) = self.handlers.id(handler) else {
            return self.usable().map(|()| Vec::new());
        };
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::PROGRESS)?;
            let mut rows = query.query(params![handler])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                let topic = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?.into();
                let partition = TopicPartition {
                    topic,
                    partition: row.get(1)?,
                };
                let progress = batch::decode_progress(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?)
                    .map_err(|detail| SqliteFault::Damaged(format!("the progress in {partition}: {detail}")))?;
                all.push((partition, progress));
            }
            Ok(all)
        })
    }

    fn topic_id(&self, handler: &str, topic: &str) -> Result<Option<TopicId>, StoreError> {
        let Some(handler) = self.handlers.id(handler) else {
            return self.usable().map(|()| None);
        };
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::TOPIC_ID)?;
            let found = query.query_row(params![handler, topic], |row| {
                Ok(TopicId(row.get_ref(0)?.as_str()?.into()))
            });
            Ok(found.optional()?)
        })
    }

    fn adopt_topic(&self, handler: &Arc<str>, topic: &str, id: &TopicId) -> Result<(), StoreError> {
        self.write(|writer| {
            writer.aside(&self.handlers, |connection, handlers| {
                let mut set = connection.prepare_cached(schema::SET_TOPIC_ID)?;
                set.execute(params![handlers.id(handler)?, topic, id.0])?;
                Ok(())
            })
        })
    }

    fn restart_topic(&self, handler: &Arc<str>, topic: &str, id: &TopicId) -> Result<(), StoreError> {
        self.write(|writer| {
            writer.aside(&self.handlers, |connection, handlers| {
                let handler = handlers.id(handler)?;
                connection.execute(schema::FORGET_TOPIC_PROGRESS, params![handler, topic])?;
                connection.execute(schema::FORGET_TOPIC_ATTEMPTS, params![handler, topic])?;
                connection.execute(schema::SET_TOPIC_ID, params![handler, topic, id.0])?;
                Ok(())
            })
        })
    }

    fn answered(&self, key: &str, idempotency_key: &str, now_millis: i64) -> Result<Option<Answered>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::ANSWER)?;
            let found = query.query_row(params![key, idempotency_key, now_millis - ANSWER_MILLIS], |row| {
                Ok(Answered {
                    digest: row.get(0)?,
                    status: row.get(1)?,
                    body: row.get(2)?,
                })
            });
            Ok(found.optional()?)
        })
    }

    fn commit(&self, commit: &Commit, now_millis: i64) -> Result<CommitResult, StoreError> {
        if faults::store_busy() {
            return Err(StoreError::Unavailable("the tests want it to be".to_owned()));
        }
        self.write(|writer| writer.commit(commit, now_millis, &self.handlers))
    }

    fn outbox(&self, _: Shard, after: BatchNo, max_bytes: u64) -> Result<Vec<OutboxBatch>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::OUTBOX)?;
            let mut rows = query.query(params![to_sql(after)])?;
            let mut batches: Vec<OutboxBatch> = Vec::new();
            let mut total = 0;
            while let Some(row) = rows.next()? {
                let (number, bytes) = (from_sql(row.get(0)?), from_sql(row.get(2)?));
                total += bytes;
                if total > max_bytes && !batches.is_empty() {
                    break;
                }
                let records = batch::decode(row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?)
                    .map_err(|detail| SqliteFault::Damaged(format!("the outbox batch {number}: {detail}")))?;
                batches.push(OutboxBatch {
                    number,
                    committed_millis: row.get(1)?,
                    records,
                    bytes,
                });
            }
            Ok(batches)
        })
    }

    fn outbox_size(&self, _: Shard) -> Result<OutboxSize, StoreError> {
        self.backlog()
    }

    fn backlog(&self) -> Result<OutboxSize, StoreError> {
        self.usable()?;
        Ok(*self.size.lock())
    }

    fn skip_numbers(&self) -> Result<(), StoreError> {
        self.write(Writer::skip_numbers)
    }

    fn skipped(&self, _: Shard, number: BatchNo) -> Result<Option<BatchNo>, StoreError> {
        self.write(|writer| writer.skipped(number))
    }

    fn forget_kafka(&self) -> Result<(), StoreError> {
        self.write(Writer::forget_kafka)
    }

    fn claimed(&self, _: Shard) -> Result<(), StoreError> {
        self.write(Writer::claimed)
    }

    /// Waiting batches keep their order; those that the cursor would seem to cover are renumbered above it, so that
    /// they are published and not dropped. Batches that are known to be in Kafka must have been removed by
    /// [`Commit::published`] before.
    fn adopt(&self, _: Shard, batch: BatchNo) -> Result<(), StoreError> {
        self.write(|writer| writer.adopt(batch))
    }
}

/// The stored data of a handler's partition.
fn assigned(
    connection: &Connection,
    (handler, partition): (i64, &TopicPartition),
    epoch: Epoch,
) -> Result<Assigned, SqliteFault> {
    let place = params![handler, partition.topic, partition.partition];
    let mut query = connection.prepare_cached(schema::PROGRESS_OF)?;
    let done: Option<Vec<u8>> = query.query_row(place, |row| row.get(0)).optional()?;
    let decoded = done.map(|done| batch::decode_progress(&done)).transpose();
    let progress = decoded.map_err(|detail| SqliteFault::Damaged(format!("the progress in {partition}: {detail}")))?;
    let mut query = connection.prepare_cached(schema::ATTEMPTS)?;
    let attempts = query.query_map(place, |row| {
        Ok(Attempts {
            offset: row.get(0)?,
            failed: row.get(1)?,
            due_millis: row.get(2)?,
        })
    })?;
    Ok(Assigned {
        epoch,
        progress,
        attempts: attempts.collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests;
