//! Stores and serves uploaded pictures: `/uploads/<field>s/<field>-<milliseconds>-<random>.<ext>`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use object_store::GetResult;
use object_store::path::Path as Location;
use uuid::Uuid;

use super::parameters::entries;
use super::picture::{Picture, PictureKind};
use super::refusal::HttpRefusal;
use crate::files::{HeldFiles, StoredFiles, Sweep, UploadsError, in_brief};
use sandman_config::UploadsUrl;
use sandman_core::outcome::UploadedFile;
use sandman_core::store::{FileStore, StoreError};
use sandman_engine::clock;
use sandman_engine::meters::HttpMeters;

/// The prefix of all paths of uploads.
pub(super) const PREFIX: &str = "/uploads/";
/// A name is used only once, so its content never changes: a year.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// A browser that opens a file never runs its content.
const INERT: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

/// The pictures, and the store of their names.
#[derive(Clone)]
pub(super) struct Uploads {
    files: StoredFiles,
    /// The same files, for the sweep, which has a runtime of its own.
    swept: StoredFiles,
    held: Arc<HeldFiles>,
    store: Arc<dyn FileStore>,
}

/// A stored picture whose name is not published yet.
#[derive(Debug)]
pub(super) struct StoredPicture {
    /// The picture as guests see it.
    pub(super) file: UploadedFile,
    location: Location,
}

impl Uploads {
    /// Opens the configured storage; `store` knows which files states name.
    pub(super) async fn open(url: &UploadsUrl, store: Arc<dyn FileStore>) -> Result<Self, UploadsError> {
        let files = StoredFiles::open(url)?;
        files.probe(url).await?;
        Ok(Self {
            files,
            swept: StoredFiles::open(url)?,
            held: Arc::default(),
            store,
        })
    }

    /// The sweep, which removes files that have been unreferenced for this time.
    pub(super) fn sweep(&self, keep: Duration, meters: HttpMeters) -> Sweep {
        let Self { swept, held, store, .. } = self.clone();
        Sweep {
            files: swept,
            held,
            store,
            keep,
            meters,
        }
    }

    /// Stores the picture under an unguessable name. It is held until [`release`](Self::release).
    pub(super) async fn put(&self, picture: Picture) -> Result<StoredPicture, HttpRefusal> {
        let Picture {
            field,
            kind,
            content,
            digest,
        } = picture;
        let (millis, random) = (clock::wall_millis(), Uuid::new_v4().simple());
        let name = format!("{field}-{millis}-{random}.{}", kind.extension());
        let path = format!("{field}s/{name}");
        let location = Location::from(path.as_str());
        let size = content.len();
        self.held.hold(location.as_ref());
        let stored = match self.list(name, millis).await {
            Ok(()) => self
                .files
                .put(&location, content.into())
                .await
                .map_err(|error| in_brief(&error)),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = stored {
            tracing::error!(%error, %location, "an uploaded file cannot be stored");
            self.held.release(location.as_ref());
            return Err(HttpRefusal::Unavailable("the file cannot be stored"));
        }
        let file = UploadedFile {
            field,
            url: format!("{PREFIX}{path}"),
            media_type: kind.media_type().to_owned(),
            size: size.try_into().unwrap_or(u64::MAX),
            digest,
        };
        Ok(StoredPicture { file, location })
    }

    /// Lists the file as unreferenced before it is stored, so that it is removed even if the host crashes.
    async fn list(&self, name: String, now: i64) -> Result<(), StoreError> {
        let store = Arc::clone(&self.store);
        let listed = tokio::task::spawn_blocking(move || store.list_files(&[&name], now));
        let ended = |error: tokio::task::JoinError| Err(StoreError::Unavailable(error.to_string()));
        listed.await.unwrap_or_else(ended)
    }

    /// Removes files that no state names.
    pub(super) async fn remove(&self, orphans: &[Location]) {
        for location in orphans {
            if let Err(error) = self.files.remove(location).await {
                let error = in_brief(&error);
                tracing::warn!(%error, %location, "an uploaded file that nothing names could not be removed");
            }
        }
    }

    /// The request of these files is over.
    pub(super) fn release(&self, files: &[Location]) {
        files.iter().for_each(|location| self.held.release(location.as_ref()));
    }

    /// Serves the file at `path`, without [`PREFIX`].
    pub(super) async fn serve(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Response, HttpRefusal> {
        if method != Method::GET && method != Method::HEAD {
            return Err(HttpRefusal::Method("GET, HEAD".to_owned()));
        }
        let kind = kind_of(path).ok_or(HttpRefusal::NotFound)?;
        let tag = tag_of(path)?;
        let known = entries(headers, &header::IF_NONE_MATCH).any(|sent| is_tag(sent, &tag));
        let found = match self
            .files
            .get(&Location::from(path), known || method == Method::HEAD)
            .await
        {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Err(HttpRefusal::NotFound),
            Err(error) => {
                let error = in_brief(&error);
                tracing::error!(%error, path, "an uploaded file cannot be read");
                return Err(HttpRefusal::Unavailable("the file cannot be read"));
            }
        };
        let caching = [(header::ETAG, tag), (header::CACHE_CONTROL, FOREVER)];
        Ok(if known {
            (StatusCode::NOT_MODIFIED, caching).into_response()
        } else {
            (caching, content(kind, found)).into_response()
        })
    }
}

impl StoredPicture {
    /// Its location, for removing it.
    pub(super) fn location(&self) -> Location {
        self.location.clone()
    }
}

fn content(kind: PictureKind, found: GetResult) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind.media_type())),
        (header::CONTENT_LENGTH, HeaderValue::from(found.meta.size)),
        (header::CONTENT_SECURITY_POLICY, INERT),
    ];
    (headers, Body::from_stream(found.into_stream())).into_response()
}

/// The format of the file, if the path has the form that we generate: any other path is never looked up.
pub(super) fn kind_of(path: &str) -> Option<PictureKind> {
    let (folder, name) = path.split_once('/')?;
    let (stem, extension) = name.split_once('.')?;
    let plain = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    (plain(folder) && plain(stem)).then(|| PictureKind::of_extension(extension))?
}

/// The content of a name never changes, so the name is the tag.
fn tag_of(path: &str) -> Result<HeaderValue, HttpRefusal> {
    HeaderValue::from_str(&format!("\"{path}\"")).map_err(|_| HttpRefusal::NotFound)
}

/// Whether a client's tag is this one. Compressing proxies turn it into a weak one.
fn is_tag(sent: &[u8], tag: &HeaderValue) -> bool {
    sent == b"*" || sent.strip_prefix(b"W/").unwrap_or(sent) == tag.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_our_own_making_are_looked_up() {
        assert_eq!(kind_of("avatars/avatar-1765535400000-0af3.png"), Some(PictureKind::Png));
        for path in [
            "",
            "avatars",
            "avatars/",
            "/avatar-1.png",
            "../sandman.db",
            "avatars/../avatar-1.png",
            "avatars/..%2f..%2fsandman.png",
            "avatars/%2e%2e/a.png",
            "avatars\\a.png",
            "avatars/a.png.exe",
            "avatars/.png",
            "avatars/a.svg",
            "avatars/a.png/",
            "avatars/a.png#1",
            "avatars//a.png",
            "avatars/a\0.png",
        ] {
            assert_eq!(kind_of(path), None, "{path:?}");
        }
    }
}
