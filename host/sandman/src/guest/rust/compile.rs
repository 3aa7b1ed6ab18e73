//! Runs cargo and reads its output.

use std::env;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use serde::Deserialize;

use super::TARGET;
use super::package::{Package, cargo};
use crate::guest::{BuildError, BuildOptions, Progress};

/// The release profile of a guest: one codegen unit, and no symbols, because every instance maps the code. Optimised
/// for speed: optimising for size makes a guest of 150 KB 10% smaller and 20% slower.
const PROFILE: [(&str, &str); 6] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
];

/// One line of cargo's `--message-format=json`.
#[derive(Deserialize)]
struct CargoMessage {
    reason: String,
    message: Option<Diagnostic>,
    target: Option<CargoTarget>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    manifest_path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct CargoTarget {
    name: String,
}

/// The output of cargo.
#[derive(Default)]
struct CargoOutput {
    errors: String,
    module: Option<PathBuf>,
}

/// Compiles the crate to a core module and returns its path.
pub(super) fn compile(package: &Package, options: &BuildOptions, progress: &Progress) -> Result<PathBuf, BuildError> {
    progress.step("compiling", &package.name);
    let failed = |source| BuildError::Tool {
        tool: "cargo".to_owned(),
        source,
    };
    let mut child = command(package, options, progress).spawn().map_err(failed)?;
    let stderr = child.stderr.take();
    // Both pipes are read at once, because cargo would block on a full one.
    let said = thread::spawn(move || {
        let mut text = String::new();
        stderr
            .map_or(Ok(0), |mut stderr| stderr.read_to_string(&mut text))
            .map(|_| text)
    });
    let heard = match child.stdout.take() {
        Some(stdout) => listen(package, stdout, progress).map_err(failed)?,
        None => CargoOutput::default(),
    };
    let status = child.wait().map_err(failed)?;
    let said = said.join().ok().and_then(Result::ok).unwrap_or_default();
    let output = if heard.errors.is_empty() { said } else { heard.errors };
    match heard.module {
        Some(module) if status.success() => Ok(module),
        _ => Err(BuildError::Compile {
            package: package.name.clone(),
            output,
        }),
    }
}

fn command(package: &Package, options: &BuildOptions, progress: &Progress) -> Command {
    let format = if progress.coloured() {
        "json-diagnostic-rendered-ansi"
    } else {
        "json"
    };
    let mut command = cargo();
    command
        .args(["build", "--release", "--lib", "--target", TARGET, "--manifest-path"])
        .arg(&package.manifest)
        .args(["--message-format", format])
        .envs(PROFILE)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // The crate's own rust-toolchain.toml and .cargo/config.toml apply, not those of the current folder.
    if let Some(dir) = package.manifest.parent() {
        command.current_dir(dir);
    }
    if let Some(flags) = without_home() {
        command.arg("--config").arg(flags);
    }
    if !options.features.is_empty() {
        command.arg("--features").arg(options.features.join(","));
    }
    if let Some(dir) = &options.target_dir {
        command
            .arg("--target-dir")
            .arg(std::path::absolute(dir).unwrap_or_else(|_| dir.clone()));
    }
    command
}

/// Panics name the sources of dependencies, which are in the builder's home: the component would differ on another
/// machine, and reveal the path. The flag is added to those of the guest's own configuration; `RUSTFLAGS` would replace
/// all of them.
fn without_home() -> Option<String> {
    let home = match env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => env::home_dir()?.join(".cargo"),
    };
    let home = home.to_str().filter(|home| !home.contains('\''))?;
    Some(format!(
        "target.{TARGET}.rustflags=['--remap-path-prefix={home}=/cargo']"
    ))
}

fn listen(package: &Package, stdout: impl Read, progress: &Progress) -> io::Result<CargoOutput> {
    let mut heard = CargoOutput::default();
    for line in BufReader::new(stdout).lines() {
        // A build script may print lines that are not messages.
        let Ok(message) = serde_json::from_str::<CargoMessage>(&line?) else {
            continue;
        };
        match (message.reason.as_str(), message.message, message.target) {
            ("compiler-message", Some(diagnostic), _) => {
                let text = diagnostic.rendered.unwrap_or_default();
                // A failure note refers to earlier errors.
                if diagnostic.level.starts_with("error") || diagnostic.level == "failure-note" {
                    heard.errors.push_str(&text);
                } else {
                    progress.say(text.trim_end());
                }
            }
            ("compiler-artifact", _, Some(target)) => {
                progress.passing("compiled", &target.name);
                if message.manifest_path.as_ref() == Some(&package.manifest) {
                    let wasm = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "wasm");
                    heard.module = message.filenames.into_iter().find(wasm).or(heard.module);
                }
            }
            _ => {}
        }
    }
    Ok(heard)
}
