//! Inspects and compiles a component in a process of its own. Neither a parser nor Cranelift can be interrupted or
//! limited from inside their process: a few kilobytes of nested types can exhaust the stack, which ends the process. So
//! the host runs its own binary as a child, passes it the component, and ends it at its limits. The result is a file of
//! compiled code, which the host checks like any other before loading it.

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, nice, setrlimit};

use super::compiled::Compiled;
use super::error::{Label, LoadError};
use super::{engine, imports};
use sandman_core::digest;

/// How a component becomes machine code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compiler {
    /// In this process, without limits: for components that are trusted to compile.
    #[default]
    Here,
    /// In a child process, `sandman compile`, within these limits. Only for the `sandman` binary itself.
    Apart(CompileBounds),
}

/// The limits for compiling one component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileBounds {
    /// CPU time of the child, all cores together; in whole seconds, rounded up. Unlike wall time, it does not depend on
    /// the load of the machine.
    pub time: Duration,
    /// Address space of the child, in bytes.
    pub memory: u64,
}

impl CompileBounds {
    /// The limit on wall time, for a child that hangs. A child that shares its cores with guests gets at least a tenth of them.
    fn patience(self) -> Duration {
        self.time.saturating_mul(10)
    }

    fn seconds(self) -> u64 {
        self.time.as_secs() + u64::from(self.time.subsec_nanos() > 0)
    }
}

/// Bytes of the child's error output that are read.
const WORDS: u64 = 4 << 10;
/// The child's exit code for a refused component.
const REFUSED: i32 = 1;

/// Why there is no compiled code.
#[derive(Debug)]
pub(super) enum CompilerFault {
    /// The component is not a handler or does not compile, or the code cannot be stored.
    Refused(String),
    TooSlow,
    Stalled,
    Died(String),
}

impl CompilerFault {
    pub(super) fn of(self, label: &Label, bounds: CompileBounds) -> LoadError {
        let label = label.clone();
        let CompileBounds { time, memory } = bounds;
        match self {
            Self::Refused(reason) => LoadError::Unfit { label, reason },
            Self::TooSlow => LoadError::TooSlow { label, limit: time },
            Self::Stalled => LoadError::Stalled {
                label,
                limit: bounds.patience(),
            },
            Self::Died(how) => LoadError::CompilerDied { label, how, memory },
        }
    }
}

/// Checks in a child process what `wasm` imports and exports. A refusal is encoded as by [`imports::InspectError`].
pub(super) fn inspect(bounds: CompileBounds, wasm: &[u8]) -> Result<(), CompilerFault> {
    run(command(bounds), bounds, wasm)
}

/// Compiles `wasm` into the folder `cache` in a child process, and waits for it.
pub(super) fn compile(cache: &Path, bounds: CompileBounds, wasm: &[u8]) -> Result<(), CompilerFault> {
    let command = command(bounds).map(|mut command| {
        command.arg("--cache").arg(cache);
        command
    });
    run(command, bounds, wasm)
}

fn run(command: io::Result<Command>, bounds: CompileBounds, wasm: &[u8]) -> Result<(), CompilerFault> {
    let no_child = |error: io::Error| CompilerFault::Died(format!("it could not be started: {error}"));
    let mut child = command.and_then(|mut command| command.spawn()).map_err(no_child)?;
    let (Some(mut stdin), Some(stderr)) = (child.stdin.take(), child.stderr.take()) else {
        return Err(CompilerFault::Died("it has no pipes".to_owned()));
    };
    thread::scope(|scope| {
        scope.spawn(move || {
            // A child that has ended does not read; its exit status says why.
            stdin.write_all(wasm).ok();
        });
        let (said, words) = mpsc::sync_channel(1);
        scope.spawn(move || {
            let mut text = Vec::new();
            // Its stderr closes only when it ends.
            stderr.take(WORDS).read_to_end(&mut text).ok();
            said.send(String::from_utf8_lossy(&text).trim().to_owned()).ok();
        });
        match words.recv_timeout(bounds.patience()) {
            Ok(words) => verdict(child.wait().map_err(no_child)?, words),
            Err(_) => {
                end(&mut child);
                Err(CompilerFault::Stalled)
            }
        }
    })
}

fn command(bounds: CompileBounds) -> io::Result<Command> {
    // The file of the binary may have been replaced by a newer version; this is the running one.
    let running = PathBuf::from("/proc/self/exe");
    let program = if running.exists() {
        running
    } else {
        std::env::current_exe()?
    };
    let mut command = Command::new(program);
    command
        .arg("compile")
        .args(["--memory", &bounds.memory.to_string()])
        .args(["--seconds", &bounds.seconds().to_string()])
        // It needs no secrets.
        .env_clear()
        // Otherwise the allocator would reserve a gibibyte of the limit at once.
        .env("MIMALLOC_ARENA_RESERVE", "65536")
        .env("MIMALLOC_SHOW_ERRORS", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    Ok(command)
}

fn end(child: &mut Child) {
    // It may have ended on its own at this moment.
    child.kill().ok();
    child.wait().ok();
}

fn verdict(status: ExitStatus, words: String) -> Result<(), CompilerFault> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(REFUSED), _) => Err(CompilerFault::Refused(words)),
        (Some(code), _) => Err(CompilerFault::Died(format!("exit code {code}: {words}"))),
        (None, Some(signal)) if signal == Signal::XCPU.as_raw() => Err(CompilerFault::TooSlow),
        (None, signal) => Err(CompilerFault::Died(format!(
            "signal {}: {words}",
            signal.unwrap_or_default()
        ))),
    }
}

/// The child's side: sets its own limits and checks the component in `wasm`; with a folder, it also compiles it and
/// stores the code there.
///
/// # Errors
///
/// Why it is not a handler, or why there is no compiled code.
pub fn compile_in_child(cache: Option<&Path>, bounds: CompileBounds, mut wasm: impl Read) -> Result<(), String> {
    bound(bounds).map_err(|error| format!("the limits of the compiler's process cannot be set: {error}"))?;
    let mut bytes = Vec::new();
    wasm.read_to_end(&mut bytes)
        .map_err(|error| format!("the component cannot be read: {error}"))?;
    let Some(cache) = cache else {
        return imports::see(&bytes).map_err(|seen| seen.to_words());
    };
    let engine = engine::compiler().map_err(|fault| format!("{fault:#}"))?;
    let kept = |error: io::Error| format!("compiled code cannot be stored in {}: {error}", cache.display());
    let compiled = Compiled::open(cache, &engine).map_err(kept)?;
    let code = engine
        .precompile_component(&bytes)
        .map_err(|fault| format!("{fault:#}"))?;
    compiled.store(&digest(&bytes), &code).map_err(kept)
}

fn bound(bounds: CompileBounds) -> rustix::io::Result<()> {
    let at_most = |limit| Rlimit {
        current: Some(limit),
        maximum: Some(limit),
    };
    setrlimit(Resource::As, at_most(bounds.memory))?;
    // The soft limit sends a signal that shows the reason; SIGKILL, at the hard limit, would not.
    let seconds = bounds.seconds();
    let cpu = Rlimit {
        current: Some(seconds),
        maximum: Some(seconds.saturating_add(2)),
    };
    setrlimit(Resource::Cpu, cpu)?;
    setrlimit(Resource::Core, at_most(0))?;
    // Guests have priority. On a system that does not allow this, it compiles at the normal priority.
    nice(NICE).ok();
    #[cfg(target_os = "linux")]
    end_with_the_host()?;
    Ok(())
}

/// A third of a guest's share. At the lowest priority a deploy would never end if guests take all cores.
const NICE: i32 = 5;

/// Ensures that a killed host leaves no compiler running.
#[cfg(target_os = "linux")]
fn end_with_the_host() -> rustix::io::Result<()> {
    use rustix::process::{getppid, set_parent_process_death_signal};
    let host = getppid();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != host {
        // The host ended during the call.
        return Err(rustix::io::Errno::SRCH);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
