//! Reads `go.mod`.

use std::fs;
use std::path::Path;

use crate::guest::BuildError;

/// The guest's name: the last part of its module's path.
pub(super) fn name(dir: &Path) -> Result<String, BuildError> {
    let path = dir.join("go.mod");
    let text = fs::read_to_string(&path).map_err(|source| BuildError::File {
        path: path.clone(),
        source,
    })?;
    let problem = || BuildError::Manifest {
        manifest: path.clone(),
        problem: "it names no module; the first line should be such as `module shop`".to_owned(),
    };
    let module = text.lines().find_map(|line| line.trim().strip_prefix("module "));
    let name = module.and_then(|module| module.trim().trim_matches('"').rsplit('/').next());
    name.filter(|name| !name.is_empty())
        .map(str::to_owned)
        .ok_or_else(problem)
}
