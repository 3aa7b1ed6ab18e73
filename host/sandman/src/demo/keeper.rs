//! Cleans up after a demo that was killed and could not do it itself.
//!
//! A shell waits for the end of our pipe, which the kernel closes when we end in any way; then it removes the folder.
//! The host ends on its own (`--with-parent`). Signals of the terminal are for us, so the shell ignores them.

use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result};

/// A host that was killed at the same moment may still create a file, so it tries twice.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
read -r end
rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }
"#;

/// Removes a folder when it is dropped, and when this process ends without dropping anything.
pub(super) struct Keeper {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Keeper {
    /// Starts a keeper for a folder.
    pub(super) fn of(folder: &Path) -> Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "sandman demo"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("`sh`, which clears up behind the demo, does not start")?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // The shell may have been killed.
        let _ = self.shell.wait();
    }
}
