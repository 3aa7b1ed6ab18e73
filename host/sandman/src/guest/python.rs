//! Guests in Python: pip installs the packages of `requirements.txt` into the guest's virtual environment, and
//! componentize-py builds a component from the guest, its packages and CPython.

mod compile;
mod environment;
mod files;
mod manifest;
mod unchanged;

use std::path::Path;

use super::missing::{install_command, version_of};
use super::{
    BuildError, BuildOptions, GuestPackage, MissingTool, NewError, Progress, SdkPlace, TemplateFiles, Toolchain,
};

/// The oldest Python, as its major and minor number, that the SDK's tests run on.
const PYTHON: (u32, u32) = (3, 11);
/// Packages that guests depend on.
const DEPENDENCIES: &[&str] = &["sandman-sdk", "componentize-py", "pytest"];

/// The toolchain of Python.
pub(super) struct Python;

impl Toolchain for Python {
    fn word(&self) -> &'static str {
        "py"
    }

    fn title(&self) -> &'static str {
        "Python"
    }

    fn manifest(&self) -> &'static str {
        "pyproject.toml"
    }

    fn written(&self) -> &'static [&'static str] {
        &["target", "__pycache__"]
    }

    fn missing(&self) -> Option<MissingTool> {
        let missing = |found| MissingTool {
            needed: format!("Python {}.{} or newer", PYTHON.0, PYTHON.1),
            found,
            install: install_command("python3 python3-venv", "python", "https://www.python.org/downloads"),
        };
        match version_of("python3") {
            None => Some(missing(None)),
            Some(version) if !is_new_enough(&version) => Some(missing(Some(version))),
            // On Debian it is a separate package.
            Some(_) => environment::lacks_venv().then(|| MissingTool {
                needed: "Python's module venv".to_owned(),
                found: None,
                install: install_command("python3-venv", "python", "https://www.python.org/downloads"),
            }),
        }
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
        let sdk = manifest::read(&package.dir)?.sdk(&package.dir)?;
        let sources = unchanged::PythonSources::of(package, &sdk)?;
        if let Some(component) = sources.component() {
            return Ok(component);
        }
        if let Some(missing) = self.missing() {
            return Err(BuildError::Missing(missing));
        }
        environment::install(package, progress)?;
        let component = compile::run(package, &sdk, progress)?;
        sources.keep(&component);
        Ok(component)
    }

    fn no_handler(&self) -> &'static str {
        "does its handler.py import sandman?"
    }

    fn own_tests(&self) -> &'static str {
        ".venv/bin/pytest"
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
        let there = dir.join(manifest::COMPONENT).is_file();
        let found = there.then(|| dir.canonicalize().ok()).flatten();
        found.map(SdkPlace::Folder).ok_or_else(|| NewError::NoSdk {
            dir: dir.to_owned(),
            place: "guest/sdk-py",
            guessed: false,
        })
    }

    fn reserved(&self) -> &'static [(&'static [&'static str], &'static str)] {
        &[(DEPENDENCIES, "a package that guests depend on has it")]
    }

    fn handler_line(&self) -> Option<&'static str> {
        Some("limits.memory = \"64 MiB\"   # CPython itself takes about 15 MiB")
    }
}

/// Whether the output of `python3 --version`, such as `Python 3.11.7`, has a supported version.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches("Python ").split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= PYTHON,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn the_version_of_python_is_read() {
        assert!(is_new_enough("Python 3.11.7") && is_new_enough("Python 3.14.0") && is_new_enough("Python 4.0.0"));
        assert!(!is_new_enough("Python 3.9.2") && !is_new_enough("Python 2.7.18") && !is_new_enough("nonsense"));
    }
}
