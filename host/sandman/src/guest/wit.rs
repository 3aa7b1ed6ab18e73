//! The WIT package in this binary: a component is built for the contract of its host.

use std::fs;
use std::path::{Path, PathBuf};

use wit_parser::{PackageId, Resolve, SourceMap};

use super::BuildError;

pub(super) const FILES: [(&str, &str); 4] = [
    ("event-handler.wit", include_str!("../../../../wit/event-handler.wit")),
    ("event-types.wit", include_str!("../../../../wit/event-types.wit")),
    ("handler.wit", include_str!("../../../../wit/handler.wit")),
    ("log.wit", include_str!("../../../../wit/log.wit")),
];

/// Writes the WIT package into `folder`, unless it is already there.
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

/// The parsed WIT package.
pub(super) fn resolved() -> anyhow::Result<(Resolve, PackageId)> {
    let mut resolve = Resolve::default();
    let mut sources = SourceMap::new();
    for (name, text) in FILES {
        sources.push(Path::new(name), text);
    }
    let parsed = sources.parse().map_err(|(_, fault)| fault)?;
    let package = resolve.push_group(parsed)?;
    Ok((resolve, package))
}

/// The WIT package as registries keep it: a WebAssembly binary with the package's name, version and documentation.
///
/// # Errors
/// If the package cannot be encoded.
pub fn package() -> anyhow::Result<Vec<u8>> {
    let (resolve, package) = resolved()?;
    wit_component::encode(&resolve, package)
}

#[cfg(test)]
mod tests {
    use wit_component::{DecodedWasm, decode};

    use super::*;

    #[test]
    fn the_package_can_be_published() {
        let bytes = package().unwrap();
        let DecodedWasm::WitPackage(resolve, package) = decode(&bytes).unwrap() else {
            panic!("it is a component");
        };
        assert!(resolve.select_world(&[package], Some("event-handler")).is_ok());
        let package = &resolve.packages[package];
        assert_eq!(package.name.to_string(), "sandman:handler@0.1.0");
        let interfaces: Vec<_> = package.interfaces.keys().map(String::as_str).collect();
        assert_eq!(interfaces, ["event-types", "handler", "log"]);
        // Editors and registries show what is written in the sources.
        let documented = package.docs.contents.as_deref().unwrap_or_default();
        assert!(
            documented.starts_with("The contract between Sandman and a handler."),
            "{documented}"
        );
    }
}
