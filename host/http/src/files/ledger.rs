//! Since when a file is named by nothing: kept beside the files, so that a restart does not begin anew.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// The file that holds it; nothing of this form is ever served.
const NAME: &str = "unnamed.json";

/// Paths inside the folder, each with a time: milliseconds since 1970.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UnnamedFiles(BTreeMap<String, i64>);

impl UnnamedFiles {
    /// What the last sweep has noted. Where it cannot be read all files count as named until now, and are kept longer.
    pub(super) fn load(folder: &Path) -> Self {
        let path = folder.join(NAME);
        match fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(times) => Self(times),
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "cannot be read; unnamed files are kept for longer");
                    Self::default()
                }
            },
            Err(_) => Self::default(),
        }
    }

    /// Written whole or not at all.
    pub(super) fn save(&self, folder: &Path) -> io::Result<()> {
        let (path, partial) = (folder.join(NAME), folder.join(format!("{NAME}.partial")));
        fs::write(&partial, serde_json::to_vec(&self.0)?)?;
        fs::rename(partial, path)
    }

    pub(super) fn since(&self, path: &str) -> Option<i64> {
        self.0.get(path).copied()
    }

    pub(super) fn note(&mut self, path: String, since: i64) {
        self.0.insert(path, since);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
