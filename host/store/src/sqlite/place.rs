//! Where the store lies: its folder, its file's mode, and the lock that keeps a second host away.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::open_error::OpenError;

/// The one path that stands for the store's file, whatever links lead to it, and its folder in being. A folder that is
/// missing is made for its owner alone: states are about people.
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

/// Makes an empty file for its owner alone if there is none; SQLite gives its log the same mode.
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

/// Writes the log of the store at `path` once more, over itself, and waits until the disk has it.
///
/// After an fsync that failed, the system takes what was written for clean: it can be read, and is not on the disk, and no
/// later fsync mends that. A host that found commits there and went on behind them would lose them and all of its own when
/// the power goes. Only after a host that did not end well is there anything to do, 128 MiB at most as a rule.
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
/// It lies on a file of its own, because closing any handle of a database file would give up SQLite's own locks. The
/// file stays when the lock goes: removing it would race with the next host.
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

/// Who holds the lock, as far as its file tells.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(20).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(id)) => format!("process {id}"),
        _ => "another process".to_owned(),
    }
}
