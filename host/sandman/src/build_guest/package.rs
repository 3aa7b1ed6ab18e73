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

/// A crate that can be a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crate {
    /// Its name, which is also its component's.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
}

/// The crates that can be guests: the one in `dir`, and those of its workspace.
///
/// # Errors
///
/// If there is no crate and no workspace in `dir`, or no cargo.
pub fn crates(dir: &Path) -> Result<Vec<Crate>, BuildError> {
    let (_, metadata) = metadata(dir)?;
    let guests = metadata.packages.into_iter().filter(Found::is_cdylib);
    let named = guests.filter_map(|found| {
        Some(Crate {
            dir: found.manifest_path.parent()?.to_owned(),
            name: found.name,
        })
    });
    Ok(named.collect())
}

pub(super) fn find(dir: &Path) -> Result<Package, BuildError> {
    let (manifest, metadata) = metadata(dir)?;
    // cargo says where it found the manifest, which may be through a link.
    let same = |found: &Found| found.manifest_path.canonicalize().is_ok_and(|path| path == manifest);
    let no_crate = || BuildError::NoCrate { dir: dir.to_owned() };
    let found = metadata.packages.into_iter().find(same).ok_or_else(no_crate)?;
    if !found.is_cdylib() {
        let (package, manifest) = (found.name, found.manifest_path);
        return Err(BuildError::NoCdylib { package, manifest });
    }
    Ok(Package {
        name: found.name,
        manifest: found.manifest_path,
        target_dir: metadata.target_directory,
    })
}

impl Found {
    fn is_cdylib(&self) -> bool {
        let mut kinds = self.targets.iter().flat_map(|target| &target.crate_types);
        kinds.any(|kind| kind == "cdylib")
    }
}

/// What cargo says of the manifest in `dir`, and where that is.
fn metadata(dir: &Path) -> Result<(PathBuf, Metadata), BuildError> {
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
    let metadata = serde_json::from_slice(&output.stdout).map_err(|fault| unreadable(fault.to_string()))?;
    Ok((manifest, metadata))
}
