//! The release of Go that a guest is compiled with.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::guest::BuildError;

/// A release of Go on this machine: the one that is installed, or the one that the guest's go.mod pins, which `go` has
/// downloaded.
pub(super) struct GoRelease {
    program: PathBuf,
    /// Where its sources are.
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
        // `go` lets nothing replace files in its folder of downloads, where a release that go.mod pins is as well; but it may
        // be called another name.
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
    // Another release was pinned before, or there is none.
    let _ = fs::remove_file(link);
    symlink(to, link)
}

fn go(program: &Path, dir: &Path) -> Command {
    let mut go = Command::new(program);
    go.current_dir(dir)
        .env("GOOS", "wasip1")
        .env("GOARCH", "wasm")
        .env("CGO_ENABLED", "0")
        // What a user has set for their own programs is not for a component.
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
