//! A guest starts with the dependency versions with which Sandman was tested, which are already on this machine.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use super::package::cargo;

/// Copies the lock file of the SDK's workspace, reduced by cargo to the guest's dependencies. Best effort: without a
/// lock file cargo chooses the newest versions at the first build.
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
        // The complete file would do no harm, but be hard to read.
        let _ = fs::remove_file(&lock);
    }
}
