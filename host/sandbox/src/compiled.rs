//! Compiled code on disk, so that a start need not compile again.
//!
//! Loading compiled code runs it, so anybody who can write these files controls the host. Therefore the directory is
//! accessible only to its owner (0700), a file's name is derived from its inputs (the component's digest, wasmtime's
//! version and settings), and its content is checked against its own SHA-256 before it is loaded. Files from elsewhere
//! are never loaded this way.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use tracing::warn;
use wasmtime::Engine;
use wasmtime::component::Component;

/// The length of the digest before the code.
const DIGEST: usize = 32;

/// The directory of compiled code.
pub(super) struct Compiled {
    dir: PathBuf,
    /// A digest of everything that makes code of one engine unusable for another.
    engine: String,
}

/// Why compiled code cannot be used.
pub(super) enum Unusable {
    /// There is no such file, or it is damaged.
    Missing,
    /// The engine refuses it, for example because the component has too many tables.
    Refused(wasmtime::Error),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => {
                f.write_str("its compiled code is already gone or damaged; check the folder host.compiled")
            }
            Self::Refused(fault) => write!(f, "{fault:#}"),
        }
    }
}

impl Compiled {
    /// Opens the directory, which is created if it is missing.
    pub(super) fn open(dir: &Path, engine: &Engine) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let found = fs::metadata(dir)?;
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it belongs to another user",
            ));
        }
        if found.mode() & 0o077 != 0 {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        }
        Ok(Self::of(dir, engine))
    }

    /// The directory, if it is there and this user's alone; nothing of it is changed.
    pub(super) fn to_read(dir: &Path, engine: &Engine) -> Option<Self> {
        let found = fs::metadata(dir).ok()?;
        let is_ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o077 == 0;
        is_ours.then(|| Self::of(dir, engine))
    }

    fn of(dir: &Path, engine: &Engine) -> Self {
        let mut settings = Settings(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut settings);
        Self {
            dir: dir.to_owned(),
            engine: format!("{:x}", settings.0.finalize()).chars().take(16).collect(),
        }
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.dir.join(format!("{digest}-{}.compiled", self.engine))
    }

    /// The component from its compiled code.
    pub(super) fn load(&self, engine: &Engine, digest: &str) -> Result<Component, Unusable> {
        let path = self.path(digest);
        let bytes = fs::read(&path).map_err(|_| Unusable::Missing)?;
        let (stored, code) = bytes.split_at_checked(DIGEST).ok_or(Unusable::Missing)?;
        if stored != Sha256::digest(code).as_slice() {
            warn!(path = %path.display(), "compiled code is damaged; the component is compiled again");
            return Err(Unusable::Missing);
        }
        // SAFETY: the code was written by `store` below from `Engine::precompile_component`: the directory is
        // accessible only to us, the name identifies component and engine, the digest shows that the file is complete,
        // and the bytes cannot change any more since they are in our own memory.
        #[expect(unsafe_code, reason = "the only way to load compiled code; see the comment above")]
        let component = unsafe { Component::deserialize(engine, code) };
        component.map_err(Unusable::Refused)
    }

    /// Removes compiled code.
    pub(super) fn remove(&self, digest: &str) {
        // If it is missing or cannot be removed, the only cost is disk space.
        let _ = fs::remove_file(self.path(digest));
    }

    /// Stores compiled code. A file appears completely or not at all.
    pub(super) fn store(&self, digest: &str, code: &[u8]) -> io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let path = self.path(digest);
        let unique = format!("tmp-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let partial = path.with_extension(unique);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)
            .and_then(|mut file| {
                file.write_all(&Sha256::digest(code))?;
                file.write_all(code)?;
                file.sync_all()?;
                fs::rename(&partial, &path)
            });
        if written.is_err() {
            // Nothing more can be done for a file that could not be written.
            let _ = fs::remove_file(&partial);
        }
        written
    }
}

/// Hashes wasmtime's version and settings, which are accessible only through `Hash`.
struct Settings(Sha256);

impl Hasher for Settings {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}
