//! Why a guest was not written.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a guest was not written.
#[derive(Debug, Error)]
pub enum NewError {
    /// The name is not valid for a handler.
    #[error(
        "{name:?} is not a valid name for a handler: lower-case letters, digits, underscores and dashes, 63 at most, the first a \
         letter{}", nearest(.fits.as_deref())
    )]
    Name {
        /// The given name.
        name: String,
        /// A similar valid name.
        fits: Option<String>,
    },
    /// The name is used by the language's tools or the guest's dependencies.
    #[error("{name:?} cannot be the name of a guest in {language}: {why}; choose another name")]
    Reserved {
        /// The given name.
        name: String,
        /// The language.
        language: &'static str,
        /// What uses it.
        why: &'static str,
    },
    /// The folder exists.
    #[error("{dir} already exists and nothing is overwritten; choose another name, or another folder with --path")]
    Exists {
        /// The folder.
        dir: PathBuf,
    },
    /// The configuration already has such a handler.
    #[error("{file} already has a handler {name:?}; choose another name, or another configuration with --config")]
    Taken {
        /// The configuration.
        file: PathBuf,
        /// The name.
        name: String,
    },
    /// The SDK was not found.
    #[error(
        "there is no sandman-sdk in {dir}{}; name the folder of the SDK with --sdk: {place} in Sandman's sources",
        built(*.guessed)
    )]
    NoSdk {
        /// The folder that was searched.
        dir: PathBuf,
        /// Its folder in Sandman's sources.
        place: &'static str,
        /// Whether it is the default: the folder where this binary was built.
        guessed: bool,
    },
    /// A path cannot be written into a file.
    #[error("{path:?} is not UTF-8 and cannot be written into a manifest; choose another folder")]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn nearest(fits: Option<&str>) -> String {
    fits.map_or_else(String::new, |fits| format!("; such as {fits}"))
}

fn built(guessed: bool) -> &'static str {
    if guessed { ", where this sandman was built" } else { "" }
}
