//! Runs the Go compiler.

use std::fs;
use std::path::Path;

use super::release::{GoRelease, failed};
use crate::guest::{BuildError, GuestPackage};

/// Compiles the guest to a core module.
pub(super) fn compile(package: &GuestPackage, overlay: &Path, release: &GoRelease) -> Result<Vec<u8>, BuildError> {
    let made = super::folder(&package.dir).join(format!("{}.{}.wasm", package.name, std::process::id()));
    let output = release
        .go(&package.dir)
        .arg("build")
        .arg("-overlay")
        .arg(overlay)
        // A library whose functions the host calls, without repository state, local paths and symbols; panics still
        // have their lines.
        .args(["-buildmode=c-shared", "-buildvcs=false", "-trimpath", "-ldflags=-s -w"])
        .arg("-o")
        .arg(&made)
        .arg(".")
        .output()
        .map_err(failed)?;
    let module = match output.status.success() {
        true => fs::read(&made).map_err(|source| BuildError::File {
            path: made.clone(),
            source,
        }),
        false => Err(BuildError::Compile {
            package: package.name.clone(),
            output: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
        }),
    };
    // It is missing if the build failed.
    let _ = fs::remove_file(&made);
    module
}
