//! A process of ours: its output is collected, its end is awaited, and it never outlives the run.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::Result;
use crate::keeper::keeper;
use crate::log::Log;

struct State {
    child: Child,
    ended: Option<ExitStatus>,
}

/// A process that a test or a bench has started. Killed when dropped.
pub struct Process {
    name: String,
    pid: u32,
    state: Arc<(Mutex<State>, Condvar)>,
    pub(crate) stdout: Log,
    pub(crate) stderr: Log,
}

impl Process {
    /// Starts `command`, which `name` stands for in messages.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        Self::start_reading(name, command, Stdio::null())
    }

    /// The same, with something on its standard input.
    pub(crate) fn start_reading(name: &str, command: &mut Command, input: Stdio) -> Result<Self> {
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} does not start: {:?}", command.get_program()))?;
        let pid = child.id();
        keeper()?.watch(pid)?;
        let stdout = Log::follow(child.stdout.take().context("no stdout")?);
        let stderr = Log::follow(child.stderr.take().context("no stderr")?);
        let state = Arc::new((Mutex::new(State { child, ended: None }), Condvar::new()));
        let reaper = Arc::clone(&state);
        thread::spawn(move || reap(pid, &reaper));
        Ok(Self {
            name: name.to_owned(),
            pid,
            state,
            stdout,
            stderr,
        })
    }

    /// What the kernel calls it.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The CPU time it has used, of all its threads.
    ///
    /// # Errors
    /// If it has ended.
    pub fn cpu(&self) -> Result<Duration> {
        let path = format!("/proc/{}/stat", self.pid);
        let stat = std::fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
        // The name in brackets may hold spaces; the user's and the system's ticks are the 12th and 13th field behind it.
        let fields = stat
            .rsplit_once(')')
            .map_or("", |(_, fields)| fields)
            .split_whitespace();
        let ticks: u64 = fields
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        Ok(Duration::from_secs_f64(
            ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
        ))
    }

    /// The most bytes of its memory that were resident at once.
    ///
    /// # Errors
    /// If it has ended.
    pub fn peak_memory(&self) -> Result<u64> {
        Ok(self.status("VmHWM")? << 10)
    }

    /// How many threads it has.
    ///
    /// # Errors
    /// If it has ended.
    pub fn threads(&self) -> Result<u64> {
        self.status("Threads")
    }

    /// The bytes of its memory that are resident.
    ///
    /// # Errors
    /// If it has ended.
    pub fn memory(&self) -> Result<u64> {
        Ok(self.status("VmRSS")? << 10)
    }

    /// Whether its memory may come in huge pages.
    ///
    /// # Errors
    /// If it has ended.
    pub fn takes_huge_pages(&self) -> Result<bool> {
        Ok(self.status("THP_enabled")? == 1)
    }

    /// A number in `/proc/PID/status`.
    fn status(&self, name: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid);
        let status = std::fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.with_context(|| format!("no {name} in {path}"))
    }

    /// Waits for a line on its standard output that begins with this; `None` if it ends without one.
    pub fn says(&self, start: &str) -> Option<String> {
        self.stdout.wait_for(|line| line.starts_with(start))
    }

    /// All that it has written.
    pub fn written(&self) -> String {
        format!("{}{}", self.stdout.text(), self.stderr.text())
    }

    /// Sends a signal; a process that has ended gets none.
    pub(crate) fn signal(&self, signal: Signal) -> Result {
        let state = lock(&self.state);
        if state.ended.is_none() {
            // Not reaped yet, for that needs the lock: the pid is still this process.
            let pid = Pid::from_child(&state.child);
            kill_process(pid, signal).with_context(|| format!("{} cannot be sent {signal:?}", self.name))?;
        }
        Ok(())
    }

    /// Whether it has ended, and how.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        lock(&self.state).ended
    }

    /// Waits until it ends and all it wrote is collected.
    pub(crate) fn wait(&self, patience: Duration) -> Result<ExitStatus> {
        let end = Instant::now() + patience;
        let mut state = lock(&self.state);
        loop {
            if let Some(status) = state.ended {
                drop(state);
                self.stdout.wait_for_end();
                self.stderr.wait_for_end();
                return Ok(status);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("{} (pid {}) did not end within {patience:?}", self.name, self.pid);
            }
            let waited = self.state.1.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.signal(Signal::KILL);
        let _ = self.wait(Duration::from_secs(30));
    }
}

/// Waits for the end without reaping, so that whoever holds the lock may still send a signal; then reaps.
fn reap(pid: u32, state: &(Mutex<State>, Condvar)) {
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(id) = id {
        let ended = || waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        // Should it fail all the same, `Child::wait` below waits for certain.
        let _ = rustix::io::retry_on_intr(ended);
    }
    let mut locked = lock(state);
    if let Ok(keeper) = keeper() {
        keeper.release(pid);
    }
    locked.ended = locked.child.wait().ok();
    state.1.notify_all();
}

fn lock(state: &(Mutex<State>, Condvar)) -> MutexGuard<'_, State> {
    state.0.lock().unwrap_or_else(PoisonError::into_inner)
}
