//! Recordings in the file: batches for each handler, limited in size.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::fault::{SqliteFault, from_sql, to_sql};
use super::ledger::NewHandlers;
use super::{SqliteStore, schema};
use crate::rings::{RingBatch, by_handler};
use sandman_core::store::{RecordingBatch, RecordingStore, RecordingWrite, RecordingsSize, StoreError};

/// The sizes of each handler's batches, kept in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Rings {
    /// The number of the next batch.
    next: i64,
    handlers: HashMap<i64, Ring>,
}

#[derive(Clone, Debug, Default)]
struct Ring {
    /// Number and bytes of each batch, the oldest first.
    batches: VecDeque<(i64, u64)>,
    bytes: u64,
}

/// The changes of one commit to the rings, which are applied in memory when it is durable.
#[derive(Debug, Default)]
pub(super) struct RingChanges {
    next: i64,
    added: Vec<(i64, i64, u64)>,
    /// The newest batch that is dropped, per handler.
    dropped: Vec<(i64, i64)>,
    sizes: Vec<RecordingsSize>,
}

impl Rings {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut rings = Self {
            next: 1,
            handlers: HashMap::new(),
        };
        let mut query = connection.prepare(schema::RECORDING_SIZES)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let (handler, number, bytes) = (row.get(0)?, row.get::<_, i64>(1)?, from_sql(row.get(2)?));
            rings.handlers.entry(handler).or_default().push(number, bytes);
            rings.next = rings.next.max(number + 1);
        }
        Ok(rings)
    }

    /// Writes the recordings of a commit, and drops the oldest batches of their handlers beyond what these may keep.
    pub(super) fn write(
        &self,
        connection: &Connection,
        writes: &[RecordingWrite],
        handlers: &mut NewHandlers<'_>,
        now: i64,
    ) -> Result<RingChanges, SqliteFault> {
        let mut changes = RingChanges {
            next: self.next,
            ..RingChanges::default()
        };
        for RingBatch {
            handler,
            lines,
            keep,
            left_out,
        } in by_handler(writes)
        {
            let id = handlers.id(handler)?;
            let number = changes.next;
            connection
                .prepare_cached(schema::ADD_RECORDINGS)?
                .execute(params![number, id, now, lines.as_bytes()])?;
            changes.next += 1;
            let bytes = lines.len() as u64;
            changes.added.push((id, number, bytes));
            let ring = self.handlers.get(&id);
            let mut gone = 0;
            if let Some((last, beyond)) = ring.and_then(|ring| ring.last_beyond(keep.saturating_sub(bytes))) {
                connection
                    .prepare_cached(schema::DROP_RECORDINGS)?
                    .execute(params![id, last])?;
                changes.dropped.push((id, last));
                gone = beyond;
            }
            changes.sizes.push(RecordingsSize {
                handler: Arc::clone(handler),
                bytes: ring.map_or(0, |ring| ring.bytes) + bytes - gone,
                gone: gone + left_out,
            });
        }
        Ok(changes)
    }

    /// Applies the changes of a durable commit. Returns the new sizes of the rings.
    pub(super) fn follow(&mut self, changes: RingChanges) -> Vec<RecordingsSize> {
        if changes.added.is_empty() {
            return Vec::new();
        }
        self.next = changes.next;
        for (handler, last) in changes.dropped {
            self.handlers.entry(handler).or_default().drop_to(last);
        }
        for (handler, number, bytes) in changes.added {
            self.handlers.entry(handler).or_default().push(number, bytes);
        }
        changes.sizes
    }
}

impl Ring {
    fn push(&mut self, number: i64, bytes: u64) {
        self.batches.push_back((number, bytes));
        self.bytes += bytes;
    }

    /// The newest batch that has to be dropped for the rest to have at most `bytes`, and the bytes that are dropped;
    /// `None` if nothing has to be.
    fn last_beyond(&self, bytes: u64) -> Option<(i64, u64)> {
        let mut left = self.bytes;
        let mut last = None;
        for (number, size) in &self.batches {
            if left <= bytes {
                break;
            }
            left -= size;
            last = Some((*number, self.bytes - left));
        }
        last
    }

    fn drop_to(&mut self, last: i64) {
        while let Some((number, bytes)) = self.batches.front().copied() {
            if number > last {
                break;
            }
            self.batches.pop_front();
            self.bytes -= bytes;
        }
    }
}

fn batch(row: &rusqlite::Row<'_>) -> Result<RecordingBatch, SqliteFault> {
    let number = from_sql(row.get(0)?);
    let lines = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
    let lines = std::str::from_utf8(lines)
        .map_err(|_| SqliteFault::Damaged(format!("the recordings in batch {number}: they are not text")))?;
    Ok(RecordingBatch {
        number,
        lines: lines.to_owned(),
    })
}

impl RecordingStore for SqliteStore {
    fn recordings(&self, handler: &str, before: Option<u64>, most: usize) -> Result<Vec<RecordingBatch>, StoreError> {
        let Some(handler) = self.handlers.id(handler) else {
            return self.usable().map(|()| Vec::new());
        };
        let before = before.map_or(i64::MAX, to_sql);
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::RECORDINGS)?;
            let mut rows = query.query(params![handler, before, to_sql(most as u64)])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                all.push(batch(row)?);
            }
            Ok(all)
        })
    }

    fn recording_batch(&self, number: u64) -> Result<Option<RecordingBatch>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::RECORDING_BATCH)?;
            let found = query.query_row(params![to_sql(number)], |row| Ok(batch(row)));
            found.optional()?.transpose()
        })
    }

    fn recordings_bytes(&self, handler: &str) -> Result<u64, StoreError> {
        let Some(handler) = self.handlers.id(handler) else {
            return self.usable().map(|()| 0);
        };
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::RECORDINGS_BYTES)?;
            Ok(from_sql(query.query_row(params![handler], |row| row.get(0))?))
        })
    }

    fn keep_of_recordings(&self, read: &RecordingBatch, lines: &str) -> Result<bool, StoreError> {
        self.write(|writer| {
            writer.aside(&self.handlers, |connection, _| {
                let (number, before) = (to_sql(read.number), read.lines.as_bytes());
                let written = match lines.is_empty() {
                    true => connection.execute(schema::DROP_RECORDING_BATCH, params![number, before])?,
                    false => connection.execute(schema::SET_RECORDINGS, params![number, before, lines.as_bytes()])?,
                };
                Ok(written > 0)
            })
        })
    }

    fn known_handlers(&self) -> Result<Vec<Arc<str>>, StoreError> {
        self.usable().map(|()| self.handlers.names())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use sandman_core::store::{Commit, Store};

    fn write(handler: &str, keep: u64, line: &str) -> RecordingWrite {
        RecordingWrite {
            handler: handler.into(),
            keep,
            line: line.into(),
        }
    }

    fn commit(store: &SqliteStore, recordings: Vec<RecordingWrite>) {
        let commit = Commit {
            recordings,
            ..Commit::default()
        };
        store.commit(&commit, 0).unwrap();
    }

    fn lines(store: &SqliteStore, handler: &str) -> Vec<String> {
        let batches = store.recordings(handler, None, usize::MAX).unwrap();
        batches.into_iter().map(|batch| batch.lines).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn a_ring_keeps_the_newest_within_its_bound(
            sizes in proptest::collection::vec((1_usize..40, any::<bool>()), 1..30),
            keep in 10_u64..100,
        ) {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("s.db");
            let mut store = SqliteStore::open(&path).unwrap();
            let mut model: Vec<String> = Vec::new();
            for (n, (size, reopens)) in sizes.into_iter().enumerate() {
                if reopens {
                    drop(store);
                    store = SqliteStore::open(&path).unwrap();
                }
                let line = format!("{n}").repeat(size);
                commit(&store, vec![write("a", keep, &line), write("other", 1_000, "x")]);
                model.insert(0, line);
                let mut bytes = 0;
                let held = model.iter().enumerate().take_while(|(n, line)| {
                    bytes += line.len() as u64;
                    *n == 0 || bytes <= keep
                });
                let held = held.count();
                model.truncate(held);
                prop_assert_eq!(&lines(&store, "a"), &model);
            }
        }
    }
}
