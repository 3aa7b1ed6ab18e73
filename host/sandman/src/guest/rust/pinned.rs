//! A guest starts with the versions that Sandman itself was tested with, which are on this machine already.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use super::package::cargo;

/// Takes over the lock file of the SDK's workspace, cut down by cargo to what the guest needs. Best effort: without a
/// lock file cargo looks for the newest versions at the first build.
pub(super) fn pin(dir: &Path, sdk: &Path) {
    let lock = dir.join("Cargo.lock");
    let Some(known) = sdk
        .ancestors()
        .map(|folder| folder.join("Cargo.lock"))
        .find(|file| file.is_file())
    else {
        return;
    };
    if fs::copy(known, &lock).is_err() {
        return;
    }
    let cut = cargo()
        .args(["update", "--workspace", "--offline", "--quiet"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !cut.is_ok_and(|status| status.success()) {
        // All of it would do no harm, but be in the way of whoever reads it.
        let _ = fs::remove_file(&lock);
    }
}
