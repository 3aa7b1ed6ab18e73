//! Guests in TypeScript and JavaScript: npm installs the packages of `package-lock.json`, and the SDK's build script
//! bundles the guest with esbuild, checks its types with tsc, and builds a component from the bundle and QuickJS.

mod dependencies;
mod files;
mod manifest;
mod script;

use std::path::Path;

use super::missing::{install_command, version_of};
use super::{
    BuildError, BuildOptions, GuestPackage, MissingTool, NewError, Progress, SdkPlace, TemplateFiles, Toolchain,
};

/// The oldest Node.js that the build's tools support.
const NODE: u32 = 20;
/// Packages that a guest depends on.
const DEPENDENCIES: &[&str] = &[
    "sandman-sdk",
    "componentize-qjs",
    "esbuild",
    "typescript",
    "node-modules",
];

/// The toolchain of TypeScript.
pub(super) struct TypeScript;

impl Toolchain for TypeScript {
    fn word(&self) -> &'static str {
        "ts"
    }

    fn title(&self) -> &'static str {
        "TypeScript"
    }

    fn manifest(&self) -> &'static str {
        "package.json"
    }

    fn written(&self) -> &'static [&'static str] {
        &["target", "node_modules", "package-lock.json"]
    }

    fn missing(&self) -> Option<MissingTool> {
        let install = || install_command("nodejs npm", "node", "https://nodejs.org/en/download");
        let Some(node) = version_of("node") else {
            return Some(MissingTool {
                needed: format!("Node.js {NODE} or newer"),
                found: None,
                install: install(),
            });
        };
        if !is_new_enough(&node) {
            return Some(MissingTool {
                needed: format!("Node.js {NODE} or newer"),
                found: Some(node),
                install: install_command("nodejs", "node", "https://nodejs.org/en/download"),
            });
        }
        version_of("npm").is_none().then(|| MissingTool {
            needed: "npm".to_owned(),
            found: None,
            install: install(),
        })
    }

    fn package(&self, dir: &Path) -> Result<GuestPackage, BuildError> {
        let manifest = manifest::read(dir)?;
        Ok(GuestPackage {
            name: manifest.name,
            out_dir: dir.join("target/sandman"),
            dir: dir.to_owned(),
        })
    }

    fn component(&self, package: &GuestPackage, _: &BuildOptions, progress: &Progress) -> Result<Vec<u8>, BuildError> {
        if let Some(missing) = self.missing() {
            return Err(BuildError::Missing(missing));
        }
        dependencies::install(package, progress)?;
        script::run(package, progress)
    }

    fn no_handler(&self) -> &'static str {
        "is its default export made by `defineHandler`?"
    }

    fn own_tests(&self) -> &'static str {
        "npm test"
    }

    fn tests_need_a_build(&self) -> bool {
        true
    }

    fn template(&self) -> TemplateFiles {
        files::TEMPLATE
    }

    fn sdk(&self, named: Option<&Path>) -> Result<SdkPlace, NewError> {
        let Some(dir) = named else {
            return Ok(SdkPlace::Copied {
                folder: "vendor/sandman-sdk",
                files: files::SDK,
            });
        };
        let named = manifest::read(dir)
            .ok()
            .filter(|manifest| manifest.name == "sandman-sdk");
        let found = named.and_then(|_| dir.canonicalize().ok());
        found.map(SdkPlace::Folder).ok_or_else(|| NewError::NoSdk {
            dir: dir.to_owned(),
            place: "guest/sdk-js",
            guessed: false,
        })
    }

    fn complete(&self, dir: &Path, sdk: &SdkPlace) {
        // The lock file is only for the copied SDK; npm writes another one at the first build.
        if let SdkPlace::Folder(_) = sdk {
            let _ = std::fs::remove_file(dir.join("package-lock.json"));
        }
    }

    fn reserved(&self) -> &'static [(&'static [&'static str], &'static str)] {
        &[(DEPENDENCIES, "a package that guests depend on has it")]
    }
}

/// Whether the output of `node --version`, such as `v20.20.2`, has a supported version.
fn is_new_enough(version: &str) -> bool {
    let major = version.trim_start_matches('v').split('.').next();
    major
        .and_then(|major| major.parse::<u32>().ok())
        .is_some_and(|major| major >= NODE)
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn the_version_of_node_is_read() {
        assert!(is_new_enough("v20.0.0") && is_new_enough("v24.1.0"));
        assert!(!is_new_enough("v18.20.4") && !is_new_enough("nonsense"));
    }
}
