//! The sweep: at the start and then once an hour, on a thread of its own.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use futures_util::TryStreamExt;
use object_store::path::Path as Location;
use thiserror::Error;

use super::held::HeldFiles;
use super::stored::{StoredFiles, in_brief};
use sandman_core::files::path_of;
use sandman_core::store::{FileStore, StoreError};
use sandman_engine::clock;
use sandman_engine::meters::HttpMeters;

/// The time between two sweeps.
const PAUSE: Duration = Duration::from_secs(60 * 60);
/// Files in one step, which is one commit.
const STEP: usize = 1_000;

/// Removes files that no committed state has named for a while.
pub struct Sweep {
    pub(crate) files: StoredFiles,
    pub(crate) held: Arc<HeldFiles>,
    pub(crate) store: Arc<dyn FileStore>,
    /// How long an unreferenced file is kept.
    pub(crate) keep: Duration,
    pub(crate) meters: HttpMeters,
}

#[derive(Debug, Error)]
enum SweepError {
    #[error("the folder of uploads: {0}")]
    Folder(#[from] io::Error),
    #[error("the uploaded files: {}", in_brief(.0))]
    Files(#[from] object_store::Error),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the host stops")]
    Stopped,
}

impl Sweep {
    /// Sweeps until something comes from `stop`, or its sender is dropped.
    pub fn run(&self, stop: &Receiver<()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "uploaded files that nothing names stay until the next start");
                return;
            }
        };
        let mut found = false;
        let stopped = || !stop.is_empty();
        loop {
            let swept = runtime.block_on(async {
                if !found {
                    self.list(clock::wall_millis(), &stopped).await?;
                    found = true;
                }
                self.sweep(clock::wall_millis(), &stopped).await
            });
            match swept {
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

    /// Lists the files that the store does not know as unreferenced from now on: those of another host or an older
    /// version, those stored after the backup from which the store was restored, and those that were not removed
    /// because of a crash.
    async fn list(&self, now: i64, stopped: &dyn Fn() -> bool) -> Result<(), SweepError> {
        self.files.bring_back()?;
        let mut found = self.files.names().try_chunks(STEP);
        while let Some(names) = found.try_next().await.map_err(|chunk| chunk.1)? {
            if stopped() {
                return Err(SweepError::Stopped);
            }
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            self.store.list_files(&names, now)?;
        }
        Ok(())
    }

    /// One sweep; returns how many files it has removed.
    ///
    /// Whether a file is unreferenced is decided in a transaction that is isolated from the commits that name it, so a
    /// file is removed only if no committed state named it at that time. Files that cannot be removed are listed again,
    /// for the next sweep.
    async fn sweep(&self, now: i64, stopped: &dyn Fn() -> bool) -> Result<u64, SweepError> {
        let keep = i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX);
        let due = now.saturating_sub(keep);
        let (mut removed, mut left) = (0, Vec::new());
        let sweeping = self.held.sweep();
        let swept = loop {
            if stopped() {
                break Err(SweepError::Stopped);
            }
            let taken = match self.store.take_unnamed_files(due, STEP) {
                Ok(taken) if taken.is_empty() => break Ok(()),
                Ok(taken) => taken,
                Err(error) => break Err(error.into()),
            };
            for name in taken {
                match self.remove(&name).await {
                    Ok(true) => removed += 1,
                    Ok(false) => {}
                    Err(NotRemoved) => left.push(name),
                }
            }
        };
        drop(sweeping);
        if !left.is_empty() {
            let left: Vec<&str> = left.iter().map(String::as_str).collect();
            self.store.list_files(&left, due)?;
        }
        self.meters.uploads_removed.increment(removed);
        swept.map(|()| removed)
    }

    /// Removes a file. Returns whether there was one.
    async fn remove(&self, name: &str) -> Result<bool, NotRemoved> {
        let Some(path) = path_of(name) else {
            return Ok(false);
        };
        if self.held.holds(&path) {
            return Err(NotRemoved);
        }
        let removed = self.files.remove(&Location::from(path)).await;
        removed.map_err(|error| {
            let error = in_brief(&error);
            tracing::warn!(%error, name, "an uploaded file that nothing names cannot be removed; the next try is in an hour");
            NotRemoved
        })
    }
}

/// A file that has to wait for the next sweep.
struct NotRemoved;

#[cfg(test)]
mod tests;
