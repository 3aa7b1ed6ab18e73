//! The location of the store: its folder, its file's mode, and the lock that prevents a second host.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::open_error::OpenError;

/// The canonical path of the store's file, with links resolved; creates its folder if it is missing, accessible only to
/// its owner, because states are personal data.
pub(super) fn prepare(path: &Path) -> Result<PathBuf, OpenError> {
    if let Ok(whole) = fs::canonicalize(path) {
        return Ok(whole);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let refused = |source| OpenError::Folder {
        path: folder.to_owned(),
        source,
    };
    make_folder(folder).map_err(refused)?;
    let name = path
        .file_name()
        .ok_or_else(|| OpenError::NoFile { path: path.to_owned() })?;
    Ok(fs::canonicalize(folder).map_err(refused)?.join(name))
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Creates an empty file that only its owner can access if there is none; SQLite gives its log the same mode.
pub(super) fn make_file(path: &Path) -> Result<(), OpenError> {
    match options().open(path) {
        Ok(_) => Ok(()),
        Err(source) if path.is_dir() || source.kind() == io::ErrorKind::IsADirectory => {
            Err(OpenError::NoFile { path: path.to_owned() })
        }
        Err(source) => Err(OpenError::ReadOnly {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Rewrites the log of the store at `path` in place, and waits until it is on disk.
///
/// After a failed fsync, the system marks the written pages as clean: they can be read, but are not on disk, and no
/// later fsync writes them. A host that continued after such commits would lose them and all of its own in a power
/// failure. There is a log only if the previous host did not end cleanly, usually of 128 MiB at most.
pub(super) fn write_log_again(path: &Path) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    let mut log = match OpenOptions::new().read(true).write(true).open(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        log => log?,
    };
    let mut part = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        log.seek(io::SeekFrom::Start(at))?;
        let length = log.read(&mut part)?;
        let Some(part) = part.get(..length).filter(|part| !part.is_empty()) else {
            return log.sync_all();
        };
        log.seek(io::SeekFrom::Start(at))?;
        log.write_all(part)?;
        at += length as u64;
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The lock on the store, held until it is dropped or the process ends, however it ends.
///
/// It is on a separate file, because closing any handle of a database file would release SQLite's own locks. The file
/// stays when the lock is released: removing it would race with the next host.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the store at `path`.
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = PathBuf::from(name);
        let failed = |source| OpenError::Lock {
            path: lock.clone(),
            source,
        };
        let mut file = options().open(&lock).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Locked {
                    path: path.to_owned(),
                    holder: holder(&mut file),
                    lock,
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// The process that holds the lock, according to its file.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(20).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(id)) => format!("process {id}"),
        _ => "another process".to_owned(),
    }
}
