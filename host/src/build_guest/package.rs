//! Finds the crate of a guest through `cargo metadata`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::BuildError;

/// The crate of a guest.
pub(super) struct Package {
    pub(super) name: String,
    pub(super) manifest: PathBuf,
    pub(super) target_dir: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Found>,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Found {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

/// cargo as it was called, or as it is found on the path.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

pub(super) fn find(dir: &Path) -> Result<Package, BuildError> {
    let no_crate = || BuildError::NoCrate { dir: dir.to_owned() };
    let manifest = dir.join("Cargo.toml").canonicalize().map_err(|_| no_crate())?;
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--no-deps", "--manifest-path"])
        .arg(&manifest)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| BuildError::Tool {
            tool: "cargo".to_owned(),
            source,
        })?;
    let unreadable = |output: String| BuildError::Metadata {
        dir: dir.to_owned(),
        output,
    };
    if !output.status.success() {
        return Err(unreadable(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout).map_err(|fault| unreadable(fault.to_string()))?;
    // cargo says where it found the manifest, which may be through a link.
    let same = |found: &Found| found.manifest_path.canonicalize().is_ok_and(|path| path == manifest);
    let found = metadata.packages.into_iter().find(same).ok_or_else(no_crate)?;
    if !found
        .targets
        .iter()
        .any(|target| target.crate_types.iter().any(|kind| kind == "cdylib"))
    {
        let (package, manifest) = (found.name, found.manifest_path);
        return Err(BuildError::NoCdylib { package, manifest });
    }
    Ok(Package {
        name: found.name,
        manifest: found.manifest_path,
        target_dir: metadata.target_directory,
    })
}
