//! The supported languages.

use std::path::Path;

use super::Toolchain;
use super::go::Go;
use super::missing::MissingTool;
use super::python::Python;
use super::rust::Rust;
use super::typescript::TypeScript;

/// A language of guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Rust, by cargo.
    Rust,
    /// TypeScript and JavaScript, by npm, on QuickJS.
    TypeScript,
    /// Python, by pip and componentize-py, on CPython.
    Python,
    /// Go, by its own toolchain.
    Go,
}

impl Language {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::Rust, Self::TypeScript, Self::Python, Self::Go];

    pub(crate) fn toolchain(self) -> &'static dyn Toolchain {
        match self {
            Self::Rust => &Rust,
            Self::TypeScript => &TypeScript,
            Self::Python => &Python,
            Self::Go => &Go,
        }
    }

    /// The language of the guest in a folder, by the files in it.
    pub fn of(dir: &Path) -> Option<Self> {
        let has = |language: &Self| dir.join(language.toolchain().manifest()).is_file();
        Self::ALL.into_iter().find(has)
    }

    /// The language with this name for `sandman new --lang`, or a common alias.
    pub fn called(word: &str) -> Option<Self> {
        let word = word.to_lowercase();
        match &*word {
            "typescript" | "javascript" | "js" | "node" => Some(Self::TypeScript),
            "python" | "python3" => Some(Self::Python),
            "golang" => Some(Self::Go),
            "rs" => Some(Self::Rust),
            _ => Self::ALL.into_iter().find(|language| language.word() == word),
        }
    }

    /// Its name for `sandman new --lang`.
    pub fn word(self) -> &'static str {
        self.toolchain().word()
    }

    /// Its name in messages.
    pub fn title(self) -> &'static str {
        self.toolchain().title()
    }

    /// The first tool that a build needs and this machine lacks.
    pub fn missing(self) -> Option<MissingTool> {
        self.toolchain().missing()
    }
}
