//! The Go release for a guest.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::guest::BuildError;

/// A Go release on this machine: the installed one, or the one in the guest's go.mod, which `go` has downloaded.
pub(super) struct GoRelease {
    program: PathBuf,
    /// The folder of its sources.
    pub(super) root: PathBuf,
}

impl GoRelease {
    /// The release for the guest in `dir`.
    pub(super) fn of(dir: &Path) -> Result<Self, BuildError> {
        let asked = go(Path::new("go"), dir).args(["env", "GOROOT", "GOMODCACHE"]).output();
        let output = asked.map_err(failed)?;
        if !output.status.success() {
            return Err(BuildError::Manifest {
                manifest: dir.join("go.mod"),
                problem: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
            });
        }
        let said = String::from_utf8_lossy(&output.stdout);
        let mut lines = said.lines().map(PathBuf::from);
        let (root, downloads) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        if !root.starts_with(&downloads) {
            let program = PathBuf::from("go");
            return Ok(Self { program, root });
        }
        // `go` does not allow replacing files in its download folder, where pinned releases are; a link with another
        // name avoids this.
        let link = super::folder(dir).join("root");
        relink(&root, &link).map_err(|source| BuildError::File {
            path: link.clone(),
            source,
        })?;
        Ok(Self {
            program: link.join("bin/go"),
            root: link,
        })
    }

    /// `go` of this release, in the guest's folder.
    pub(super) fn go(&self, dir: &Path) -> Command {
        let mut go = go(&self.program, dir);
        go.env("GOROOT", &self.root).env("GOTOOLCHAIN", "local");
        go
    }
}

fn relink(to: &Path, link: &Path) -> io::Result<()> {
    if fs::read_link(link).is_ok_and(|there| there == to) {
        return Ok(());
    }
    if let Some(folder) = link.parent() {
        fs::create_dir_all(folder)?;
    }
    // Removes the link to an earlier release, if any.
    let _ = fs::remove_file(link);
    symlink(to, link)
}

fn go(program: &Path, dir: &Path) -> Command {
    let mut go = Command::new(program);
    go.current_dir(dir)
        .env("GOOS", "wasip1")
        .env("GOARCH", "wasm")
        .env("CGO_ENABLED", "0")
        // The user's settings for other programs must not affect a component.
        .env("GOWASM", "")
        .env("GOFLAGS", "")
        .env("GOWORK", "off")
        .stdin(Stdio::null());
    go
}

pub(super) fn failed(source: io::Error) -> BuildError {
    BuildError::Tool {
        tool: "go".to_owned(),
        source,
    }
}
