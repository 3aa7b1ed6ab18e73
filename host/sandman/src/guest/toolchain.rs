//! The toolchain of a language.

use std::path::{Path, PathBuf};

use super::build_error::BuildError;
use super::missing::MissingTool;
use super::new_error::NewError;
use super::progress::Progress;
use super::template::TemplateFiles;

/// The options of a build.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// The folder for the component; by default `target/sandman` of the guest, or of its workspace.
    pub out_dir: Option<PathBuf>,
    /// cargo's target directory; by default cargo's own. Only for Rust.
    pub target_dir: Option<PathBuf>,
    /// Features of the crate to enable. Only for Rust.
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
    /// The default folder for its component.
    pub(crate) out_dir: PathBuf,
}

/// The SDK of a new guest.
pub(crate) enum SdkPlace {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A copy in the guest's own folder.
    Copied {
        /// Its path in the guest's folder.
        folder: &'static str,
        /// Its files.
        files: TemplateFiles,
    },
}

/// How guests of one language are created and built.
pub(crate) trait Toolchain: Sync {
    /// The language's name for `sandman new --lang`.
    fn word(&self) -> &'static str;

    /// The language's name in messages.
    fn title(&self) -> &'static str;

    /// The file by which a guest of this language is recognised.
    fn manifest(&self) -> &'static str;

    /// Names in a guest's folder that the language's tools write: changes there do not change the guest.
    fn written(&self) -> &'static [&'static str];

    /// The first tool that a build needs and this machine lacks.
    fn missing(&self) -> Option<MissingTool>;

    /// The guest in `dir`.
    fn package(&self, dir: &Path) -> Result<GuestPackage, BuildError>;

    /// All guests of the manifest in `dir`.
    fn packages(&self, dir: &Path) -> Result<Vec<GuestPackage>, BuildError> {
        Ok(vec![self.package(dir)?])
    }

    /// Builds the component of a guest; the caller checks it.
    fn component(
        &self,
        package: &GuestPackage,
        options: &BuildOptions,
        progress: &Progress,
    ) -> Result<Vec<u8>, BuildError>;

    /// The most likely mistake of a guest that compiles but is not a handler.
    fn no_handler(&self) -> &'static str;

    /// The files of a new guest, with `{{name}}`, `{{dir}}` and `{{sdk}}` (a path in quotes) or `{{sdk_path}}` (without) to be
    /// filled in.
    fn template(&self) -> TemplateFiles;

    /// The SDK of a new guest: the one in the given folder, or the default.
    fn sdk(&self, named: Option<&Path>) -> Result<SdkPlace, NewError>;

    /// Names that a guest cannot have, each group with the reason.
    fn reserved(&self) -> &'static [(&'static [&'static str], &'static str)];

    /// A line for the handler's table in `sandman.toml`, if guests of this language need more than the defaults.
    fn handler_line(&self) -> Option<&'static str> {
        None
    }

    /// The command that runs a guest's own tests, in its folder.
    fn own_tests(&self) -> &'static str;

    /// Whether they need packages that the first build installs.
    fn tests_need_a_build(&self) -> bool {
        false
    }

    /// Completes a new guest in `dir` after its files are written. Best effort: nothing depends on it.
    fn complete(&self, _dir: &Path, _sdk: &SdkPlace) {}
}
