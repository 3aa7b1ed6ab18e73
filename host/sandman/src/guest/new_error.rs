//! Why a guest was not written.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a guest was not written.
#[derive(Debug, Error)]
pub enum NewError {
    /// No name of a handler.
    #[error(
        "{name:?} is no name for a handler: lower-case letters, digits, underscores and dashes, 63 at most, the first a \
         letter{}", nearest(.fits.as_deref())
    )]
    Name {
        /// What was given.
        name: String,
        /// A name like it that would do.
        fits: Option<String>,
    },
    /// A name that the language's tools or the guest's own dependencies have taken.
    #[error("{name:?} cannot be the name of a guest in {language}: {why}; choose another name")]
    Reserved {
        /// What was given.
        name: String,
        /// The language.
        language: &'static str,
        /// Who has it.
        why: &'static str,
    },
    /// The folder is there.
    #[error("{dir} is there already and nothing is overwritten; choose another name, or another folder with --path")]
    Exists {
        /// The folder.
        dir: PathBuf,
    },
    /// The configuration has such a handler.
    #[error("{file} has a handler {name:?} already; choose another name, or another configuration with --config")]
    Taken {
        /// The configuration.
        file: PathBuf,
        /// The name.
        name: String,
    },
    /// No SDK.
    #[error(
        "there is no sandman-sdk in {dir}{}; name the folder of the SDK with --sdk: {place} in Sandman's sources",
        built(*.guessed)
    )]
    NoSdk {
        /// Where it was looked for.
        dir: PathBuf,
        /// Where it is in Sandman's sources.
        place: &'static str,
        /// Nobody named it: it is where this binary was built.
        guessed: bool,
    },
    /// A path that cannot stand in a file.
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
