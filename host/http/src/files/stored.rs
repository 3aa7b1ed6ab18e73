//! The files themselves, in an object store: a folder of this machine, or a bucket of an S3 server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Location;
use object_store::{GetOptions, GetResult, ObjectStore, ObjectStoreExt, PutPayload};
use thiserror::Error;

use super::leftovers::Leftovers;
use super::s3;
use sandman_config::{Bucket, UploadsConfig, UploadsUrl};
use sandman_core::files::path_of;
use sandman_core::printable;

/// The key that is requested at the start. It does not exist; without permission to list the bucket, the server refuses
/// the request.
const PROBED: &str = "is-there-a-bucket";

/// Bytes of a reason: enough for the request, the status, and S3's error code.
const LONGEST_REASON: usize = 600;

/// Why the storage of uploads cannot be used.
#[derive(Debug, Error)]
pub enum UploadsError {
    /// The folder cannot be used.
    #[error("the folder of uploads, {}, cannot be used: {reason}; set uploads.url to one that this user can write to", folder.display())]
    Folder {
        /// The configured folder.
        folder: PathBuf,
        /// The system's error.
        reason: String,
    },
    /// The bucket cannot be used.
    #[error(
        "{bucket} cannot be used as uploads.url: {reason}; check the name, the variables AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID \
         and AWS_SECRET_ACCESS_KEY, and the rights (s3:ListBucket on the bucket, s3:GetObject, s3:PutObject and s3:DeleteObject on its files)"
    )]
    Bucket {
        /// As in `uploads.url`.
        bucket: String,
        /// The error of the server or its client.
        reason: String,
    },
}

/// Checks the configuration of uploads without using the storage: a bucket's server is not asked.
///
/// # Errors
/// [`UploadsError`]
pub fn check_uploads(config: &UploadsConfig) -> Result<(), UploadsError> {
    match &config.url {
        UploadsUrl::Folder(_) => Ok(()),
        UploadsUrl::S3(bucket) => StoredFiles::in_bucket(bucket).map(drop),
    }
}

/// All uploaded files.
#[derive(Clone, Debug)]
pub(crate) struct StoredFiles {
    store: Arc<dyn ObjectStore>,
    /// `None` for a bucket.
    leftovers: Option<Leftovers>,
}

impl StoredFiles {
    /// Opens the folder, which is created if it is missing, or a bucket, to which nothing is sent yet. The connections
    /// to a bucket's server belong to the runtime that created them, so each runtime opens its own.
    pub(crate) fn open(url: &UploadsUrl) -> Result<Self, UploadsError> {
        match url {
            UploadsUrl::Folder(folder) => Self::in_folder(folder),
            UploadsUrl::S3(bucket) => Self::in_bucket(bucket),
        }
    }

    fn in_folder(folder: &Path) -> Result<Self, UploadsError> {
        let fail = |reason: String| UploadsError::Folder {
            folder: folder.to_owned(),
            reason,
        };
        fs::create_dir_all(folder).map_err(|error| fail(error.to_string()))?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| fail(error.to_string()))?;
        Ok(Self {
            // A file must be at least as durable as the commit that names it.
            store: Arc::new(store.with_fsync(true)),
            leftovers: Some(Leftovers::of(folder)),
        })
    }

    fn in_bucket(bucket: &Bucket) -> Result<Self, UploadsError> {
        Ok(Self {
            store: Arc::new(s3::open(bucket).map_err(|error| no_bucket(bucket, &error))?),
            leftovers: None,
        })
    }

    /// Asks a bucket's server whether we may use it. If the server does not answer, that is only logged, because it may
    /// come back.
    pub(crate) async fn probe(&self, url: &UploadsUrl) -> Result<(), UploadsError> {
        let UploadsUrl::S3(bucket) = url else {
            return Ok(());
        };
        match self.store.get(&Location::from(PROBED)).await {
            Ok(_) => Ok(()),
            Err(error) if is_refusal(&error) => Err(no_bucket(bucket, &error)),
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => {
                let error = in_brief(&error);
                tracing::warn!(%error, uploads = %bucket, "the server of uploads.url does not answer; files are refused until it does");
                Ok(())
            }
        }
    }

    pub(crate) async fn put(&self, location: &Location, content: PutPayload) -> object_store::Result<()> {
        self.store.put(location, content).await.map(|_| ())
    }

    /// The file or, with `head`, only its metadata.
    pub(crate) async fn get(&self, location: &Location, head: bool) -> object_store::Result<GetResult> {
        let options = GetOptions {
            head,
            ..GetOptions::default()
        };
        self.store.get_opts(location, options).await
    }

    /// Removes a file, even an incompletely written one. Returns whether there was one; a bucket does not say.
    pub(crate) async fn remove(&self, location: &Location) -> object_store::Result<bool> {
        let partial = match &self.leftovers {
            Some(leftovers) => leftovers.remove_partial(location.as_ref()),
            None => Ok(false),
        };
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

    /// The names of all files whose names have our format, including incompletely written ones.
    pub(crate) fn names(&self) -> BoxStream<'_, object_store::Result<String>> {
        let stored = self.store.list(None).try_filter_map(async |object| {
            let name = object.location.filename().unwrap_or_default();
            let is_ours = path_of(name).as_deref() == Some(object.location.as_ref());
            Ok(is_ours.then(|| name.to_owned()))
        });
        let partial = self
            .leftovers
            .as_ref()
            .map(Leftovers::partial_names)
            .unwrap_or_default();
        let partial = futures_util::stream::iter(partial.into_iter().map(Ok));
        stored.chain(partial).boxed()
    }

    /// Restores the files that a sweep of an older version had put aside.
    pub(crate) fn bring_back(&self) -> io::Result<()> {
        self.leftovers.as_ref().map_or(Ok(()), Leftovers::bring_back)
    }
}

/// The error without the page that a server may have sent.
pub(crate) fn in_brief(error: &object_store::Error) -> String {
    printable::line(&error.to_string(), LONGEST_REASON).into_owned()
}

fn no_bucket(bucket: &Bucket, error: &object_store::Error) -> UploadsError {
    UploadsError::Bucket {
        bucket: bucket.to_string(),
        reason: in_brief(error),
    }
}

/// Whether the server has refused the request, or there is no such bucket.
fn is_refusal(error: &object_store::Error) -> bool {
    use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
    match error {
        PermissionDenied { .. } | Unauthenticated { .. } => true,
        // A missing key is the expected result.
        NotFound { source, .. } => source.to_string().contains("NoSuchBucket"),
        _ => false,
    }
}
