//! A server that the demo starts, and that ends with the demo in any case.
//!
//! A shell starts the server and waits for the end of our pipe, which the kernel closes when we end; then it ends the server.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Its arguments: the signal that ends the server, and the server's command line.
const SCRIPT: &str = r#"
signal=$1
shift
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ read -r end <&3; kill -"$signal" "$server"; } 2>/dev/null &
watch=$!
wait "$server"
code=$?
kill "$watch" 2>/dev/null
exit "$code"
"#;

/// The time between two checks whether it is ready.
const LOOK: Duration = Duration::from_millis(50);
/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running server. Dropping it ends the server.
pub(super) struct TetheredServer {
    name: &'static str,
    shell: Child,
    pipe: Option<ChildStdin>,
    log: PathBuf,
}

impl TetheredServer {
    /// Starts `command` with its output in a log in `folder`; `signal` ends it. It runs with the uid `user`, or as the
    /// current user.
    pub(super) fn start(
        (name, signal): (&'static str, &str),
        command: &[&str],
        folder: &Path,
        user: Option<u32>,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| log.display().to_string())?;
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "sandman demo", signal]).args(command);
        if let Some(user) = user {
            shell.uid(user).gid(user);
        }
        let mut shell = shell
            .current_dir(folder)
            .env("LC_ALL", "C")
            // Ctrl-C in a terminal is for this process.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("{name} does not start"))?;
        let pipe = shell.stdin.take();
        Ok(Self { name, shell, pipe, log })
    }

    /// Waits until `is_ready`, which gets the server's output.
    ///
    /// # Errors
    /// If the server ends, or is not ready in time.
    pub(super) fn wait_until(&mut self, mut is_ready: impl FnMut(&str) -> bool) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let said = std::fs::read_to_string(&self.log).unwrap_or_default();
            if is_ready(&said) {
                return Ok(());
            }
            let ended = self.shell.try_wait()?;
            if ended.is_some() || Instant::now() >= until {
                let lines: Vec<&str> = said.lines().collect();
                let end = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default();
                bail!("{} did not start; its log says:\n{}", self.name, end.join("\n"));
            }
            std::thread::park_timeout(LOOK);
        }
    }
}

impl Drop for TetheredServer {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // The shell may have been killed.
        let _ = self.shell.wait();
    }
}
