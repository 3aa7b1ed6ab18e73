//! Runs the SDK's build script.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use super::manifest;
use crate::guest::{BuildError, GuestPackage, Progress, wit};

/// The script, in the guest's folder.
const SCRIPT: &str = "node_modules/sandman-sdk/build/build.mjs";
/// The script's exit code for mistakes in the guest.
const MISTAKES: i32 = 1;

/// Builds the component of a guest with the script.
pub(super) fn run(package: &GuestPackage, progress: &Progress) -> Result<Vec<u8>, BuildError> {
    let dir = &package.dir;
    let entry = manifest::read(dir)?.entry(dir)?;
    if !dir.join(SCRIPT).is_file() {
        return Err(BuildError::Manifest {
            manifest: dir.join("package.json"),
            problem:
                "the guest does not depend on sandman-sdk; add \"sandman-sdk\": \"file:vendor/sandman-sdk\", with the \
                      folder as `sandman new --lang ts` writes it"
                    .to_owned(),
        });
    }
    let wit = wit::write(&dir.join("target/wit"))?;
    let made = dir.join(format!("target/.{}.{}.wasm", package.name, std::process::id()));
    let said = child(dir, &entry, (&wit, &made)).and_then(|child| listen(child, &package.name, progress));
    let said = said.map_err(|source| BuildError::Tool {
        tool: "node".to_owned(),
        source,
    });
    let component = said.and_then(|said| match said {
        None => fs::read(&made).map_err(|source| BuildError::File {
            path: made.clone(),
            source,
        }),
        Some(output) => Err(BuildError::Compile {
            package: package.name.clone(),
            output,
        }),
    });
    // Not there, where the script has made none.
    let _ = fs::remove_file(&made);
    component
}

fn child(dir: &Path, entry: &str, (wit, made): (&Path, &Path)) -> io::Result<Child> {
    let absolute = |path: &Path| -> io::Result<PathBuf> { std::path::absolute(path) };
    Command::new("node")
        .arg(SCRIPT)
        .args(["--entry", entry])
        .arg("--wit")
        .arg(absolute(wit)?)
        .arg("--out")
        .arg(absolute(made)?)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Shows the progress; returns the output if it failed.
fn listen(mut child: Child, name: &str, progress: &Progress) -> io::Result<Option<String>> {
    let stderr = child.stderr.take();
    // Both pipes are read at once, because the script would block on a full one.
    let errors = thread::spawn(move || {
        let mut text = Vec::new();
        stderr
            .map_or(Ok(0), |mut stderr| stderr.read_to_end(&mut text))
            .map(|_| text)
    });
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            match line.split_once(' ') {
                Some(("step", step)) => progress.step(step, name),
                _ => progress.say(&line),
            }
        }
    }
    let status = child.wait()?;
    let said = errors.join().ok().and_then(Result::ok).unwrap_or_default();
    let said = String::from_utf8_lossy(&said).trim_end().to_owned();
    if status.success() {
        // Warnings.
        said.lines().for_each(|line| progress.say(line));
        return Ok(None);
    }
    Ok(Some(match status.code() {
        Some(MISTAKES) => said,
        _ => format!("the build script ended with {status}\n{said}"),
    }))
}
