//! Runs the commands that a platform team would use, with our own binary.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// The line that `sandman run` prints when it serves.
const READY: &str = "sandman ready: admin ";

/// How long the host may take to stop: more than its grace.
const STOP: Duration = Duration::from_secs(25);

/// `sandman run` as a process of its own. It ends when this value is dropped, and with this process in any case.
pub(super) struct HostProcess {
    child: Child,
    log: PathBuf,
    /// Where its admin listener is.
    pub(super) admin: String,
    /// Where the routes are served.
    pub(super) http: String,
}

/// Our own binary, with a clean environment.
fn sandman(folder: &Path) -> Result<Command> {
    let binary = std::env::current_exe().context("the path of this program")?;
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        let ours = ["SANDMAN_", "KAFKA_", "JWT_", "PORT", "PGPASS"];
        if name
            .to_str()
            .is_some_and(|name| ours.iter().any(|prefix| name.starts_with(prefix)))
        {
            command.env_remove(name);
        }
    }
    command.current_dir(folder).stdin(Stdio::null());
    Ok(command)
}

impl HostProcess {
    /// Starts a host of the folder's `sandman.toml`, with this in its environment, and waits until it serves. Its log goes to a
    /// file there that has its name.
    pub(super) fn start(folder: &Path, name: &str, environment: &[(&str, &str)]) -> Result<Self> {
        let log = folder.join(format!("host-{name}.log"));
        let stderr = std::fs::File::create(&log).with_context(|| log.display().to_string())?;
        let mut child = sandman(folder)?
            .args(["run", "--with-parent"])
            // Ctrl-C in a terminal is for this process; it stops the host later.
            .process_group(0)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .context("sandman run")?;
        let stdout = child.stdout.take().context("the output of sandman run")?;
        let mut host = Self {
            child,
            log,
            admin: String::new(),
            http: String::new(),
        };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let addresses = line
            .trim()
            .strip_prefix(READY)
            .and_then(|rest| rest.split_once(", http "));
        let Some((admin, http)) = addresses else {
            bail!("the host did not start; its log says:\n{}", host.last_words());
        };
        (host.admin, host.http) = (admin.to_owned(), http.to_owned());
        Ok(host)
    }

    /// The end of its log.
    pub(super) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines
            .get(lines.len().saturating_sub(15)..)
            .unwrap_or_default()
            .join("\n")
    }

    /// Stops it like an orchestrator, and returns whether it ended cleanly.
    pub(super) fn stop(mut self) -> Result<bool> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).context("SIGTERM to the host")?;
        let until = Instant::now() + STOP;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.success());
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        bail!(
            "the host did not stop in {STOP:?}; its log says:\n{}",
            self.last_words()
        );
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        // The host may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The output of a command.
pub(super) struct CommandOutput {
    pub(super) success: bool,
    /// Its last line, on stdout or, if it failed, on stderr.
    pub(super) line: String,
}

/// Runs a command of `sandman` on the host.
pub(super) fn ask(folder: &Path, host: &HostProcess, arguments: &[&str]) -> Result<CommandOutput> {
    let output = run(folder, host, arguments)?;
    let success = output.status.success();
    let text = if success { output.stdout } else { output.stderr };
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().last().unwrap_or_default().to_owned();
    Ok(CommandOutput { success, line })
}

/// All lines of a successful command.
pub(super) fn listed(folder: &Path, host: &HostProcess, arguments: &[&str]) -> Result<Vec<String>> {
    let output = run(folder, host, arguments)?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().map(str::to_owned).collect())
}

/// How many records in Kafka a handler still has to handle, according to `sandman handlers`.
pub(super) fn lag(folder: &Path, host: &HostProcess, handler: &str) -> Result<Option<u64>> {
    number(folder, host, (handler, "lag"))
}

/// The version of a handler that a host serves, according to `sandman handlers`.
pub(super) fn version(folder: &Path, host: &HostProcess, handler: &str) -> Result<Option<u64>> {
    number(folder, host, (handler, "version"))
}

fn number(folder: &Path, host: &HostProcess, (handler, what): (&str, &str)) -> Result<Option<u64>> {
    let output = run(folder, host, &["handlers", "--json"])?;
    let handlers: Vec<serde_json::Value> =
        serde_json::from_slice(&output.stdout).context("what `sandman handlers --json` says")?;
    let found = handlers.iter().find(|known| known["name"] == handler);
    Ok(found.and_then(|found| found[what].as_u64()))
}

fn run(folder: &Path, host: &HostProcess, arguments: &[&str]) -> Result<Output> {
    let mut command = sandman(folder)?;
    command.args(arguments).args(["--host", &host.admin]);
    command
        .output()
        .with_context(|| format!("sandman {}", arguments.join(" ")))
}
