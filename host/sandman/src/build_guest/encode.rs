//! Makes a core module a component and puts it in its place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use wit_component::ComponentEncoder;

use super::BuildError;
use super::package::Package;

/// The component of the module, checked as the host checks it when it loads one.
pub(super) fn component(package: &Package, module: &Path) -> Result<Vec<u8>, BuildError> {
    let file = |source| BuildError::File {
        path: module.to_owned(),
        source,
    };
    let no_handler = |reason: String| BuildError::Component {
        package: package.name.clone(),
        reason,
    };
    let module = fs::read(module).map_err(file)?;
    let encoded = ComponentEncoder::default()
        .validate(true)
        .debug_names(false)
        .module(&module)
        .and_then(|mut encoder| encoder.encode());
    let component = encoded.map_err(|fault| no_handler(format!("{fault:#}")))?;
    sandman_sandbox::inspect(&package.name, &component).map_err(|fault| no_handler(fault.to_string()))?;
    Ok(component)
}

/// Writes `<out_dir>/<name>.wasm`. Whoever watches the file sees the old one or the new one, never half of one; and the
/// old one stays untouched if nothing has changed.
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
