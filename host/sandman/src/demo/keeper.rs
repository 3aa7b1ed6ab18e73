//! Clears up behind a demo that was killed and could not do it itself.
//!
//! A shell waits for the end of our pipe, which the kernel closes when we end, however that is; then it removes the folder.
//! The host goes by itself (`--with-parent`). A signal of the terminal is for us, so the shell ignores it.

use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result};

/// A host that was killed at the same moment may still be making a file: once more, then.
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
    /// Begins to watch over a folder.
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
        // A shell that somebody killed has nothing to wait for.
        let _ = self.shell.wait();
    }
}
