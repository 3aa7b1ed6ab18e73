//! Somebody who writes a guest: the commands in a folder of their own, an editor, and `sandman dev` in a window.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use rustix::process::Signal;

use crate::Result;
use crate::host::{self, Ended};
use crate::log::Log;
use crate::paths::target_dir;
use crate::process::Process;
use crate::wait::{COMPILING, PATIENCE};
use crate::world::World;

/// Runs a command at a terminal, in Python.
const TERMINAL: &str = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

/// Somebody in the folder of a world.
pub struct Newcomer<'w> {
    world: &'w World,
    folder: PathBuf,
    /// Their environment: cargo builds where the tests' own guests are built, so that nothing is built twice.
    environment: Vec<(String, String)>,
}

/// `sandman dev`, as it runs. Killed when dropped.
pub struct Window {
    process: Process,
}

impl<'w> Newcomer<'w> {
    /// Somebody in the folder of this world.
    ///
    /// # Errors
    /// If there is no target folder.
    pub fn in_folder(world: &'w World) -> Result<Self> {
        Self::at(world, world.folder().to_owned())
    }

    /// Somebody in a folder in that of this world, which is made.
    ///
    /// # Errors
    /// If it is there.
    pub fn in_folder_of(world: &'w World, name: &str) -> Result<Self> {
        let folder = world.folder().join(name);
        fs::create_dir(&folder)?;
        Self::at(world, folder)
    }

    fn at(world: &'w World, folder: PathBuf) -> Result<Self> {
        let target = target_dir()?.to_string_lossy().into_owned();
        let environment = vec![
            ("CARGO_TARGET_DIR".to_owned(), target),
            ("SANDMAN_ADMIN__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("SANDMAN_HOST__COMPILE_TIME".to_owned(), "10m".to_owned()),
        ];
        Ok(Self {
            world,
            folder,
            environment,
        })
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Has their commands ask the host at this address.
    pub fn asks(&mut self, admin: &str) {
        let listen = ("SANDMAN_ADMIN__LISTEN".to_owned(), admin.to_owned());
        self.environment.retain(|(name, _)| *name != listen.0);
        self.environment.push(listen);
    }

    /// Runs a command of `sandman` to its end.
    ///
    /// # Errors
    /// If it does not end.
    pub fn sandman(&self, arguments: &[&str]) -> Result<Ended> {
        let environment: Vec<_> = self
            .environment
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        host::run(&self.folder, arguments, &environment)
    }

    /// The same, where it is to succeed; returns what it printed.
    ///
    /// # Errors
    /// If it does not.
    pub fn does(&self, arguments: &[&str]) -> Result<String> {
        let ended = self.sandman(arguments)?;
        ensure!(
            ended.code() == 0,
            "{arguments:?}: {}\n{}{}",
            ended.status,
            ended.stdout,
            ended.stderr
        );
        Ok(ended.stdout)
    }

    /// Runs a command of `sandman` at a terminal, where `typed` is typed; it is to succeed. Returns what the terminal showed.
    ///
    /// # Errors
    /// If it does not.
    pub fn at_terminal(&self, arguments: &[&str], typed: &str) -> Result<String> {
        let sandman = host::command(&self.folder, arguments)?;
        let mut child = Command::new("python3")
            .args(["-c", TERMINAL])
            .arg(sandman.get_program())
            .args(sandman.get_args())
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("python3 does not start")?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        stdin.write_all(typed.as_bytes())?;
        // Open until the end: a terminal does not go away while somebody types.
        let ended = child.wait_with_output();
        drop(stdin);
        let ended = ended?;
        let shown = String::from_utf8_lossy(&ended.stdout).into_owned();
        ensure!(ended.status.success(), "{arguments:?}: {}\n{shown}", ended.status);
        Ok(shown)
    }

    /// Runs cargo in a folder; it is to succeed.
    ///
    /// # Errors
    /// If it does not.
    pub fn cargo(&self, folder: &str, arguments: &[&str]) -> Result {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        self.runs(folder, &cargo, arguments)
    }

    /// Runs a tool in a folder; it is to succeed.
    ///
    /// # Errors
    /// If it does not.
    pub fn runs(&self, folder: &str, tool: &str, arguments: &[&str]) -> Result {
        let done = Command::new(tool)
            .args(arguments)
            .current_dir(self.folder.join(folder))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()?;
        if !done.status.success() {
            let said = [done.stdout, done.stderr].concat();
            bail!(
                "{tool} {arguments:?}: {}\n{}",
                done.status,
                String::from_utf8_lossy(&said)
            );
        }
        Ok(())
    }

    /// Opens a file of the folder, replaces a text in it, and saves it.
    ///
    /// # Errors
    /// If the text is not there.
    pub fn edit(&self, file: &str, from: &str, to: &str) -> Result {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).with_context(|| file.to_owned())?;
        ensure!(text.contains(from), "{file} holds no {from:?}:\n{text}");
        Ok(fs::write(path, text.replace(from, to))?)
    }

    /// Saves a file of the folder as it is.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub fn save(&self, file: &str) -> Result {
        self.edit(file, "", "")
    }

    /// What a file of the folder holds.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self, file: &str) -> Result<String> {
        fs::read_to_string(self.folder.join(file)).with_context(|| file.to_owned())
    }

    /// The names of what lies in the folder, sorted.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn files(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// Starts `sandman dev`.
    ///
    /// # Errors
    /// If it does not start.
    pub fn dev(&self, arguments: &[&str]) -> Result<Window> {
        let mut command = host::command(&self.folder, &[&["dev"], arguments].concat())?;
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let process = Process::start("sandman dev", &mut command)?;
        self.world.remember(process.stdout.clone());
        self.world.remember(process.stderr.clone());
        Ok(Window { process })
    }
}

impl Window {
    /// Where its admin listener is, as soon as it serves.
    ///
    /// # Errors
    /// If it does not say so in time.
    pub fn admin(&self) -> Result<String> {
        const READY: &str = "sandman ready: admin http://";
        let line = self.process.stdout.wait_within(COMPILING, |line| line.contains(READY));
        let line = line.context("`sandman dev` does not serve")?;
        let address = line.split(READY).nth(1).unwrap_or_default();
        Ok(address.split([',', ' ']).next().unwrap_or_default().to_owned())
    }

    /// Waits for a line with all of `words` on stdout.
    ///
    /// # Errors
    /// If there is none in time.
    pub fn shows(&self, words: &[&str]) -> Result {
        self.has(&self.process.stdout, words)
    }

    /// Waits for a line with all of `words` on stderr.
    ///
    /// # Errors
    /// If there is none in time.
    pub fn complains(&self, words: &[&str]) -> Result {
        self.has(&self.process.stderr, words)
    }

    fn has(&self, log: &Log, words: &[&str]) -> Result {
        let holds = |line: &str| words.iter().all(|word| line.contains(word));
        let found = log.wait_within(COMPILING, holds);
        found
            .map(drop)
            .with_context(|| format!("`sandman dev` has no line with {words:?}"))
    }

    /// Ctrl-C; returns when it has ended.
    ///
    /// # Errors
    /// If it does not end.
    pub fn interrupt(self) -> Result<Ended> {
        self.process.signal(Signal::INT)?;
        let status = self.process.wait(PATIENCE)?;
        Ok(host::ended(&self.process, status))
    }
}
