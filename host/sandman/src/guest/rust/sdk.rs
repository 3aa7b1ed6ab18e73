//! Finds the SDK: it is not published, so a guest refers to its folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::guest::NewError;

/// The SDK beside the sources that this binary was built from.
const BUILT_WITH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest/sdk");

/// The folder of the SDK: the given one, or the one with which this binary was built.
///
/// # Errors
/// [`NewError::NoSdk`] if it does not exist.
pub(super) fn find(named: Option<&Path>) -> Result<PathBuf, NewError> {
    let dir = named.unwrap_or(Path::new(BUILT_WITH));
    let no_sdk = || NewError::NoSdk {
        dir: dir.to_owned(),
        place: "guest/sdk",
        guessed: named.is_none(),
    };
    let manifest = fs::read_to_string(dir.join("Cargo.toml")).map_err(|_| no_sdk())?;
    let manifest: toml::Table = manifest.parse().map_err(|_| no_sdk())?;
    let name = manifest.get("package").and_then(|package| package.get("name"));
    if name.and_then(toml::Value::as_str) != Some("sandman-sdk") {
        return Err(no_sdk());
    }
    dir.canonicalize().map_err(|_| no_sdk())
}
