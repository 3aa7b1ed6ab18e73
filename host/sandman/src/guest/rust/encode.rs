//! Turns a core module into a component.

use std::fs;
use std::path::Path;

use wit_component::ComponentEncoder;

use super::package::Package;
use super::{Rust, Toolchain};
use crate::guest::BuildError;

/// The component of the module.
pub(super) fn component(package: &Package, module: &Path) -> Result<Vec<u8>, BuildError> {
    let file = |source| BuildError::File {
        path: module.to_owned(),
        source,
    };
    let module = fs::read(module).map_err(file)?;
    let encoded = ComponentEncoder::default()
        .validate(true)
        .debug_names(false)
        .module(&module)
        .and_then(|mut encoder| encoder.encode());
    encoded.map_err(|fault| BuildError::Component {
        package: package.name.clone(),
        reason: format!("{fault:#}"),
        hint: Rust.no_handler(),
    })
}
