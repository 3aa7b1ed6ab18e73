//! The guest's virtual environment, `.venv`, with the packages of `requirements.txt`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::guest::{BuildError, GuestPackage, Progress};

const REQUIREMENTS: &str = "requirements.txt";
/// Records what `.venv` was installed from, so that an unchanged build installs nothing.
const STAMP: &str = ".sandman-installed";

/// The folder of the environment.
pub(super) fn folder(dir: &Path) -> PathBuf {
    dir.join(".venv")
}

/// Whether this machine's Python cannot create an environment with pip.
pub(super) fn lacks_venv() -> bool {
    let asked = Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .stdin(Stdio::null())
        .output();
    !asked.is_ok_and(|said| said.status.success())
}

/// Creates the environment and installs missing packages.
pub(super) fn install(package: &GuestPackage, progress: &Progress) -> Result<(), BuildError> {
    let venv = folder(&package.dir);
    let requirements = package.dir.join(REQUIREMENTS);
    let wanted = fs::read(&requirements).map_err(|_| BuildError::Manifest {
        manifest: requirements.clone(),
        problem: "it is not there; it pins what a build installs: at least componentize-py, as `sandman new --lang py` writes it"
            .to_owned(),
    })?;
    // After an update or removal of Python, the environment does not start.
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
    // Without it the next build checks everything again.
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
