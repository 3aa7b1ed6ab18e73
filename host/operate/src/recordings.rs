//! The recordings of a host, as an operator asks for them.

use std::sync::Arc;

use sandman_core::recording::{Recording, RecordingId, RecordingQuery};
use sandman_core::store::{RecordingBatch, RecordingStore, StoreError};

/// Batches that are read at once.
const PAGE: usize = 64;

/// Finds recordings, and takes them out.
#[derive(Clone)]
pub struct Recordings {
    store: Arc<dyn RecordingStore>,
}

impl Recordings {
    /// The recordings in a store.
    pub fn new(store: Arc<dyn RecordingStore>) -> Self {
        Self { store }
    }

    /// Recordings of a handler that the query means, the newest first, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub fn find(&self, handler: &str, query: &RecordingQuery, most: usize) -> Result<Vec<Recording>, StoreError> {
        let mut found = Vec::new();
        self.each(
            handler,
            |recording| {
                found.push(recording);
                found.len() < most
            },
            query,
        )?;
        found.truncate(most);
        Ok(found)
    }

    /// All handlers that may have some: those that ever committed.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub fn handlers(&self) -> Result<Vec<Arc<str>>, StoreError> {
        self.store.known_handlers()
    }

    /// The recording of that name.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn one(&self, id: RecordingId) -> Result<Option<Recording>, StoreError> {
        let batch = self.store.recording_batch(id.batch)?;
        Ok(batch.and_then(|batch| {
            let place = usize::try_from(id.place).ok()?;
            let line = batch.lines.lines().nth(place)?;
            read(line, id)
        }))
    }

    /// Takes all recordings of a key out, and answers how many there were.
    ///
    /// # Errors
    /// [`StoreError`] if the store does not answer; what was taken out by then stays out.
    pub fn forget(&self, handler: &str, key: &str) -> Result<u64, StoreError> {
        let mut taken = 0;
        self.pages(handler, |batch| {
            let is_kept = |line: &str| Recording::read(line).is_ok_and(|recording| recording.key != key);
            // Its place stays empty: a recording is named by its place.
            let kept = batch.lines.lines().map(|line| if is_kept(line) { line } else { "" });
            let kept: Vec<&str> = kept.collect();
            let filled = |lines: &[&str]| lines.iter().filter(|line| !line.is_empty()).count();
            let before: Vec<&str> = batch.lines.lines().collect();
            let gone = filled(&before) - filled(&kept);
            if gone > 0 {
                let kept = if filled(&kept) == 0 {
                    String::new()
                } else {
                    kept.join("\n")
                };
                self.store.keep_of_recordings(batch.number, &kept)?;
                taken += gone as u64;
            }
            Ok(true)
        })?;
        Ok(taken)
    }

    fn each(
        &self,
        handler: &str,
        mut each: impl FnMut(Recording) -> bool,
        query: &RecordingQuery,
    ) -> Result<(), StoreError> {
        self.pages(handler, |batch| {
            let lines: Vec<&str> = batch.lines.lines().collect();
            for (place, line) in lines.iter().enumerate().rev() {
                let id = RecordingId {
                    batch: batch.number,
                    place: u32::try_from(place).unwrap_or(u32::MAX),
                };
                let wanted = query.may_match(line).then(|| read(line, id)).flatten();
                if let Some(recording) = wanted.filter(|recording| query.matches(recording))
                    && !each(recording)
                {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Batches, the newest first, for as long as `each` wants more.
    fn pages(
        &self,
        handler: &str,
        mut each: impl FnMut(&RecordingBatch) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut before = None;
        loop {
            let batches = self.store.recordings(handler, before, PAGE)?;
            for batch in &batches {
                if !each(batch)? {
                    return Ok(());
                }
            }
            match batches.last() {
                Some(last) => before = Some(last.number),
                None => return Ok(()),
            }
        }
    }
}

/// What cannot be read was written by another version, and is passed over.
fn read(line: &str, id: RecordingId) -> Option<Recording> {
    let recording = Recording::read(line).ok()?;
    Some(Recording {
        id: Some(id),
        ..recording
    })
}
