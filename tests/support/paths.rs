//! Where things are: the repository, the target directory, the profile.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::Result;

/// The repository's root.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or_else(|| Path::new("."))
}

/// The folder that holds what this profile builds: `target/debug` for `cargo test`.
pub(crate) fn profile_dir() -> Result<PathBuf> {
    let test = std::env::current_exe().context("the test's own path is not known")?;
    let deps = test.parent().context("the test lies in no folder")?;
    // `target/<profile>/deps/behaviour-<hash>`, or `target/<profile>/torture`.
    let dir = if deps.ends_with("deps") {
        deps.parent()
    } else {
        Some(deps)
    };
    Ok(dir.context("the test lies in no profile's folder")?.to_owned())
}

/// `target`, wherever cargo was told to put it.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let profile = profile_dir()?;
    Ok(profile
        .parent()
        .context("the profile's folder lies in none")?
        .to_owned())
}
