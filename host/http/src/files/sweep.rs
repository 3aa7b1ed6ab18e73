//! The sweep: at the start and then once an hour, on a thread of its own.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use thiserror::Error;

use super::folder::{Folder, FoundFile};
use super::held::HeldFiles;
use super::ledger::UnnamedFiles;
use super::names::Names;
use sandman_core::store::{ScanPosition, Store, StoreError};
use sandman_engine::clock;
use sandman_engine::meters::HttpMeters;

/// Between two sweeps.
const PAUSE: Duration = Duration::from_secs(60 * 60);
/// States that are read at a time: some milliseconds of one of the store's readers.
const STATES: usize = 1_000;
/// Files that one sweep removes at most; the next one goes on.
const REMOVED: usize = 10_000;
/// Files whose time is kept at most; the others' begins when there is room, so they are kept for longer.
const NOTED: usize = 100_000;

/// Removes files that no committed state names, `keep` after it has first found them so.
///
/// Work and memory are bounded: the states are read twice at most, a thousand at a time; of a named file 9 to 18 bytes are
/// kept in memory, of an unnamed one its path.
pub struct Sweep {
    folder: Folder,
    held: Arc<HeldFiles>,
    store: Arc<dyn Store>,
    keep: Duration,
    meters: HttpMeters,
}

#[derive(Debug, Error)]
enum SweepError {
    #[error("the folder of uploads: {0}")]
    Folder(#[from] io::Error),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the host stops")]
    Stopped,
}

impl Sweep {
    /// A sweep of the files in `folder`.
    pub fn new(folder: &Path, keep: Duration, held: Arc<HeldFiles>, store: Arc<dyn Store>, meters: HttpMeters) -> Self {
        Self {
            folder: Folder::new(folder),
            held,
            store,
            keep,
            meters,
        }
    }

    /// Sweeps until something comes from `stop`, or its sender goes.
    pub fn run(&self, stop: &Receiver<()>) {
        loop {
            match self.sweep(clock::wall_millis(), &|| !stop.is_empty()) {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "removed uploaded files that nothing names any more"),
                Err(SweepError::Stopped) => return,
                Err(error) => tracing::warn!(%error, "uploaded files could not be swept; the next try is in an hour"),
            }
            self.meters.upload_sweeps.increment(1);
            match stop.recv_timeout(PAUSE) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// One sweep; answers how many files it has removed.
    ///
    /// What is to go is first put aside, where nobody gets it, and only then the states are read a second time: a state
    /// that has come to name it between the first reading and the move brings it back. So a file is gone only where no
    /// committed state named it when it went.
    fn sweep(&self, now: i64, stopped: &dyn Fn() -> bool) -> Result<u64, SweepError> {
        if self.folder.files()?.next().is_none() && self.folder.aside()?.is_empty() {
            return Ok(0);
        }
        let sweeping = self.held.sweep();
        let due = self.due(now, stopped)?;
        for file in &due {
            self.folder.put_aside(file)?;
        }
        drop(sweeping);
        // Those of a sweep that was cut off too.
        let aside = self.folder.aside()?;
        if aside.is_empty() {
            return Ok(0);
        }
        let named = self.named(stopped)?;
        let mut removed = 0;
        for file in &aside {
            if named.has(file.name()) {
                self.folder.put_back(file)?;
            } else {
                self.folder.remove(file)?;
                self.meters.uploads_removed.increment(1);
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// The files whose time is over; notes the time of the others that nothing names.
    fn due(&self, now: i64, stopped: &dyn Fn() -> bool) -> Result<Vec<FoundFile>, SweepError> {
        // The states first: a file that is stored later is held.
        let named = self.named(stopped)?;
        let keep = i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX);
        let noted = UnnamedFiles::load(self.folder.path());
        let (mut ledger, mut due) = (UnnamedFiles::default(), Vec::new());
        for file in self.folder.files()? {
            let file = file?;
            if stopped() {
                return Err(SweepError::Stopped);
            }
            if named.has(file.name()) || self.held.holds(file.whole()) {
                continue;
            }
            // A clock that was set back does not make the time longer.
            let since = noted.since(&file.path).map_or(now, |since| since.min(now));
            if now - since >= keep && due.len() < REMOVED {
                due.push(file);
            } else if ledger.len() < NOTED {
                ledger.note(file.path, since);
            }
        }
        if ledger != noted {
            ledger.save(self.folder.path())?;
        }
        Ok(due)
    }

    /// The names of files in all committed states.
    fn named(&self, stopped: &dyn Fn() -> bool) -> Result<Names, SweepError> {
        let (mut names, mut after) = (Names::default(), ScanPosition::default());
        loop {
            if stopped() {
                return Err(SweepError::Stopped);
            }
            let documents = self.store.documents(after, STATES)?;
            let Some((last, _)) = documents.last() else {
                return Ok(names);
            };
            after = *last;
            documents.iter().for_each(|(_, document)| names.add_all_in(document));
        }
    }
}

#[cfg(test)]
mod tests;
