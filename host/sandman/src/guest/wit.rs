//! The contract, which this binary carries: a component is made for the host that it is built with.

use std::fs;
use std::path::{Path, PathBuf};

use crate::build_guest::BuildError;

pub(super) const FILES: [(&str, &str); 4] = [
    ("event-handler.wit", include_str!("../../../../wit/event-handler.wit")),
    ("event-types.wit", include_str!("../../../../wit/event-types.wit")),
    ("handler.wit", include_str!("../../../../wit/handler.wit")),
    ("log.wit", include_str!("../../../../wit/log.wit")),
];

/// Writes the WIT package into `folder`, where it is not there as it should be.
pub(super) fn write(folder: &Path) -> Result<PathBuf, BuildError> {
    for (name, text) in FILES {
        let path = folder.join(name);
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            continue;
        }
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, text));
        written.map_err(|source| BuildError::File { path, source })?;
    }
    Ok(folder.to_owned())
}
