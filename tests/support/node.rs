//! Node, with the packages of `tests/node` installed once into `target/node`, never into the sources.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail, ensure};

use crate::Result;
use crate::harness::say;
use crate::paths::{repository, target_dir};
use crate::process::Process;
use crate::wait::PATIENCE;

/// The first version that has `fetch` and `FormData` without asking.
const OLDEST: u32 = 18;
const LOCK: &str = "package-lock.json";

/// The folder with the packages.
pub(crate) struct Node(PathBuf);

impl Node {
    /// Finds Node and its packages, or fetches those.
    pub(crate) fn find() -> Result<Self> {
        let version = version()?;
        ensure!(version >= OLDEST, "Node is version {version}, and {OLDEST} is needed");
        let folder = target_dir()?.join("node");
        fs::create_dir_all(&folder)?;
        // Two runs side by side: the second waits, then finds them.
        let lock = File::create(folder.join("lock"))?;
        lock.lock().context("target/node/lock cannot be locked")?;
        let source = repository().join("tests/node");
        let wanted = fs::read(source.join(LOCK)).context("tests/node has no lock file")?;
        let made_for = folder.join("made-for.json");
        if fs::read(&made_for).is_ok_and(|made_for| made_for == wanted) {
            return Ok(Self(folder));
        }
        for file in ["package.json", LOCK] {
            fs::copy(source.join(file), folder.join(file)).with_context(|| file.to_owned())?;
        }
        fetch(&folder)?;
        // Written last: with it the folder is complete.
        fs::write(&made_for, wanted)?;
        Ok(Self(folder))
    }

    /// Starts a program of the repository.
    pub(crate) fn start(&self, program: &str, environment: &[(&str, &str)]) -> Result<Process> {
        let source = repository().join(program);
        // Packages are looked for beside the program.
        let copy = self.0.join(source.file_name().context("no program")?);
        fs::copy(&source, &copy).with_context(|| program.to_owned())?;
        let mut node = Command::new("node");
        node.arg(&copy).envs(environment.iter().copied());
        Process::start(program, &mut node)
    }

    /// Runs a program of `tests/node` to its end; returns what it printed.
    pub(crate) fn run(&self, program: &str, environment: &[(&str, &str)]) -> Result<String> {
        let process = self.start(&format!("tests/node/{program}"), environment)?;
        let status = process.wait(PATIENCE)?;
        if !status.success() {
            bail!(
                "{program} ended with {status}:\n{}{}",
                process.stdout.tail(),
                process.stderr.tail()
            );
        }
        Ok(process.stdout.text())
    }
}

fn version() -> Result<u32> {
    let answer = Command::new("node").arg("--version").output();
    let answer = answer.ok().filter(|answer| answer.status.success());
    let answer = answer.context("`node` is not installed")?;
    let text = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    let major = text.strip_prefix('v').and_then(|text| text.split('.').next());
    let major = major.and_then(|major| major.parse().ok());
    major.with_context(|| format!("`node --version` says {text:?}"))
}

fn fetch(folder: &Path) -> Result {
    say("fetching KafkaJS with npm, once, into target/node");
    let started = Instant::now();
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(folder)
        .output()
        .context("`npm` is not installed")?;
    if !npm.status.success() {
        let said = [npm.stdout, npm.stderr].concat();
        bail!("npm cannot fetch KafkaJS:\n{}", String::from_utf8_lossy(&said));
    }
    say(&format!("fetched in {:.1} s", started.elapsed().as_secs_f64()));
    Ok(())
}
