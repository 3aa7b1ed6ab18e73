//! The guest's virtual environment, `.venv`, with what `requirements.txt` pins.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::guest::{BuildError, GuestPackage, Progress};

const REQUIREMENTS: &str = "requirements.txt";
/// Says what `.venv` was installed from, so that a build that changes nothing asks nobody.
const STAMP: &str = ".sandman-installed";

/// The folder of the environment.
pub(super) fn folder(dir: &Path) -> PathBuf {
    dir.join(".venv")
}

/// Whether this machine's Python cannot make an environment with pip in it.
pub(super) fn lacks_venv() -> bool {
    let asked = Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .stdin(Stdio::null())
        .output();
    !asked.is_ok_and(|said| said.status.success())
}

/// Makes the environment and installs what is missing in it.
pub(super) fn install(package: &GuestPackage, progress: &Progress) -> Result<(), BuildError> {
    let venv = folder(&package.dir);
    let requirements = package.dir.join(REQUIREMENTS);
    let wanted = fs::read(&requirements).map_err(|_| BuildError::Manifest {
        manifest: requirements.clone(),
        problem: "it is not there; it pins what a build installs: at least componentize-py, as `sandman new --lang py` writes it"
            .to_owned(),
    })?;
    // A Python that was updated or removed leaves an environment that does not start.
    let wanted = format!("{} {}", sandman_core::digest(&wanted), venv.display());
    let stamp = venv.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == wanted) && venv.join("bin/python").exists() {
        return Ok(());
    }
    progress.step("installing the packages of", &package.name);
    run(package, Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    run(
        package,
        Command::new(venv.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--disable-pip-version-check",
                "--quiet",
                "--requirement",
            ])
            .arg(&requirements),
    )?;
    // Without it everything is looked at again by the next build.
    let _ = fs::write(stamp, wanted);
    Ok(())
}

fn run(package: &GuestPackage, command: &mut Command) -> Result<(), BuildError> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| BuildError::Tool {
            tool: command.get_program().to_string_lossy().into_owned(),
            source,
        })?;
    if output.status.success() {
        return Ok(());
    }
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    let said = [output.stdout, output.stderr].concat();
    Err(BuildError::Dependencies {
        package: package.name.clone(),
        command: words.join(" "),
        output: String::from_utf8_lossy(&said).trim_end().to_owned(),
    })
}
