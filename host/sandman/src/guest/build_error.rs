//! Why a guest was not built.

use std::io;
use std::path::PathBuf;

use sandman_sandbox::StartError;
use thiserror::Error;

use super::missing::MissingTool;

/// Why a guest was not built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The folder has no guest.
    #[error("there is no guest in {dir}: {lacking}; name the folder of a guest, or make one with `sandman new`")]
    NoGuest {
        /// The directory.
        dir: PathBuf,
        /// What it lacks.
        lacking: String,
    },
    /// A tool that the guest's language needs is missing.
    #[error("{0}")]
    Missing(MissingTool),
    /// The guest's manifest cannot be read, or is incomplete.
    #[error("{manifest}: {problem}")]
    Manifest {
        /// The manifest.
        manifest: PathBuf,
        /// The problem, and what to do.
        problem: String,
    },
    /// The guest's dependencies cannot be installed.
    #[error("the packages of `{package}` cannot be installed by `{command}`:\n{output}")]
    Dependencies {
        /// The guest.
        package: String,
        /// The command.
        command: String,
        /// Its output.
        output: String,
    },
    /// There is no crate.
    #[error("there is no Cargo.toml in {dir}; name the directory of a guest crate")]
    NoCrate {
        /// The directory.
        dir: PathBuf,
    },
    /// cargo could not read the crate.
    #[error("cargo cannot read the crate in {dir}:\n{output}")]
    Metadata {
        /// The directory.
        dir: PathBuf,
        /// What cargo said.
        output: String,
    },
    /// The crate does not build a WebAssembly module.
    #[error(
        "`{package}` has no library of the type cdylib; add `[lib] crate-type = [\"cdylib\", \"rlib\"]` to {manifest}"
    )]
    NoCdylib {
        /// The package.
        package: String,
        /// Its manifest.
        manifest: PathBuf,
    },
    /// A tool did not start.
    #[error("`{tool}` cannot be started: {source}")]
    Tool {
        /// The tool.
        tool: String,
        /// What the system said.
        source: io::Error,
    },
    /// The Rust target is missing and there is no rustup to add it.
    #[error(
        "the Rust toolchain in {sysroot} lacks the target wasm32-unknown-unknown, and there is no rustup to add it; \
         install the target with what installed Rust"
    )]
    NoTarget {
        /// The folder of the toolchain.
        sysroot: String,
    },
    /// rustup could not add the target.
    #[error("rustup could not add the target wasm32-unknown-unknown:\n{output}")]
    Rustup {
        /// What rustup said.
        output: String,
    },
    /// The guest does not compile.
    #[error("`{package}` does not compile\n\n{output}")]
    Compile {
        /// The package.
        package: String,
        /// The output of the compiler or cargo.
        output: String,
    },
    /// The compiled module is not a handler.
    #[error("`{package}` compiles but is not a handler: {reason}; {hint}")]
    Component {
        /// The package.
        package: String,
        /// What is missing.
        reason: String,
        /// The most likely mistake.
        hint: &'static str,
    },
    /// The guest fails before its first call.
    #[error("`{package}` compiles, but {source}")]
    Start {
        /// The package.
        package: String,
        /// The error.
        source: StartError,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
