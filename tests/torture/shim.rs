//! A disk that fails when it is told to: a small library in C, preloaded into the host. See `shim.c` for what it does.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};

use crate::paths::{repository, target_dir};
use crate::{Result, Settings};

use super::Run;
use super::vitals::size_of;

/// How the disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No file can grow.
    Full,
    /// What was written cannot be made durable.
    Fsync,
    /// The same, once.
    FsyncOnce,
    /// Nothing can be written: how Linux mounts a disk anew that had errors.
    ReadOnly,
}

impl Failure {
    fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Fsync => "fsync",
            Self::FsyncOnce => "once",
            Self::ReadOnly => "readonly",
        }
    }
}

/// The disk under the store of a run's host.
pub(super) struct Disk {
    /// Where the library is told what to do.
    orders: PathBuf,
    /// Where the store's files are.
    data: PathBuf,
}

impl Disk {
    pub(super) fn new(run: &Run<'_>) -> Result<Self> {
        let orders = run.world.folder().join("disk");
        for kind in ["disk", "dirty", "gone"] {
            fs::create_dir_all(orders.join(kind))?;
        }
        let data = run.world.folder().join("data");
        Ok(Self { orders, data })
    }

    /// A host with these settings keeps its store on this disk.
    pub(super) fn under(&self, settings: &Settings) -> Result<Settings> {
        let library = library()?;
        Ok(settings
            .clone()
            .variable("TORTURE_DISK", &self.orders.to_string_lossy())
            .variable("LD_PRELOAD", &library.to_string_lossy()))
    }

    /// Fails from now on.
    pub(super) fn breaks(&self, how: Failure) -> Result {
        Ok(fs::write(self.orders.join(how.name()), "")?)
    }

    /// Works again.
    pub(super) fn heals(&self) -> Result {
        for how in [Failure::Full, Failure::Fsync, Failure::FsyncOnce, Failure::ReadOnly] {
            match fs::remove_file(self.orders.join(how.name())) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// How often it has failed so.
    pub(super) fn failures(&self, how: Failure) -> u64 {
        size_of(&self.orders.join(format!("did-{}", how.name())))
    }

    /// Waits, not for long, until something is written that the disk does not have.
    pub(super) fn while_writing(&self) {
        let end = Instant::now() + Duration::from_secs(1);
        let log = self.orders.join("dirty/sandman.db-wal");
        while size_of(&log) == 0 && Instant::now() < end {
            std::thread::yield_now();
        }
    }

    /// The power is lost: of the store is left what the disk has. No host may run. Answers how many writes are lost.
    pub(super) fn loses_power(&self) -> Result<u64> {
        let dirty = names(&self.orders.join("dirty"))?;
        // A place and a length each.
        let lost = dirty
            .iter()
            .map(|name| size_of(&self.orders.join("dirty").join(name)) / 16);
        let lost = lost.sum();
        let on_disk = names(&self.orders.join("disk"))?;
        ensure!(
            on_disk.contains("sandman.db"),
            "the disk never had a store: this shows nothing"
        );
        for name in names(&self.data)?.iter().filter(|name| is_of_store(name)) {
            fs::remove_file(self.data.join(name))?;
        }
        for name in &on_disk {
            fs::copy(self.orders.join("disk").join(name), self.data.join(name))?;
        }
        for kind in ["dirty", "gone"] {
            let folder = self.orders.join(kind);
            names(&folder)?
                .iter()
                .try_for_each(|name| fs::remove_file(folder.join(name)))?;
        }
        Ok(lost)
    }
}

fn is_of_store(name: &str) -> bool {
    name.starts_with("sandman.db") && !name.ends_with(".lock")
}

fn names(folder: &Path) -> Result<BTreeSet<String>> {
    let all = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    all.map(|file| Ok(file?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// The library, built at its first use with the compiler that SQLite was built with.
fn library() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let library = target_dir()?.join("torture").join("shim.so");
        fs::create_dir_all(target_dir()?.join("torture"))?;
        // A host of another run may have it open.
        let fresh = library.with_extension(format!("{}.so", std::process::id()));
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let made = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&fresh)
            .arg(repository().join("tests/torture/shim.c"))
            .args(["-ldl", "-lpthread"])
            .output()
            .context("there is no C compiler")?;
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        fs::rename(&fresh, &library)?;
        Ok(library)
    });
    let built = built
        .as_ref()
        .map_err(|error| anyhow!("the failing disk does not build: {error:#}"));
    built.cloned()
}
