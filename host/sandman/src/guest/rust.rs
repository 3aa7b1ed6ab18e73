//! Guests in Rust: cargo compiles the crate for `wasm32-unknown-unknown`, a target without imports, and this process
//! turns the core module into a component: no other tool is needed.

mod compile;
mod encode;
mod package;
mod pinned;
mod sdk;
mod target;

use std::path::Path;

use super::{
    AGENTS, BuildError, BuildOptions, EVENT, EVENT_TO_TRY, GuestPackage, MissingTool, NewError, Progress, SdkPlace,
    TemplateFiles, Toolchain,
};

use package::cargo;

/// The target of guests.
const TARGET: &str = "wasm32-unknown-unknown";

const FILES: TemplateFiles = &[
    ("Cargo.toml", include_str!("../../templates/rust/Cargo.toml.template")),
    ("src/lib.rs", include_str!("../../templates/rust/src/lib.rs")),
    ("src/tests.rs", include_str!("../../templates/rust/src/tests.rs")),
    ("clippy.toml", include_str!("../../templates/rust/clippy.toml")),
    (EVENT, EVENT_TO_TRY),
    AGENTS,
    ("README.md", include_str!("../../templates/rust/README.md.template")),
    (".gitignore", include_str!("../../templates/rust/gitignore.template")),
];

/// Rust's keywords, which cannot be names of crates.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];
/// Crates that come with Rust.
const STANDARD: &[&str] = &["alloc", "core", "proc-macro", "std", "test"];
/// The dependencies of a guest.
const DEPENDENCIES: &[&str] = &["sandman-sdk", "serde", "serde-json"];

/// The toolchain of Rust.
pub(super) struct Rust;

impl Toolchain for Rust {
    fn word(&self) -> &'static str {
        "rust"
    }

    fn title(&self) -> &'static str {
        "Rust"
    }

    fn manifest(&self) -> &'static str {
        "Cargo.toml"
    }

    fn written(&self) -> &'static [&'static str] {
        &["target", "Cargo.lock"]
    }

    fn missing(&self) -> Option<MissingTool> {
        let there = cargo()
            .arg("--version")
            .output()
            .is_ok_and(|said| said.status.success());
        (!there).then(|| MissingTool {
            needed: "Rust".to_owned(),
            found: None,
            install: "curl --proto '=https' -sSf https://sh.rustup.rs | sh".to_owned(),
        })
    }

    fn package(&self, dir: &Path) -> Result<GuestPackage, BuildError> {
        package::find(dir).map(package::Package::guest)
    }

    fn packages(&self, dir: &Path) -> Result<Vec<GuestPackage>, BuildError> {
        package::all(dir)
    }

    fn component(
        &self,
        package: &GuestPackage,
        options: &BuildOptions,
        progress: &Progress,
    ) -> Result<Vec<u8>, BuildError> {
        let package = package::find(&package.dir)?;
        target::ensure(&package.dir, progress)?;
        let module = compile::compile(&package, options, progress)?;
        progress.step("making the component of", &package.name);
        encode::component(&package, &module)
    }

    fn no_handler(&self) -> &'static str {
        "does it call `sandman_sdk::export!`?"
    }

    fn own_tests(&self) -> &'static str {
        "cargo test"
    }

    fn template(&self) -> TemplateFiles {
        FILES
    }

    fn sdk(&self, named: Option<&Path>) -> Result<SdkPlace, NewError> {
        sdk::find(named).map(SdkPlace::Folder)
    }

    fn reserved(&self) -> &'static [(&'static [&'static str], &'static str)] {
        &[
            (KEYWORDS, "it is a word of Rust"),
            (STANDARD, "a crate of Rust itself has it"),
            (DEPENDENCIES, "a crate that guests depend on has it"),
        ]
    }

    fn complete(&self, dir: &Path, sdk: &SdkPlace) {
        if let SdkPlace::Folder(sdk) = sdk {
            pinned::pin(dir, sdk);
        }
    }
}
