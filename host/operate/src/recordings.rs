//! The recordings of a host, for operators.

use std::sync::Arc;

use sandman_core::recording::{Recording, RecordingId, RecordingQuery};
use sandman_core::store::{RecordingBatch, RecordingStore, StoreError};

/// Batches that are read at once.
const PAGE: usize = 64;

/// Finds and removes recordings.
#[derive(Clone)]
pub struct Recordings {
    store: Arc<dyn RecordingStore>,
}

impl Recordings {
    /// The recordings in a store.
    pub fn new(store: Arc<dyn RecordingStore>) -> Self {
        Self { store }
    }

    /// Recordings of a handler that match the query, the newest first, at most `most`.
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

    /// The recording with that id.
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

    /// Removes all recordings of a key, and returns how many there were.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails; recordings that were removed by then stay removed.
    pub fn forget(&self, handler: &str, key: &str) -> Result<u64, StoreError> {
        let mut taken = 0;
        self.pages(handler, |batch| {
            let mut now = Some(batch.clone());
            while let Some(read) = now.take() {
                let (kept, gone) = without_key(&read.lines, key);
                if gone == 0 {
                    break;
                }
                match self.store.keep_of_recordings(&read, &kept)? {
                    true => taken += gone,
                    // Another key was forgotten in the meantime: tries again with the current lines.
                    false => now = self.store.recording_batch(read.number)?,
                }
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

    /// Calls `each` for batches, the newest first, as long as it wants more.
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

/// The lines of a batch without those of a key, and how many were removed. Their places stay empty, because a
/// recording's id has its place; the result is empty if no others are left.
fn without_key(lines: &str, key: &str) -> (String, u64) {
    let is_kept = |line: &str| Recording::read(line).is_ok_and(|recording| recording.key != key);
    let kept: Vec<&str> = lines
        .lines()
        .map(|line| if is_kept(line) { line } else { "" })
        .collect();
    let gone = lines
        .lines()
        .zip(&kept)
        .filter(|(before, after)| before != *after)
        .count();
    let is_empty = kept.iter().all(|line| line.is_empty());
    let kept = if is_empty { String::new() } else { kept.join("\n") };
    (kept, gone as u64)
}

/// Unreadable lines were written by another version, and are skipped.
fn read(line: &str, id: RecordingId) -> Option<Recording> {
    let recording = Recording::read(line).ok()?;
    Some(Recording {
        id: Some(id),
        ..recording
    })
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use sandman_core::limits::Limits;
    use sandman_core::recording::{RECORDING_FORMAT, RecordedContext, RecordedEvent, RecordedOutcome, RecordedTrigger};

    use super::*;

    /// One batch, of which another host has taken something out whenever this one has read it.
    struct Racing {
        now: Mutex<String>,
        others: Mutex<Vec<&'static str>>,
    }

    impl RecordingStore for Racing {
        fn recordings(&self, _: &str, before: Option<u64>, _: usize) -> Result<Vec<RecordingBatch>, StoreError> {
            let batch = self.recording_batch(7)?.filter(|_| before.is_none());
            Ok(batch.into_iter().collect())
        }

        fn recording_batch(&self, number: u64) -> Result<Option<RecordingBatch>, StoreError> {
            let lines = self.now.lock().clone();
            Ok((!lines.is_empty()).then_some(RecordingBatch { number, lines }))
        }

        fn keep_of_recordings(&self, read: &RecordingBatch, lines: &str) -> Result<bool, StoreError> {
            let mut now = self.now.lock();
            if let Some(other) = self.others.lock().pop() {
                *now = without_key(&now, other).0;
            }
            let is_as_read = *now == read.lines;
            if is_as_read {
                lines.clone_into(&mut now);
            }
            Ok(is_as_read)
        }

        fn recordings_bytes(&self, _: &str) -> Result<u64, StoreError> {
            Ok(self.now.lock().len() as u64)
        }

        fn known_handlers(&self) -> Result<Vec<Arc<str>>, StoreError> {
            Ok(vec!["h".into()])
        }
    }

    fn line(key: &str) -> String {
        let event = RecordedEvent {
            topic: "t".to_owned(),
            partition: 1,
            offset: 40,
            timestamp_millis: None,
            key: None,
            value: None,
            headers: Vec::new(),
        };
        let recording = Recording {
            format: RECORDING_FORMAT,
            id: None,
            handler: "h".to_owned(),
            version: 1,
            digest: "d".to_owned(),
            key: key.to_owned(),
            trigger: RecordedTrigger::Event(event),
            state: None,
            context: RecordedContext {
                now_millis: 0,
                attempt: 1,
                settings: "{}".to_owned(),
                source: "s".to_owned(),
                limits: Limits::default(),
                reused: false,
            },
            outcome: RecordedOutcome::Ignored,
            dead_letter: false,
            letter: None,
            cpu_micros: None,
            memory_bytes: 0,
        };
        recording.line().unwrap()
    }

    fn forgotten(keys: &[&str], others: &[&'static str]) -> (u64, Vec<String>) {
        let lines: Vec<String> = keys.iter().map(|key| line(key)).collect();
        let store = Arc::new(Racing {
            now: Mutex::new(lines.join("\n")),
            others: Mutex::new(others.to_vec()),
        });
        let recordings = Recordings::new(Arc::clone(&store) as Arc<dyn RecordingStore>);
        let gone = recordings.forget("h", "ada").unwrap();
        let left = recordings.find("h", &RecordingQuery::default(), 10).unwrap();
        (gone, left.into_iter().map(|recording| recording.key).collect())
    }

    #[test]
    fn keys_that_are_forgotten_at_once_are_all_forgotten() {
        let (gone, left) = forgotten(&["ada", "bea", "cleo", "ada"], &[]);
        assert_eq!((gone, left), (2, vec!["cleo".to_owned(), "bea".to_owned()]));
        let (gone, left) = forgotten(&["ada", "bea", "cleo", "dora"], &["dora", "bea"]);
        assert_eq!((gone, left), (1, vec!["cleo".to_owned()]));
        let (gone, left) = forgotten(&["ada", "bea"], &["ada"]);
        assert_eq!((gone, left), (0, vec!["bea".to_owned()]));
        let (gone, left) = forgotten(&["ada"], &[]);
        assert_eq!((gone, left), (1, Vec::new()));
    }
}
