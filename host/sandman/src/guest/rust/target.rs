//! Ensures that the current toolchain can compile for WebAssembly.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::TARGET;
use crate::guest::{BuildError, Progress};

/// Adds the target with rustup if it is missing, and reports it.
pub(super) fn ensure(dir: &Path, progress: &Progress) -> Result<(), BuildError> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let libraries = print(&rustc, "target-libdir", dir)?;
    if Path::new(&libraries).is_dir() {
        return Ok(());
    }
    let sysroot = print(&rustc, "sysroot", dir)?;
    // The toolchain's directory has its name in rustup, so that no other toolchain is changed, whatever environment
    // variables or files say.
    let toolchain = Path::new(&sysroot).file_name().unwrap_or_default();
    progress.say(&format!("adding the Rust target {TARGET} to {}", toolchain.display()));
    let added = Command::new("rustup")
        .args(["target", "add", TARGET, "--toolchain"])
        .arg(toolchain)
        .stdin(Stdio::null())
        .output();
    match added {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(BuildError::Rustup {
            output: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
        }),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Err(BuildError::NoTarget { sysroot }),
        Err(source) => Err(BuildError::Tool {
            tool: "rustup".to_owned(),
            source,
        }),
    }
}

fn print(rustc: &str, what: &str, dir: &Path) -> Result<String, BuildError> {
    let output = Command::new(rustc)
        .args(["--print", what, "--target", TARGET])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| BuildError::Tool {
            tool: rustc.to_owned(),
            source,
        })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(BuildError::Compile {
        package: dir.display().to_string(),
        output: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
    })
}
