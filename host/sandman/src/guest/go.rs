//! Guests in Go: the Go toolchain compiles the guest for `wasip1`, and this process turns the core module into a
//! component, together with a stub for WASI, so that it imports nothing but `sandman:handler`.

mod compile;
mod encode;
mod files;
mod module;
mod release;
mod runtime;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::missing::install_command;
use super::{
    BuildError, BuildOptions, GuestPackage, MissingTool, NewError, Progress, SdkPlace, TemplateFiles, Toolchain,
};

/// The oldest Go that can export functions to a host, as its major and minor number.
const GO: (u32, u32) = (1, 24);
/// Go's own packages with short names, with which a module would be confused.
const STANDARD: &[&str] = &[
    "bufio", "builtin", "bytes", "cmp", "context", "crypto", "embed", "encoding", "errors", "expvar", "flag", "fmt",
    "go", "hash", "html", "image", "io", "iter", "log", "maps", "math", "mime", "net", "os", "path", "plugin",
    "reflect", "regexp", "runtime", "slices", "sort", "strconv", "strings", "structs", "sync", "syscall", "testing",
    "time", "unicode", "unique", "unsafe", "weak",
];
/// Modules that a guest depends on, and names that go's own commands use.
const TAKEN: &[&str] = &["sandman", "main", "cmd", "std", "all", "tool"];

/// The toolchain of Go.
pub(super) struct Go;

impl Toolchain for Go {
    fn word(&self) -> &'static str {
        "go"
    }

    fn title(&self) -> &'static str {
        "Go"
    }

    fn manifest(&self) -> &'static str {
        "go.mod"
    }

    fn written(&self) -> &'static [&'static str] {
        &["target", "go.sum"]
    }

    fn missing(&self) -> Option<MissingTool> {
        let said = Command::new("go").arg("version").stdin(Stdio::null()).output();
        let found = said.ok().filter(|said| said.status.success());
        let found = found.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned());
        if found.as_deref().is_some_and(is_new_enough) {
            return None;
        }
        Some(MissingTool {
            needed: format!("Go {}.{} or newer", GO.0, GO.1),
            found,
            install: install_command("golang-go", "go", "https://go.dev/dl"),
        })
    }

    fn package(&self, dir: &Path) -> Result<GuestPackage, BuildError> {
        Ok(GuestPackage {
            name: module::name(dir)?,
            out_dir: dir.join("target/sandman"),
            dir: dir.to_owned(),
        })
    }

    fn component(&self, package: &GuestPackage, _: &BuildOptions, progress: &Progress) -> Result<Vec<u8>, BuildError> {
        if let Some(missing) = self.missing() {
            return Err(BuildError::Missing(missing));
        }
        progress.step("compiling", &package.name);
        let release = release::GoRelease::of(&package.dir)?;
        let overlay = runtime::overlay(&package.dir, &release)?;
        let module = compile::compile(package, &overlay, &release)?;
        progress.step("making the component of", &package.name);
        encode::component(package, &module, progress)
    }

    fn no_handler(&self) -> &'static str {
        "does an init function of its package main call `sandman.Export`?"
    }

    fn own_tests(&self) -> &'static str {
        "go test ./..."
    }

    fn template(&self) -> TemplateFiles {
        files::TEMPLATE
    }

    fn sdk(&self, named: Option<&Path>) -> Result<SdkPlace, NewError> {
        let Some(dir) = named else {
            return Ok(SdkPlace::Copied {
                folder: "./sandman-sdk",
                files: files::SDK,
            });
        };
        let there = dir.join("component_wasip1.go").is_file();
        let found = there.then(|| dir.canonicalize().ok()).flatten();
        found.map(SdkPlace::Folder).ok_or_else(|| NewError::NoSdk {
            dir: dir.to_owned(),
            place: "guest/sdk-go",
            guessed: false,
        })
    }

    fn reserved(&self) -> &'static [(&'static [&'static str], &'static str)] {
        &[
            (STANDARD, "a package of Go itself has it"),
            (TAKEN, "the SDK or a command of Go has it"),
        ]
    }

    fn handler_line(&self) -> Option<&'static str> {
        Some("limits.memory = \"32 MiB\"   # room for Go's garbage collector")
    }
}

/// The folder for a build's own files: go does not search for packages in a folder whose name starts with a dot.
fn folder(dir: &Path) -> PathBuf {
    let folder = dir.join("target/.go");
    std::path::absolute(&folder).unwrap_or(folder)
}

/// Whether the output of `go version`, such as `go version go1.26.8 linux/amd64`, has a supported version.
fn is_new_enough(said: &str) -> bool {
    let version = said.split_whitespace().find_map(|word| word.strip_prefix("go1."));
    let minor = version.and_then(|version| version.split(|c: char| !c.is_ascii_digit()).next());
    minor
        .and_then(|minor| minor.parse::<u32>().ok())
        .is_some_and(|minor| (1, minor) >= GO)
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn the_version_of_go_is_read() {
        assert!(is_new_enough("go version go1.24 linux/amd64") && is_new_enough("go version go1.26.8 linux/amd64"));
        assert!(is_new_enough("go version go1.27rc1 linux/amd64"));
        assert!(!is_new_enough("go version go1.23.4 linux/amd64") && !is_new_enough("nonsense"));
    }
}
