//! Finds the crate of a guest through `cargo metadata`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::guest::{BuildError, GuestPackage};

/// The crate of a guest.
pub(super) struct Package {
    pub(super) name: String,
    pub(super) dir: PathBuf,
    pub(super) manifest: PathBuf,
    pub(super) target_dir: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<CargoPackage>,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct CargoPackage {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

/// The cargo that runs this process, or that in PATH.
pub(super) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The crates that can be guests: the one in `dir`, and those of its workspace.
pub(super) fn all(dir: &Path) -> Result<Vec<GuestPackage>, BuildError> {
    let (_, metadata) = metadata(dir)?;
    let target_dir = metadata.target_directory;
    let guests = metadata.packages.into_iter().filter(CargoPackage::is_cdylib);
    Ok(guests
        .filter_map(|found| found.package(target_dir.clone()))
        .map(Package::guest)
        .collect())
}

pub(super) fn find(dir: &Path) -> Result<Package, BuildError> {
    let (manifest, metadata) = metadata(dir)?;
    // cargo reports the manifest's path, which may go through a link.
    let same = |found: &CargoPackage| found.manifest_path.canonicalize().is_ok_and(|path| path == manifest);
    let no_crate = || BuildError::NoCrate { dir: dir.to_owned() };
    let found = metadata.packages.into_iter().find(same).ok_or_else(no_crate)?;
    if !found.is_cdylib() {
        let (package, manifest) = (found.name, found.manifest_path);
        return Err(BuildError::NoCdylib { package, manifest });
    }
    found.package(metadata.target_directory).ok_or_else(no_crate)
}

impl Package {
    pub(super) fn guest(self) -> GuestPackage {
        GuestPackage {
            name: self.name,
            dir: self.dir,
            out_dir: self.target_dir.join("sandman"),
        }
    }
}

impl CargoPackage {
    fn package(self, target_dir: PathBuf) -> Option<Package> {
        Some(Package {
            name: self.name,
            dir: self.manifest_path.parent()?.to_owned(),
            manifest: self.manifest_path,
            target_dir,
        })
    }

    fn is_cdylib(&self) -> bool {
        let mut kinds = self.targets.iter().flat_map(|target| &target.crate_types);
        kinds.any(|kind| kind == "cdylib")
    }
}

/// cargo's metadata for the manifest in `dir`, and its path.
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
