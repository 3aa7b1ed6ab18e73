//! `sandman build DIR`: from a Rust crate on the SDK to a component.
//!
//! cargo compiles the crate for `wasm32-unknown-unknown`, a target without any imports of its own, and the core module
//! is made a component in this process: there is no other tool to install.

mod compile;
mod encode;
mod error;
mod package;
mod progress;
mod target;

use std::path::{Path, PathBuf};

pub use error::BuildError;
pub(crate) use package::cargo;
pub use package::{Crate, crates};

/// The target that guests are compiled for.
const TARGET: &str = "wasm32-unknown-unknown";

/// How a guest is built.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// Where the component goes; `sandman` in cargo's target directory when left out.
    pub out_dir: Option<PathBuf>,
    /// cargo's target directory; what cargo itself would take when left out.
    pub target_dir: Option<PathBuf>,
    /// Features of the crate that are switched on.
    pub features: Vec<String>,
    /// Whether progress and warnings go to standard error. Errors are always in the [`BuildError`].
    pub show: bool,
}

/// A component that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The crate's name.
    pub name: String,
    /// Where the component is.
    pub path: PathBuf,
    /// Its SHA-256, lower-case hex.
    pub digest: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Builds the guest crate in `dir`. The component is written whole or not at all.
///
/// # Errors
///
/// If `dir` is no guest crate, a tool is missing, it does not compile, or what comes out is no handler.
pub fn build(dir: &Path, options: &BuildOptions) -> Result<Built, BuildError> {
    let progress = progress::Progress::new(options.show);
    let package = package::find(dir)?;
    target::ensure(dir, &progress)?;
    let module = compile::compile(&package, options, &progress)?;
    progress.step("making the component of", &package.name);
    let component = encode::component(&package, &module)?;
    let target_dir = options.target_dir.as_ref().unwrap_or(&package.target_dir);
    let out_dir = options.out_dir.clone().unwrap_or_else(|| target_dir.join("sandman"));
    let path = encode::write(&out_dir, &package.name, &component)?;
    progress.done();
    Ok(Built {
        name: package.name,
        path,
        digest: sandman_core::digest(&component),
        bytes: u64::try_from(component.len()).unwrap_or(u64::MAX),
    })
}

/// The folder that the component of the guest crate in `dir` is written to, unless told otherwise.
///
/// # Errors
///
/// If `dir` is no guest crate, or there is no cargo.
pub fn out_dir(dir: &Path) -> Result<PathBuf, BuildError> {
    Ok(package::find(dir)?.target_dir.join("sandman"))
}
