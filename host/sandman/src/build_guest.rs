//! `sandman build DIR`: builds a component from a guest's folder, in any language.

mod place;

use std::path::{Path, PathBuf};

use crate::guest::{GuestPackage, Language, Progress};

pub use crate::guest::{BuildError, BuildOptions};

/// A component that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The guest's name.
    pub name: String,
    /// Where the component is.
    pub path: PathBuf,
    /// Its SHA-256, lower-case hex.
    pub digest: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Builds the guest in `dir`. The component is written completely or not at all, and imports nothing but what every
/// handler gets.
///
/// # Errors
///
/// If `dir` is not a guest's folder, a tool is missing, it does not compile, or the result is not a handler.
pub fn build(dir: &Path, options: &BuildOptions) -> Result<Built, BuildError> {
    let progress = Progress::new(options.show);
    let toolchain = language(dir)?.toolchain();
    let made = toolchain.package(dir).and_then(|package| {
        let component = toolchain.component(&package, options, &progress)?;
        Ok((package, component))
    });
    let (package, component) = made.map_err(|fault| match fault {
        // A tool that does not start is most likely not installed.
        BuildError::Tool { .. } => toolchain.missing().map_or(fault, BuildError::Missing),
        fault => fault,
    })?;
    // The same check as when the host loads one.
    sandman_sandbox::inspect(&package.name, &component).map_err(|fault| BuildError::Component {
        package: package.name.clone(),
        reason: fault.to_string(),
        hint: toolchain.no_handler(),
    })?;
    let target_dir = options.target_dir.as_ref().map(|target| target.join("sandman"));
    let out_dir = options.out_dir.clone().or(target_dir).unwrap_or(package.out_dir);
    let path = place::write(&out_dir, &package.name, &component)?;
    progress.done();
    Ok(Built {
        name: package.name,
        path,
        digest: sandman_core::digest(&component),
        bytes: u64::try_from(component.len()).unwrap_or(u64::MAX),
    })
}

/// The guest in `dir`.
///
/// # Errors
///
/// If `dir` is not a guest's folder, or the language's tool is missing.
pub(crate) fn package(dir: &Path) -> Result<GuestPackage, BuildError> {
    language(dir)?.toolchain().package(dir)
}

fn language(dir: &Path) -> Result<Language, BuildError> {
    Language::of(dir).ok_or_else(|| BuildError::NoGuest {
        dir: dir.to_owned(),
        lacking: lacking(dir),
    })
}

fn lacking(dir: &Path) -> String {
    if !dir.is_dir() {
        return "there is no such folder".to_owned();
    }
    let manifests = Language::ALL.map(|language| language.toolchain().manifest());
    format!("it has none of {}", manifests.join(", "))
}
