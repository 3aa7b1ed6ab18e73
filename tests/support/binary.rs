//! The `sandman` binary of the profile that the tests were built with.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, anyhow, bail};

use crate::Result;
use crate::paths::{profile_dir, repository, target_dir};

/// The `sandman` binary of this profile, brought up to date at the first use.
pub(crate) fn sandman() -> Result<PathBuf> {
    static BINARY: OnceLock<Result<PathBuf>> = OnceLock::new();
    let binary = BINARY.get_or_init(|| build("sandman", &[])).as_ref();
    binary.cloned().map_err(|error| anyhow!("{error:#}"))
}

/// The same binary with faults compiled in.
pub(crate) fn faulty() -> Result<PathBuf> {
    static BINARY: OnceLock<Result<PathBuf>> = OnceLock::new();
    let build = || build("sandman-faulty", &["--features", "sandman/faults"]);
    let binary = BINARY.get_or_init(build).as_ref();
    binary.cloned().map_err(|error| anyhow!("{error:#}"))
}

/// `cargo test` builds the library, and the binary only for tests of its own package. The whole workspace is named so that
/// cargo chooses the same features as for the tests, and nothing but the binary itself is left to build.
fn build(name: &str, features: &[&str]) -> Result<PathBuf> {
    let profile_dir = profile_dir()?;
    let binary = profile_dir.join(name);
    let Some(cargo) = std::env::var_os("CARGO") else {
        // Not started by cargo: whoever did has built it.
        return binary
            .exists()
            .then_some(binary)
            .with_context(|| format!("there is no `{name}` beside the tests; run `cargo build`"));
    };
    let profile = profile_dir
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let profile = if profile == "debug" { "dev" } else { profile };
    let built = Command::new(cargo)
        .args(["build", "--workspace", "--bin", name, "--profile", profile])
        .args(features)
        .arg("--target-dir")
        .arg(target_dir()?)
        .current_dir(repository())
        .output()
        .context("cargo does not start")?;
    if !built.status.success() {
        bail!("`{name}` does not build:\n{}", String::from_utf8_lossy(&built.stderr));
    }
    Ok(binary)
}
