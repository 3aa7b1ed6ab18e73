//! What each language does in its own way.

use std::path::{Path, PathBuf};

use super::build_error::BuildError;
use super::missing::MissingTool;
use super::new_error::NewError;
use super::progress::Progress;
use super::template::TemplateFiles;

/// How a guest is built.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// Where the component goes; `target/sandman` of the guest, or of its workspace, when left out.
    pub out_dir: Option<PathBuf>,
    /// cargo's target directory; what cargo itself would take when left out. Counts for Rust alone.
    pub target_dir: Option<PathBuf>,
    /// Features of the crate that are switched on. Counts for Rust alone.
    pub features: Vec<String>,
    /// Whether progress and warnings go to standard error. Errors are always in the [`BuildError`].
    pub show: bool,
}

/// A guest in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GuestPackage {
    /// Its name, which is also its component's.
    pub(crate) name: String,
    /// Its folder.
    pub(crate) dir: PathBuf,
    /// The folder that its component is written to, unless told otherwise.
    pub(crate) out_dir: PathBuf,
}

/// Where a new guest takes its SDK from.
pub(crate) enum SdkPlace {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A copy in the guest's own folder.
    Copied {
        /// Where in the guest's folder.
        folder: &'static str,
        /// What it holds.
        files: TemplateFiles,
    },
}

/// How guests of one language are made.
pub(crate) trait Toolchain: Sync {
    /// What `sandman new --lang` calls the language.
    fn word(&self) -> &'static str;

    /// The language's name in a text.
    fn title(&self) -> &'static str;

    /// The file by which a folder is known to hold a guest of this language.
    fn manifest(&self) -> &'static str;

    /// Names in a guest's folder that the language's tools write: a change there is no change of the guest.
    fn written(&self) -> &'static [&'static str];

    /// The first tool that a build needs and that is not on this machine.
    fn missing(&self) -> Option<MissingTool>;

    /// The guest in `dir`.
    fn package(&self, dir: &Path) -> Result<GuestPackage, BuildError>;

    /// All guests that the manifest in `dir` leads to.
    fn packages(&self, dir: &Path) -> Result<Vec<GuestPackage>, BuildError> {
        Ok(vec![self.package(dir)?])
    }

    /// Makes the component of a guest; it is checked by the caller.
    fn component(
        &self,
        package: &GuestPackage,
        options: &BuildOptions,
        progress: &Progress,
    ) -> Result<Vec<u8>, BuildError>;

    /// What is most likely wrong with a guest that compiles and is no handler.
    fn no_handler(&self) -> &'static str;

    /// The files of a new guest, with `{{name}}`, `{{dir}}` and `{{sdk}}` (a path in quotes) or `{{sdk_path}}` (without) to be
    /// filled in.
    fn template(&self) -> TemplateFiles;

    /// The SDK of a new guest: the one in the folder that was named, or what a new guest has otherwise.
    fn sdk(&self, named: Option<&Path>) -> Result<SdkPlace, NewError>;

    /// Names that a guest cannot have, each group with the reason.
    fn reserved(&self) -> &'static [(&'static [&'static str], &'static str)];

    /// A line for the handler's table in `sandman.toml`, where guests of this language need more than the defaults.
    fn handler_line(&self) -> Option<&'static str> {
        None
    }

    /// The command that runs a guest's own tests, in its folder.
    fn own_tests(&self) -> &'static str;

    /// Whether they need what the first build installs.
    fn tests_need_a_build(&self) -> bool {
        false
    }

    /// Finishes a new guest in `dir` once its files are there. Best effort: nothing depends on it.
    fn complete(&self, _dir: &Path, _sdk: &SdkPlace) {}
}
