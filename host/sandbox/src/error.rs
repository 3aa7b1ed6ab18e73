//! Errors of guests. Those of loading a guest name its handler and version.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use sandman_core::outcome::Failure;
use sandman_core::reason::{LimitKind, TrapKind};

/// The handler and version of a guest, for logs and errors.
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

/// Why the sandbox could not be created.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// wasmtime refused its settings or the memory for its pool.
    #[error(
        "the WebAssembly engine could not start: {0}; where address space is bounded (ulimit -v), lift the bound or set \
         host.allocation to \"on-demand\""
    )]
    Engine(String),
    /// The thread that limits the time of guests could not start.
    #[error("the thread that limits the time of guests could not start: {0}")]
    Ticker(#[source] std::io::Error),
    /// The directory of compiled code cannot be used.
    #[error("host.compiled: the folder of compiled components {path} cannot be used: {source}; only the user that runs sandman may own and enter it: remove it (it is created again), or name another folder", path = path.display())]
    Cache {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

/// Why a component was not loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The component is larger than its limit.
    #[error("{label}: the component has {bytes} bytes, more than the {limit} of limits.component")]
    TooLarge {
        /// Its handler and version.
        label: Label,
        /// Its size.
        bytes: usize,
        /// The bound.
        limit: u64,
    },
    /// The bytes are not a component.
    #[error("{label}: not a WebAssembly component: {reason}; build one with `sandman build DIR`")]
    NoComponent {
        /// Its handler and version.
        label: Label,
        /// The problem with the bytes.
        reason: String,
    },
    /// The component imports something that no handler gets.
    #[error(
        "{label}: the import `{import}` is not granted; a handler may import only `sandman:handler/log` and \
         `sandman:handler/event-types` (a Rust guest is built for wasm32-unknown-unknown, not for WASI)"
    )]
    NotGranted {
        /// Its handler and version.
        label: Label,
        /// The import.
        import: String,
    },
    /// The component is not a handler.
    #[error(
        "{label}: the component does not export `{export}`; see wit/event-handler.wit for the exports of a handler"
    )]
    NoHandler {
        /// Its handler and version.
        label: Label,
        /// The missing export.
        export: &'static str,
    },
    /// The component does not fit the contract or the sandbox's limits.
    #[error("{label}: the component does not fit: {reason}{}", bound_of(reason))]
    Unfit {
        /// Its handler and version.
        label: Label,
        /// wasmtime's error.
        reason: String,
    },
    /// Compiling took more CPU time than a component may take.
    #[error("{label}: compiling took more than {limit:?} of CPU time (host.compile_time) and was given up")]
    TooSlow {
        /// Its handler and version.
        label: Label,
        /// The bound.
        limit: Duration,
    },
    /// Compiling hung, or got almost no CPU time.
    #[error(
        "{label}: compiling did not end within {limit:?}, ten times host.compile_time, and was given up; is the machine overloaded?"
    )]
    Stalled {
        /// Its handler and version.
        label: Label,
        /// The bound.
        limit: Duration,
    },
    /// The compiling process ended early; most likely it needed too much memory.
    #[error("{label}: the compiler ended early ({how}); it may use {memory} bytes of memory (host.compile_memory)")]
    CompilerDied {
        /// Its handler and version.
        label: Label,
        /// How it ended.
        how: String,
        /// The bound on its memory, in bytes.
        memory: u64,
    },
    /// No instance could be created: its own code failed, or its memory exceeds the limit.
    #[error("no instance could be created: {0}")]
    Instantiate(#[source] InvokeError),
    /// The guest's `describe` failed.
    #[error("`describe` failed: {0}")]
    Describe(#[source] InvokeError),
}

/// Why an invocation gave no outcome. The texts contain neither handler nor version, so that they can be compared
/// across versions: the same code fails with the same text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvokeError {
    /// The handler's own decision.
    #[error("{}", refusal(.0))]
    Refused(Failure),
    /// The guest trapped.
    #[error("the guest {}", trap(kind, panic.as_ref()))]
    Trap {
        /// Its handler and version.
        label: Label,
        /// The kind of trap, for people.
        kind: String,
        /// The same for programs.
        code: TrapKind,
        /// The guest's own message.
        panic: Option<Panic>,
    },
    /// The guest exceeded one of its limits.
    #[error("the guest {bound}")]
    Exceeded {
        /// Its handler and version.
        label: Label,
        /// The bound.
        bound: Bound,
    },
    /// The guest returned an invalid outcome.
    #[error("the guest returned {what}")]
    Invalid {
        /// Its handler and version.
        label: Label,
        /// The problem with it.
        what: String,
    },
    /// The host could not create an instance.
    #[error("the guest could not be instantiated: {reason}")]
    NoInstance {
        /// Its handler and version.
        label: Label,
        /// wasmtime's error.
        reason: String,
    },
}

/// A guest's own message before a trap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    /// The panic's text, cut at 4 KiB.
    pub message: String,
    /// The place in the guest's source, for example `src/lib.rs:12:5`; may be empty.
    pub place: String,
}

/// A limit that an invocation exceeded.
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

/// Texts in errors of engine and pool for components that exceed a limit on their parts, and the key of that limit.
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

/// The key to raise, if a limit of the configuration is the reason.
fn bound_of(reason: &str) -> String {
    let found = PARTS.iter().find(|(words, _)| reason.contains(words));
    found.map_or_else(String::new, |(_, key)| {
        format!("; the limit is limits.{key} of the handler")
    })
}

impl Bound {
    /// The limit, for programs.
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
