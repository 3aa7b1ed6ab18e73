//! Reads a guest's `package.json`.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::guest::BuildError;

/// The relevant parts of `package.json`.
#[derive(Deserialize)]
pub(super) struct Manifest {
    pub(super) name: String,
    #[serde(default)]
    sandman: Own,
}

/// The table `sandman` of `package.json`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    entry: Option<String>,
}

/// The default paths of the handler.
const ENTRIES: [&str; 3] = ["src/handler.ts", "src/handler.js", "src/handler.mjs"];

pub(super) fn read(dir: &Path) -> Result<Manifest, BuildError> {
    let path = dir.join("package.json");
    let text = fs::read_to_string(&path).map_err(|source| BuildError::File {
        path: path.clone(),
        source,
    })?;
    let manifest: Manifest = serde_json::from_str(&text).map_err(|fault| BuildError::Manifest {
        manifest: path.clone(),
        problem: fault.to_string(),
    })?;
    // The name is used for a file.
    if !sandman_config::is_handler_name(&manifest.name) {
        let name = manifest.name;
        return Err(BuildError::Manifest {
            manifest: path,
            problem: format!(
                "{name:?} is not a valid name for a guest: lower-case letters, digits, underscores and dashes, the first a letter"
            ),
        });
    }
    Ok(manifest)
}

impl Manifest {
    /// The module whose default export is the handler, relative to the guest's folder.
    pub(super) fn entry(self, dir: &Path) -> Result<String, BuildError> {
        let named = self.sandman.entry.is_some();
        let mut entries = self.sandman.entry.into_iter().chain(ENTRIES.map(str::to_owned));
        let first = entries.next().filter(|entry| named || dir.join(entry).is_file());
        let found = first.or_else(|| entries.find(|entry| dir.join(entry).is_file()));
        found.ok_or_else(|| BuildError::Manifest {
            manifest: dir.join("package.json"),
            problem: "there is no src/handler.ts or src/handler.js; name the handler's module as \
                      \"sandman\": { \"entry\": \"…\" }"
                .to_owned(),
        })
    }
}
