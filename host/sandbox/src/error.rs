//! What can go wrong with a guest. What goes wrong with loading one says whose guest it was.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use sandman_core::outcome::Failure;
use sandman_core::reason::{LimitKind, TrapKind};

/// Whose guest it is, for logs and errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The handler's name.
    pub handler: Arc<str>,
    /// The version's number within the handler, from 1; 0 for a file that is no version.
    pub version: u64,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            0 => f.write_str(&self.handler),
            version => write!(f, "{} version {version}", self.handler),
        }
    }
}

/// Why the sandbox could not be made.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// wasmtime refused its settings or the memory for its pool.
    #[error(
        "the WebAssembly engine could not start: {0}; where address space is bounded (ulimit -v), lift the bound or set \
         host.allocation to \"on-demand\""
    )]
    Engine(String),
    /// The thread that bounds the time of guests.
    #[error("the thread that bounds the time of guests could not start: {0}")]
    Ticker(#[source] std::io::Error),
    /// The directory of compiled code.
    #[error("host.compiled: the folder of compiled components {path} cannot be used: {source}; only the user that runs sandman may own and enter it: remove it (it is created again), or name another folder", path = path.display())]
    Cache {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Why a component was not loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Larger than any component may be.
    #[error("{label}: the component has {bytes} bytes, more than the {limit} of limits.component")]
    TooLarge {
        /// Whose it is.
        label: Label,
        /// Its size.
        bytes: usize,
        /// The bound.
        limit: u64,
    },
    /// The bytes are no component.
    #[error("{label}: not a WebAssembly component: {reason}; build one with `sandman build DIR`")]
    NoComponent {
        /// Whose it is.
        label: Label,
        /// What is wrong with the bytes.
        reason: String,
    },
    /// The component wants something that no handler gets.
    #[error(
        "{label}: the import `{import}` is not granted; a handler may import only `sandman:handler/log` and \
         `sandman:handler/event-types` (a Rust guest is built for wasm32-unknown-unknown, not for WASI)"
    )]
    NotGranted {
        /// Whose it is.
        label: Label,
        /// The import.
        import: String,
    },
    /// The component is no handler.
    #[error("{label}: the component does not export `{export}`; see wit/event-handler.wit for what a handler is")]
    NoHandler {
        /// Whose it is.
        label: Label,
        /// What is missing.
        export: &'static str,
    },
    /// The component does not fit the contract or the sandbox's bounds.
    #[error("{label}: the component does not fit: {reason}{}", bound_of(reason))]
    Unfit {
        /// Whose it is.
        label: Label,
        /// What wasmtime said.
        reason: String,
    },
    /// Compiling took more CPU time than a component may take.
    #[error("{label}: compiling took more than {limit:?} of CPU time (host.compile_time) and was given up")]
    TooSlow {
        /// Whose it is.
        label: Label,
        /// The bound.
        limit: Duration,
    },
    /// Compiling stood still, or had next to nothing of the machine.
    #[error(
        "{label}: compiling did not end within {limit:?}, ten times host.compile_time, and was given up; is the machine overloaded?"
    )]
    Stalled {
        /// Whose it is.
        label: Label,
        /// The bound.
        limit: Duration,
    },
    /// The process that compiled ended before its end; most likely it needed too much memory.
    #[error("{label}: the compiler ended early ({how}); it may use {memory} bytes of memory (host.compile_memory)")]
    CompilerDied {
        /// Whose it is.
        label: Label,
        /// How it ended.
        how: String,
        /// The bound on its memory, in bytes.
        memory: u64,
    },
    /// No instance could be made: its own code failed, or its memory is over the bound.
    #[error("no instance could be made: {0}")]
    Instantiate(#[source] InvokeError),
    /// The guest could not say what it is.
    #[error("`describe` failed: {0}")]
    Describe(#[source] InvokeError),
}

/// Why an invocation gave no outcome. The texts hold neither handler nor version: they are compared across versions, and the
/// same code fails with the same words.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvokeError {
    /// The handler's own decision.
    #[error("{}", refusal(.0))]
    Refused(Failure),
    /// The guest trapped.
    #[error("the guest {}", trap(kind, panic.as_ref()))]
    Trap {
        /// Whose guest it was.
        label: Label,
        /// The kind of trap, for people.
        kind: String,
        /// The same, for programs.
        code: TrapKind,
        /// What the guest itself said of it.
        panic: Option<Panic>,
    },
    /// The guest went over one of its bounds.
    #[error("the guest {bound}")]
    Exceeded {
        /// Whose guest it was.
        label: Label,
        /// The bound.
        bound: Bound,
    },
    /// The guest returned something that is no outcome.
    #[error("the guest returned {what}")]
    Invalid {
        /// Whose guest it was.
        label: Label,
        /// What is wrong with it.
        what: String,
    },
    /// The host could not make an instance.
    #[error("the guest could not be instantiated: {reason}")]
    NoInstance {
        /// Whose guest it was.
        label: Label,
        /// What wasmtime said.
        reason: String,
    },
}

/// A guest's own words before a trap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    /// The panic's text, cut at 4 KiB.
    pub message: String,
    /// Where in the guest's source, for example `src/lib.rs:12:5`; may be empty.
    pub place: String,
}

/// A bound that an invocation went over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Bound {
    /// CPU time.
    #[error("used more than its {} ms of CPU time", .0.as_millis())]
    Time(Duration),
    /// Linear memory, in bytes.
    #[error("needed more than its {0} bytes of memory")]
    Memory(u64),
    /// Bytes returned, together.
    #[error("returned more than its {0} bytes of output")]
    Output(u64),
    /// Events returned.
    #[error("returned {got} events, more than its {limit}")]
    Events {
        /// How many it returned.
        got: usize,
        /// How many it may.
        limit: u32,
    },
    /// Bytes handed to the host in one call, whether returned or logged.
    #[error("handed over more than {0} bytes at once")]
    Transfer(usize),
}

/// What engine and pool say where a component consists of more than it may, and the key that bounds it.
const PARTS: [(&str, &str); 9] = [
    ("core module instances", "core_instances"),
    ("instance count too high", "core_instances"),
    ("linear memories", "memories"),
    ("memory count too high", "memories"),
    ("contains tables", "tables"),
    ("tables, which exceeds", "tables"),
    ("table count too high", "tables"),
    ("minimum element size", "table_elements"),
    ("exceeds table limits", "table_elements"),
];

/// The key to raise, if a bound of the configuration is the reason.
fn bound_of(reason: &str) -> String {
    let found = PARTS.iter().find(|(words, _)| reason.contains(words));
    found.map_or_else(String::new, |(_, key)| {
        format!("; limits.{key} of the handler bounds it")
    })
}

impl Bound {
    /// The bound, for programs.
    pub fn kind(self) -> LimitKind {
        match self {
            Self::Time(_) => LimitKind::Time,
            Self::Memory(_) => LimitKind::Memory,
            Self::Output(_) => LimitKind::Output,
            Self::Events { .. } => LimitKind::Events,
            Self::Transfer(_) => LimitKind::Transfer,
        }
    }
}

fn refusal(failure: &Failure) -> String {
    match failure {
        Failure::Rejected(reason) => format!("rejected: {reason}"),
        Failure::Retry(reason) => format!("to be retried: {reason}"),
    }
}

fn trap(kind: &str, panic: Option<&Panic>) -> String {
    match panic {
        Some(Panic { message, place }) if place.is_empty() => format!("panicked: {message}"),
        Some(Panic { message, place }) => format!("panicked at {place}: {message}"),
        None => format!("trapped: {kind}"),
    }
}
