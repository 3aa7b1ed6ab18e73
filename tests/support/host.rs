//! The real `sandman run`, started, watched and ended.

use std::io::{Seek, Write};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::Signal;

use crate::Result;
use crate::binary;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::process::Process;
use crate::wait::{COMPILING, PATIENCE, eventually};

const READY: &str = "sandman ready: ";

/// A host that runs. Killed when dropped.
pub struct Host {
    process: Process,
    admin: String,
    /// Where the routes are served, if there are any.
    http: Option<String>,
}

/// How long a process may take to end once it has closed its outputs.
const LAST_MOMENT: Duration = Duration::from_secs(10);

/// A host ended before it was ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedEarly(pub(crate) ExitStatus);

impl std::fmt::Display for EndedEarly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the host ended with {} before it was ready", self.0)
    }
}

impl std::error::Error for EndedEarly {}

/// A host, or another command of `sandman`, that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote on stdout.
    pub stdout: String,
    /// What it wrote on stderr.
    pub stderr: String,
}

impl Ended {
    /// Its exit code; -1 where a signal ended it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// It ended with this code, and its stderr has all of these words.
    ///
    /// # Errors
    /// If it did not.
    pub fn says(&self, code: i32, words: &[&str]) -> Result {
        ensure!(self.code() == code, "{}\n{}", self.status, self.stderr);
        for word in words {
            ensure!(self.stderr.contains(word), "nothing of {word:?} in:\n{}", self.stderr);
        }
        Ok(())
    }
}

/// The environment decides nothing in a test but what the test sets.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Result<Command> {
    Ok(command_of(&binary::sandman()?, folder, arguments))
}

fn command_of(binary: &Path, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars() {
        let ours = ["SANDMAN_", "KAFKA_", "JWT_", "PORT", "AWS_", "PGPASSWORD"];
        if name != "SANDMAN_LOG" && ours.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.args(arguments).current_dir(folder);
    command
}

/// Runs a command of `sandman` to its end.
pub(crate) fn run(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Ended> {
    let mut command = command(folder, arguments)?;
    command.envs(environment.iter().copied());
    let process = Process::start(&format!("sandman {}", arguments.join(" ")), &mut command)?;
    let status = process.wait(COMPILING)?;
    Ok(ended(&process, status))
}

/// The same with the binary that has faults compiled in.
pub(crate) fn run_faulty(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Ended> {
    let mut command = command_of(&binary::faulty()?, folder, arguments);
    command.envs(environment.iter().copied());
    let process = Process::start(&format!("sandman-faulty {}", arguments.join(" ")), &mut command)?;
    let status = process.wait(COMPILING)?;
    Ok(ended(&process, status))
}

/// The same, with text on its standard input.
pub(crate) fn run_reading(folder: &Path, arguments: &[&str], input: &str) -> Result<Ended> {
    let mut file = tempfile::tempfile()?;
    file.write_all(input.as_bytes())?;
    file.rewind()?;
    let mut command = command(folder, arguments)?;
    let process = Process::start_reading("sandman", &mut command, file.into())?;
    let status = process.wait(PATIENCE)?;
    Ok(ended(&process, status))
}

/// The same, with the limits that the shell's `ulimit` sets for these arguments of it.
pub(crate) fn run_limited(folder: &Path, ulimit: &str, arguments: &[&str]) -> Result<Ended> {
    let limited = command(folder, arguments)?;
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit {ulimit} && exec \"$0\" \"$@\""));
    shell
        .arg(limited.get_program())
        .args(limited.get_args())
        .current_dir(folder);
    let process = Process::start("sandman", &mut shell)?;
    let status = process.wait(PATIENCE)?;
    Ok(ended(&process, status))
}

/// Runs a command of `sandman` and kills it as soon as a line on stderr is `last`.
pub(crate) fn run_until(folder: &Path, arguments: &[&str], last: &str) -> Result<()> {
    let process = Process::start("sandman", &mut command(folder, arguments)?)?;
    let line = process.stderr.wait_for(|line| line == last);
    line.with_context(|| format!("no line {last:?} in {:?}", process.stderr.text()))?;
    process.signal(Signal::KILL)?;
    process.wait(PATIENCE)?;
    Ok(())
}

/// Runs a command of `sandman`, has a look as soon as a line on stdout holds `last`, and kills it.
pub(crate) fn run_and_kill(mut command: Command, last: &str, look: impl FnOnce() -> Result<()>) -> Result<()> {
    let process = Process::start("sandman", &mut command)?;
    let line = process.stdout.wait_for(|line| line.contains(last));
    line.with_context(|| format!("no {last:?} in {:?}{:?}", process.stdout.text(), process.stderr.text()))?;
    look()?;
    process.signal(Signal::KILL)?;
    process.wait(PATIENCE)?;
    Ok(())
}

pub(crate) fn ended(process: &Process, status: ExitStatus) -> Ended {
    Ended {
        status,
        stdout: process.stdout.text(),
        stderr: process.stderr.text(),
    }
}

impl Host {
    /// Starts `sandman run`, or the binary with faults, in a folder with a `sandman.toml`; `remember` is given its log before anything can go wrong.
    pub(crate) fn start(
        faulty: bool,
        folder: &Path,
        arguments: &[&str],
        environment: &[(String, String)],
        remember: impl FnOnce(Log),
    ) -> Result<Self> {
        let arguments: Vec<_> = ["run", "--config", "sandman.toml"]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        let binary = if faulty { binary::faulty() } else { binary::sandman() };
        let mut command = command_of(&binary?, folder, &arguments);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let process = Process::start("the host", &mut command)?;
        remember(process.stderr.clone());
        let ready = process.stdout.wait_within(COMPILING, |line| line.starts_with(READY));
        let line = match ready {
            Some(line) => line,
            // What it wrote ends a moment before it does.
            None => match process.wait(LAST_MOMENT) {
                Ok(status) => return Err(EndedEarly(status).into()),
                Err(_) => bail!("the host was not ready in time"),
            },
        };
        let admin = address(&line, "admin").with_context(|| format!("no admin address in {line:?}"))?;
        let http = address(&line, "http");
        Ok(Self { process, admin, http })
    }

    /// The address of the admin listener.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// The address of the listener that serves the routes.
    ///
    /// # Errors
    /// If it serves none.
    pub fn http(&self) -> Result<&str> {
        self.http.as_deref().context("the host serves no routes")
    }

    /// The host's process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The id of the host's process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The CPU time that the host's process has used.
    ///
    /// # Errors
    /// If it has ended.
    pub fn cpu(&self) -> Result<std::time::Duration> {
        self.process.cpu()
    }

    /// The most memory that the host's process ever had, in bytes.
    ///
    /// # Errors
    /// If it has ended.
    pub fn peak_memory(&self) -> Result<u64> {
        crate::torture::peak_memory(self)
    }

    /// One reading of its metrics.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn metrics(&self) -> Result<Metrics> {
        Metrics::read(&self.admin)
    }

    /// Waits until the metrics are as wanted, and returns them.
    ///
    /// # Errors
    /// If they do not become so in time.
    pub fn metrics_when(&self, what: &str, wanted: impl Fn(&Metrics) -> bool) -> Result<Metrics> {
        eventually(what, || {
            self.metrics().map(|metrics| wanted(&metrics).then_some(metrics))
        })
    }

    /// Waits for a line of its log that holds all of `words`.
    ///
    /// # Errors
    /// If there is none in time.
    pub fn says(&self, words: &[&str]) -> Result<String> {
        let holds = |line: &str| words.iter().all(|word| line.contains(word));
        let line = self.process.stderr.wait_for(holds);
        line.with_context(|| format!("the host's log has no line with {words:?}"))
    }

    /// Whether it has not ended.
    ///
    /// # Errors
    /// If it has.
    pub fn still_runs(&self) -> Result {
        match self.process.ended() {
            None => Ok(()),
            Some(status) => bail!("the host ended with {status}"),
        }
    }

    /// SIGKILL: it ends in the middle of whatever it does.
    ///
    /// # Errors
    /// If it does not end.
    pub fn kill(self) -> Result {
        self.process.signal(Signal::KILL)?;
        self.process.wait(PATIENCE)?;
        Ok(())
    }

    /// SIGSTOP: it stands still, and its connections stay open.
    ///
    /// # Errors
    /// If the signal cannot be sent.
    pub fn freeze(&self) -> Result {
        self.process.signal(Signal::STOP)
    }

    /// SIGCONT: it goes on, and does not know that it stood still.
    ///
    /// # Errors
    /// If the signal cannot be sent.
    pub fn thaw(&self) -> Result {
        self.process.signal(Signal::CONT)
    }

    /// SIGTERM: it drains; returns when it has ended.
    ///
    /// # Errors
    /// If it does not end.
    pub fn terminate(self) -> Result<Ended> {
        self.process.signal(Signal::TERM)?;
        self.wait(PATIENCE)
    }

    /// SIGHUP: it reads its configuration again.
    ///
    /// # Errors
    /// If the signal cannot be sent.
    pub fn hang_up(&self) -> Result {
        self.process.signal(Signal::HUP)
    }

    /// SIGTERM without waiting.
    ///
    /// # Errors
    /// If the signal cannot be sent.
    pub fn ask_to_stop(&self) -> Result {
        self.process.signal(Signal::TERM)
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// If it does not within `patience`.
    pub fn wait(self, patience: Duration) -> Result<Ended> {
        let status = self.process.wait(patience)?;
        Ok(ended(&self.process, status))
    }
}

/// `sandman ready: admin http://127.0.0.1:1, http http://…` to the address of that name.
fn address(line: &str, name: &str) -> Option<String> {
    let words: Vec<_> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let at = words.iter().position(|word| *word == name)?;
    Some((*words.get(at + 1)?).to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_are_found_by_name() {
        let line = "sandman ready: admin http://127.0.0.1:1, http http://127.0.0.1:2";
        assert_eq!(super::address(line, "admin").as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(super::address(line, "http").as_deref(), Some("http://127.0.0.1:2"));
        assert_eq!(super::address(line, "x"), None);
    }
}
