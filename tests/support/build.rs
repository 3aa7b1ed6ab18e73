//! What a run needs built: the host's binary and the guests.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, anyhow, bail};
use sandman::build_guest::{BuildOptions, build};

use crate::Result;
use crate::paths::{profile_dir, repository, target_dir};

/// The `sandman` binary of this profile, brought up to date at the first use.
pub(crate) fn sandman() -> Result<PathBuf> {
    static BINARY: OnceLock<Result<PathBuf>> = OnceLock::new();
    let binary = BINARY.get_or_init(build_sandman).as_ref();
    binary.cloned().map_err(|error| anyhow!("{error:#}"))
}

/// `cargo test` builds the library, and the binary only for tests of its own package. The whole workspace is named so that
/// cargo chooses the same features as for the tests, and nothing but the binary itself is left to build.
fn build_sandman() -> Result<PathBuf> {
    let profile_dir = profile_dir()?;
    let binary = profile_dir.join("sandman");
    let Some(cargo) = std::env::var_os("CARGO") else {
        // Not started by cargo: whoever did has built it.
        return binary
            .exists()
            .then_some(binary)
            .context("there is no `sandman` beside the tests; run `cargo build`");
    };
    let profile = profile_dir
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let profile = if profile == "debug" { "dev" } else { profile };
    let built = Command::new(cargo)
        .args(["build", "--workspace", "--bin", "sandman", "--profile", profile])
        .arg("--target-dir")
        .arg(target_dir()?)
        .current_dir(repository())
        .output()
        .context("cargo does not start")?;
    if !built.status.success() {
        bail!("`sandman` does not build:\n{}", String::from_utf8_lossy(&built.stderr));
    }
    Ok(binary)
}

/// The component of a guest in `tests/guests`, built with the code of `sandman build` at its first use.
///
/// # Errors
/// If it does not build.
pub fn guest(name: &str) -> Result<PathBuf> {
    static BUILT: OnceLock<Mutex<BTreeMap<String, PathBuf>>> = OnceLock::new();
    let built = BUILT.get_or_init(Mutex::default);
    let mut built = built.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = built.get(name) {
        return Ok(path.clone());
    }
    let options = BuildOptions {
        target_dir: Some(target_dir()?),
        ..BuildOptions::default()
    };
    let component = build(&repository().join("tests/guests").join(name), &options)?;
    built.insert(name.to_owned(), component.path.clone());
    Ok(component.path)
}
