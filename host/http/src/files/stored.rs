//! The files themselves, in an object store: a folder of this machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Location;
use object_store::{GetResult, ObjectStore, ObjectStoreExt, PutPayload};
use thiserror::Error;

use super::leftovers::Leftovers;
use sandman_core::files::path_of;

/// Why there is no place for uploads.
#[derive(Debug, Error)]
#[error("the folder of uploads, {}, cannot be used: {reason}; set uploads.url to one that this user can write to", folder.display())]
pub struct UploadsError {
    folder: PathBuf,
    reason: String,
}

/// All files that were uploaded.
#[derive(Clone, Debug)]
pub(crate) struct StoredFiles {
    store: Arc<dyn ObjectStore>,
    leftovers: Leftovers,
}

impl StoredFiles {
    /// Opens the folder, and makes it if it is not there.
    pub(crate) fn open(folder: &Path) -> Result<Self, UploadsError> {
        let fail = |reason: String| UploadsError {
            folder: folder.to_owned(),
            reason,
        };
        fs::create_dir_all(folder).map_err(|error| fail(error.to_string()))?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| fail(error.to_string()))?;
        Ok(Self {
            // A commit that names a file must not outlive it.
            store: Arc::new(store.with_fsync(true)),
            leftovers: Leftovers::of(folder),
        })
    }

    pub(crate) async fn put(&self, location: &Location, content: PutPayload) -> object_store::Result<()> {
        self.store.put(location, content).await.map(|_| ())
    }

    pub(crate) async fn get(&self, location: &Location) -> object_store::Result<GetResult> {
        self.store.get(location).await
    }

    /// Removes a file, also where it was not written to its end. Returns whether there was one.
    pub(crate) async fn remove(&self, location: &Location) -> object_store::Result<bool> {
        let partial = self.leftovers.remove_partial(location.as_ref());
        let partial = partial.map_err(|source| object_store::Error::Generic {
            store: "the folder of uploads",
            source: source.into(),
        })?;
        match self.store.delete(location).await {
            Ok(()) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(partial),
            Err(error) => Err(error),
        }
    }

    /// The names of all files that have one of ours, those included that were not written to their end.
    pub(crate) fn names(&self) -> BoxStream<'_, object_store::Result<String>> {
        let stored = self.store.list(None).try_filter_map(async |object| {
            let name = object.location.filename().unwrap_or_default();
            let is_ours = path_of(name).as_deref() == Some(object.location.as_ref());
            Ok(is_ours.then(|| name.to_owned()))
        });
        let partial = futures_util::stream::iter(self.leftovers.partial_names().into_iter().map(Ok));
        stored.chain(partial).boxed()
    }

    /// Brings back what a sweep of an older version had put aside.
    pub(crate) fn bring_back(&self) -> io::Result<()> {
        self.leftovers.bring_back()
    }
}
