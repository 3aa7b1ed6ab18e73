//! Recordings: batches for each handler, limited in size, whichever host has recorded them.

use std::collections::HashMap;
use std::sync::Arc;

use ::postgres::Row;

use super::fault::{PgFault, from_sql, to_sql};
use super::session::Session;
use super::{PostgresStore, schema};
use crate::rings::{RingBatch, by_handler};
use sandman_core::store::{Commit, RecordingBatch, RecordingStore, RecordingsSize, StoreError};

/// Writes the recordings of a commit, and drops the oldest batches of their handlers beyond what these may keep.
/// Returns how large they are then. `handlers` are the ids of the handlers in the commit.
pub(super) fn write(
    session: &mut Session,
    commit: &Commit,
    handlers: &HashMap<Arc<str>, i32>,
    now: i64,
) -> Result<Vec<RecordingsSize>, PgFault> {
    let mut sizes = Vec::new();
    for batch in by_handler(&commit.recordings) {
        let RingBatch { lines, keep, .. } = &batch;
        let handler = handlers.get(batch.handler).copied().unwrap_or_default();
        session.execute(schema::ADD_RECORDINGS, &[&handler, &now, &lines.as_bytes()])?;
        let row = session.one(schema::SHRINK_RECORDINGS, &[&handler, &to_sql(*keep)])?;
        let (all, gone) = (from_sql(row.try_get(0)?), from_sql(row.try_get(1)?));
        sizes.push(RecordingsSize {
            handler: Arc::clone(batch.handler),
            bytes: all.saturating_sub(gone),
            gone: gone + batch.left_out,
        });
    }
    Ok(sizes)
}

impl RecordingStore for PostgresStore {
    fn recordings(&self, handler: &str, before: Option<u64>, most: usize) -> Result<Vec<RecordingBatch>, StoreError> {
        let (before, most) = (before.map_or(i64::MAX, to_sql), to_sql(most as u64));
        self.read(|session| {
            let rows = session.query(schema::RECORDINGS, &[&handler, &before, &most])?;
            rows.iter().map(batch).collect()
        })
    }

    fn recording_batch(&self, number: u64) -> Result<Option<RecordingBatch>, StoreError> {
        self.read(|session| {
            let rows = session.query(schema::RECORDING_BATCH, &[&to_sql(number)])?;
            rows.first().map(batch).transpose()
        })
    }

    fn recordings_bytes(&self, handler: &str) -> Result<u64, StoreError> {
        self.read(|session| {
            let row = session.one(schema::RECORDINGS_BYTES, &[&handler])?;
            Ok(from_sql(row.try_get(0)?))
        })
    }

    fn known_handlers(&self) -> Result<Vec<Arc<str>>, StoreError> {
        self.read(|session| {
            let rows = session.query(schema::HANDLERS, &[])?;
            rows.iter().map(|row| Ok(row.try_get::<_, &str>(0)?.into())).collect()
        })
    }

    fn keep_of_recordings(&self, read: &RecordingBatch, lines: &str) -> Result<bool, StoreError> {
        let (number, before) = (to_sql(read.number), read.lines.as_bytes());
        self.write(|session| {
            let written = match lines.is_empty() {
                true => session.execute(schema::DROP_RECORDING_BATCH, &[&number, &before])?,
                false => session.execute(schema::SET_RECORDINGS, &[&number, &before, &lines.as_bytes()])?,
            };
            Ok(written > 0)
        })
    }
}

fn batch(row: &Row) -> Result<RecordingBatch, PgFault> {
    let number = from_sql(row.try_get(0)?);
    let lines: &[u8] = row.try_get(1)?;
    let lines = std::str::from_utf8(lines)
        .map_err(|_| PgFault::Damaged(format!("the recordings in batch {number}: they are not text")))?;
    Ok(RecordingBatch {
        number,
        lines: lines.to_owned(),
    })
}
