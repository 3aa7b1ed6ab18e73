//! Knows whether a guest has changed since its component was made.
//!
//! componentize-py bakes the seed of Python's hashes into a component, and a different one each time: two builds of the
//! same sources are two components. A build without changes must not create another version, so it returns the last
//! component.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sandman_core::digest;

use crate::guest::{BuildError, GuestPackage, wit};

/// Folders and files of a guest that are not part of its component.
const ASIDE: [&str; 4] = ["target", "events", "tests", "__pycache__"];

/// The sources of a component.
pub(super) struct PythonSources {
    digest: String,
    /// The last component; its digest and that of its sources are beside it.
    kept: PathBuf,
}

impl PythonSources {
    /// The files of the guest and of the SDK as they are now.
    pub(super) fn of(package: &GuestPackage, sdk: &Path) -> Result<Self, BuildError> {
        let mut digests = wit::FILES.map(|(_, text)| digest(text.as_bytes())).to_vec();
        for dir in [&package.dir, sdk] {
            add(dir, &mut digests).map_err(|source| BuildError::File {
                path: dir.to_owned(),
                source,
            })?;
        }
        Ok(Self {
            digest: digest(digests.join("\n").as_bytes()),
            kept: package.dir.join("target").join(format!("{}.last.wasm", package.name)),
        })
    }

    fn note(&self) -> PathBuf {
        self.kept.with_extension("sources")
    }

    /// The last component, if it was built from exactly these sources.
    pub(super) fn component(&self) -> Option<Vec<u8>> {
        let component = fs::read(&self.kept).ok()?;
        let noted = fs::read_to_string(self.note()).ok()?;
        (noted == self.words(&component)).then_some(component)
    }

    /// Keeps the component for the next build, which would otherwise build another one.
    pub(super) fn keep(&self, component: &[u8]) {
        let written = fs::write(&self.kept, component).and_then(|()| fs::write(self.note(), self.words(component)));
        let _ = written;
    }

    fn words(&self, component: &[u8]) -> String {
        format!("{} {}", self.digest, digest(component))
    }
}

/// The paths and digests of the files in a folder, sorted.
fn add(dir: &Path, digests: &mut Vec<String>) -> io::Result<()> {
    let mut entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || ASIDE.contains(&&*name) {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            add(&path, digests)?;
        } else {
            digests.push(format!("{} {}", path.display(), digest(&fs::read(&path)?)));
        }
    }
    Ok(())
}
