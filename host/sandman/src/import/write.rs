//! The second pass: writes states that are not in the store yet, in batches of ordinary commits.

use std::io::Read;
use std::mem;
use std::sync::Arc;

use super::file::{Lines, Text};
use super::line::{Line, Rules};
use super::progress::ImportProgress;
use super::{Import, ImportError, LineStanding};
use sandman_core::files;
use sandman_core::outcome::StateChange;
use sandman_core::store::{Commit, CommitResult, FilesWrite, StateWrite, Store};
use sandman_engine::clock;

/// States in one commit; more would not be faster, and would be lost together.
const BATCH: usize = 1_000;
/// Bytes of one commit.
const BATCH_BYTES: usize = 4 << 20;

/// States that are being written.
struct Writing<'a> {
    store: &'a dyn Store,
    batch: Vec<StateWrite>,
    /// The files that these states name.
    files: Vec<FilesWrite>,
    bytes: usize,
    written: u64,
}

impl Import<'_> {
    /// Writes the states that the first pass has checked. Each line is checked again, so that a file that has been
    /// changed in the meantime cannot add invalid states.
    pub(super) fn write(
        &self,
        store: &dyn Store,
        rules: &Rules<'_>,
        lines: &mut Lines<impl Read>,
        (progress, checked): (&ImportProgress, u64),
    ) -> Result<(), ImportError> {
        let mut writing = Writing {
            store,
            batch: Vec::new(),
            files: Vec::new(),
            bytes: 0,
            written: 0,
        };
        let mut states = 0;
        progress.begin("writing");
        while let Some((_, text)) = lines.next()? {
            states += 1;
            let line = match text {
                Text::Whole(text) => rules.read(text).ok(),
                Text::TooLong => None,
            };
            let written = writing.written;
            let changed = || ImportError::Changed { written };
            let line = line.ok_or_else(changed)?;
            let failed = |source| ImportError::Store { written, source };
            let base = match self.standing(store, &line).map_err(failed)? {
                LineStanding::Same => continue,
                LineStanding::New(base) => base,
                LineStanding::Other(revision) if self.overwrite => Some(revision),
                LineStanding::Other(..) => return Err(changed()),
            };
            let Line { key, state } = line;
            writing.add(StateWrite {
                handler: Arc::clone(&self.handler),
                key: key.into(),
                base,
                change: StateChange::Put(state.into()),
                recent: None,
            })?;
            progress.at(lines.bytes, states);
        }
        writing.commit()?;
        if states == checked {
            Ok(())
        } else {
            Err(ImportError::Changed {
                written: writing.written,
            })
        }
    }
}

impl Writing<'_> {
    fn add(&mut self, state: StateWrite) -> Result<(), ImportError> {
        if let StateChange::Put(document) = &state.change {
            self.bytes += document.len();
            let names: Vec<_> = files::names_in(document).into_iter().map(Arc::from).collect();
            // An overwritten state may have named files.
            if !names.is_empty() || state.base.is_some() {
                self.files.push(FilesWrite {
                    handler: Arc::clone(&state.handler),
                    key: Arc::clone(&state.key),
                    names,
                });
            }
        }
        self.batch.push(state);
        if self.batch.len() >= BATCH || self.bytes >= BATCH_BYTES {
            self.commit()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), ImportError> {
        self.bytes = 0;
        let states = mem::take(&mut self.batch);
        let count = states.len() as u64;
        let commit = Commit {
            states,
            files: mem::take(&mut self.files),
            ..Commit::default()
        };
        if commit.is_empty() {
            return Ok(());
        }
        let written = self.written;
        let failed = |source| ImportError::Store { written, source };
        match self.store.commit(&commit, clock::wall_millis()).map_err(failed)? {
            CommitResult::Committed(_) => self.written += count,
            CommitResult::Conflict(_) => return Err(ImportError::Changed { written }),
        }
        Ok(())
    }
}
