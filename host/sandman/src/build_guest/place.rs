//! Writes a component to its place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::BuildError;

/// Writes `<out_dir>/<name>.wasm`. A watcher of the file sees the old or the new one, never a part; an unchanged
/// component is not written again.
pub(super) fn write(out_dir: &Path, name: &str, component: &[u8]) -> Result<PathBuf, BuildError> {
    let path = out_dir.join(format!("{name}.wasm"));
    if fs::read(&path).is_ok_and(|old| old == component) {
        return Ok(path);
    }
    let partial = out_dir.join(format!(".{name}.{}.partial", std::process::id()));
    let written: io::Result<()> = fs::create_dir_all(out_dir)
        .and_then(|()| fs::write(&partial, component))
        .and_then(|()| fs::rename(&partial, &path));
    match written {
        Ok(()) => Ok(path),
        Err(source) => {
            // Nothing more can be done for a file that could not be written.
            let _ = fs::remove_file(&partial);
            Err(BuildError::File { path, source })
        }
    }
}
