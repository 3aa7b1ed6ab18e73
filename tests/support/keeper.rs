//! Clears up behind a run, however it ends.
//!
//! A shell waits for the end of our pipe, which the kernel closes when we end, on a panic, on Ctrl-C and on SIGKILL alike;
//! then it kills the processes that are left and removes the run's folder. It ignores the signals of a terminal itself.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, anyhow};

use crate::Result;

const SCRIPT: &str = r#"
trap '' INT TERM HUP
pids=
while read -r word pid; do
  if [ "$word" = watch ]; then
    pids="$pids $pid"
  else
    left=
    for each in $pids; do [ "$each" = "$pid" ] || left="$left $each"; done
    pids=$left
  fi
done
for each in $pids; do kill -KILL "$each" 2>/dev/null; done
rm -rf -- "$1"
"#;

pub(crate) struct Keeper {
    folder: PathBuf,
    pipe: Mutex<ChildStdin>,
    /// Kept and never waited for: it outlives us.
    _shell: Child,
}

/// The run's keeper, started at the first use.
pub(crate) fn keeper() -> Result<&'static Keeper> {
    static KEEPER: OnceLock<Result<Keeper>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(Keeper::start).as_ref();
    keeper.map_err(|error| anyhow!("nobody would clear up behind this run: {error:#}"))
}

impl Keeper {
    fn start() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("sandman-tests-")
            .tempdir()
            .context("no temporary folder")?
            .keep();
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "keeper"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("`sh` does not start")?;
        let pipe = shell.stdin.take().context("`sh` has no stdin")?;
        Ok(Self {
            folder,
            pipe: Mutex::new(pipe),
            _shell: shell,
        })
    }

    /// The run's folder, which goes when the run ends.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kills the process when we end.
    pub(crate) fn watch(&self, pid: u32) -> Result {
        self.say("watch", pid).context("the keeper is gone")
    }

    /// The process has ended, or is about to be waited for.
    pub(crate) fn release(&self, pid: u32) {
        // A keeper that is gone keeps nothing.
        let _ = self.say("release", pid);
    }

    fn say(&self, word: &str, pid: u32) -> std::io::Result<()> {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(pipe, "{word} {pid}")?;
        pipe.flush()
    }
}
