//! Runs componentize-py.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::environment;
use crate::guest::{BuildError, GuestPackage, Progress, wit};

/// The SDK's main module of the component; it imports the guest's `handler`.
const MODULE: &str = "sandman_component";
/// The guest's module.
const HANDLER: &str = "handler.py";

/// Builds the component of a guest with componentize-py.
pub(super) fn run(package: &GuestPackage, sdk: &Path, progress: &Progress) -> Result<Vec<u8>, BuildError> {
    let dir = &package.dir;
    if !dir.join(HANDLER).is_file() {
        return Err(BuildError::Manifest {
            manifest: dir.join("pyproject.toml"),
            problem: format!("there is no {HANDLER} beside it, which is the module with the handler"),
        });
    }
    let target = absolute(&dir.join("target"))?;
    let wit = wit::write(&target.join("wit"))?;
    let made = target.join(format!(".{}.{}.wasm", package.name, std::process::id()));
    progress.step("making the component of", &package.name);
    let output = Command::new(absolute(&environment::folder(dir))?.join("bin/componentize-py"))
        .arg("--wit-path")
        .arg(wit)
        .args(["--world", "event-handler", "componentize", "--stub-wasi"])
        .args(["--python-path", ".", "--python-path"])
        .arg(absolute(sdk)?)
        .arg("--output")
        .arg(&made)
        .arg(MODULE)
        .current_dir(dir)
        // The guest's packages.
        .env("VIRTUAL_ENV", absolute(&environment::folder(dir))?)
        // Its own backtrace does not help a guest's author.
        .env("RUST_BACKTRACE", "0")
        .env("RUST_LIB_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| BuildError::Tool {
            tool: "componentize-py".to_owned(),
            source,
        })?;
    let component = match output.status.success() {
        true => fs::read(&made).map_err(|source| BuildError::File {
            path: made.clone(),
            source,
        }),
        false => Err(BuildError::Compile {
            package: package.name.clone(),
            output: errors(&String::from_utf8_lossy(&output.stderr)),
        }),
    };
    // It is missing if the build failed.
    let _ = fs::remove_file(&made);
    component
}

fn absolute(path: &Path) -> Result<PathBuf, BuildError> {
    std::path::absolute(path).map_err(|source| BuildError::File {
        path: path.to_owned(),
        source,
    })
}

/// The relevant part of the output: the traceback from the first line of the guest, with paths in the guest's folder.
fn errors(said: &str) -> String {
    let traceback = said.rsplit_once("AssertionError: ").map_or(said, |(_, rest)| rest);
    let traceback = traceback
        .split_once("\n\nCaused by:")
        .map_or(traceback, |(traceback, _)| traceback);
    let mut lines = Vec::new();
    // In the traceback the guest's folder is /0, and the SDK's /1.
    let mut of_sdk = false;
    for line in traceback.trim_end().lines() {
        if let Some(place) = line.strip_prefix("  File \"") {
            of_sdk = place.starts_with("/1/");
        } else if !line.starts_with("    ") {
            of_sdk = false;
        }
        if !of_sdk {
            lines.push(line.replacen("File \"/0/", "File \"", 1));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::errors;

    #[test]
    fn the_traceback_is_shown_from_the_guests_own_line_on() {
        let said = "Traceback (most recent call last):\n  File \"/x/bin/componentize-py\", line 8, in <module>\n    sys.exit(script())\n\
            AssertionError: Traceback (most recent call last):\n  File \"/1/sandman_component.py\", line 39, in <module>\n    \
            import handler as _handler\n  File \"/0/handler.py\", line 2, in <module>\n    import nope\n\
            ModuleNotFoundError: No module named 'nope'\n\n\nCaused by:\n    ModuleNotFoundError: No module named 'nope'\n";
        assert_eq!(
            errors(said),
            "Traceback (most recent call last):\n  File \"handler.py\", line 2, in <module>\n    import nope\n\
             ModuleNotFoundError: No module named 'nope'"
        );
        assert_eq!(errors("something else\n"), "something else");
    }
}
