//! Installs the dependencies of a guest with npm, according to its lock file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::guest::{BuildError, GuestPackage, Progress};

/// Records what `node_modules` was installed from, so that an unchanged build installs nothing.
const STAMP: &str = "node_modules/.sandman-installed";

/// Installs missing packages. Without a lock file npm chooses the versions and writes one.
pub(super) fn install(package: &GuestPackage, progress: &Progress) -> Result<(), BuildError> {
    let dir = &package.dir;
    let lock = dir.join("package-lock.json");
    if fs::read_to_string(dir.join(STAMP)).is_ok_and(|stamp| wanted(dir).as_deref() == Some(&*stamp)) {
        return Ok(());
    }
    let how = if lock.is_file() { "ci" } else { "install" };
    let arguments = [how, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    progress.step("installing the packages of", &package.name);
    let output = Command::new("npm")
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| BuildError::Tool {
            tool: "npm".to_owned(),
            source,
        })?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        return Err(BuildError::Dependencies {
            package: package.name.clone(),
            command: format!("npm {how}"),
            output: String::from_utf8_lossy(&said).trim_end().to_owned(),
        });
    }
    if let Some(stamp) = wanted(dir) {
        // Without it everything is installed again by the next build.
        let _ = fs::write(dir.join(STAMP), stamp);
    }
    Ok(())
}

/// The stamp that `node_modules` should have.
fn wanted(dir: &Path) -> Option<String> {
    let file = |name: &str| -> Option<String> {
        let path: PathBuf = dir.join(name);
        fs::read(path).ok().map(|bytes| sandman_core::digest(&bytes))
    };
    Some(format!("{} {}", file("package.json")?, file("package-lock.json")?))
}
