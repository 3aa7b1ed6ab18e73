//! A disk of some megabytes, in memory, for what fills it up. It goes with the process that has it. Only root may have one.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};

use crate::Result;

/// Ends with the standard input, which ends with the process that holds the other side. It belongs to nobody, as the server does
/// that uses it.
const SCRIPT: &str = r#"
mount -t tmpfs -o "size=$2,mode=0700,uid=65534,gid=65534" tmpfs "$1" || { rmdir "$1"; exit 1; }
echo mounted
read -r end
umount -l "$1"
rmdir "$1"
"#;

/// A small disk. Gone when dropped.
pub struct SmallDisk {
    folder: PathBuf,
    process: Child,
}

impl SmallDisk {
    /// Whether this process may mount one.
    pub(crate) fn can_be_had() -> bool {
        rustix::process::geteuid().is_root() && Self::start(1).is_ok()
    }

    /// Mounts one of so many megabytes.
    ///
    /// # Errors
    /// If that is not allowed.
    pub fn start(megabytes: usize) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("sandman-disk-").tempdir()?.keep();
        let mut process = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(&folder)
            .arg(format!("{megabytes}m"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("sh")?;
        let mut said = String::new();
        let stdout = process.stdout.take().context("no stdout")?;
        BufReader::new(stdout).read_line(&mut said)?;
        let disk = Self { folder, process };
        ensure!(said.trim() == "mounted", "no disk can be mounted");
        Ok(disk)
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Fills it to the last byte.
    ///
    /// # Errors
    /// If it is not full then.
    pub fn fill(&self) -> Result {
        let mut ballast = File::create(self.ballast())?;
        let page = vec![1; 4 << 10];
        while ballast.write_all(&page).is_ok() {}
        let more = File::create(self.folder.join("more")).and_then(|mut file| file.write_all(&page));
        ensure!(more.is_err(), "there is room still");
        Ok(())
    }

    /// Frees it again.
    ///
    /// # Errors
    /// If it was not filled.
    pub fn free(&self) -> Result {
        std::fs::remove_file(self.ballast()).context("the ballast")
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
