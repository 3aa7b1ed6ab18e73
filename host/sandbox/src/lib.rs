//! The sandbox: turns components into guests that can be called and cannot escape.
//!
//! Only this crate uses wasmtime. [`Sandbox::load`] checks and compiles a component; [`SandboxedGuest::invoke`] runs
//! one trigger of one key within the handler's [`Limits`] and returns an outcome that is JSON where it must be.

mod bindings;
mod cell;
mod check;
mod compiled;
mod compiler;
mod convert;
mod cpu;
mod engine;
mod error;
mod guest;
mod imports;
mod invoke;
mod limiter;
mod load;
mod notes;
mod started;
mod ticker;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use wasmtime::Engine;

use cell::GuestTerms;
use compiled::Compiled;
use guest::Pool;
use sandman_core::contract::Contract;
use sandman_core::digest;
use sandman_core::limits::{Allocation, ComponentParts, Instances, Limits};
use ticker::Ticker;

pub use compiler::{CompileBounds, Compiler, compile_in_child};
pub use cpu::thread_cpu;
pub use error::{Bound, InvokeError, Label, LoadError, Panic, SandboxError};
pub use guest::SandboxedGuest;
pub use started::{StartError, StartedModule, start};

/// The options of the sandbox.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// The directory for compiled code, if it is kept. Created if it is missing; must belong to this user, and is made
    /// inaccessible to others.
    pub cache_dir: Option<PathBuf>,
    /// Whether compiled code is only read there: nothing is made, and a folder that is not there, or that others than this user
    /// may write to, holds nothing.
    pub cache_is_read_only: bool,
    /// How many threads may be inside [`SandboxedGuest::invoke`] at one time; each has its instance. From 1.
    pub instances: u32,
    /// The largest memory limit of any handler, in bytes.
    pub memory: u64,
    /// The largest limits on the parts of any handler's component.
    pub parts: ComponentParts,
    /// Bytes of stack that a guest may use. The calling threads need 1 MiB more.
    pub stack: usize,
    /// How instances are allocated.
    pub allocation: Allocation,
    /// How components are compiled.
    pub compiler: Compiler,
}

impl SandboxOptions {
    /// Options with which components are compiled in this process.
    pub fn new(cache_dir: impl Into<Option<PathBuf>>, instances: u32, memory: u64) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            cache_is_read_only: false,
            instances,
            memory,
            parts: ComponentParts::default(),
            stack: 512 << 10,
            allocation: Allocation::default(),
            compiler: Compiler::Here,
        }
    }
}

/// The engine, its instances and its compiled code. One per process.
pub struct Sandbox {
    engine: Engine,
    ticker: Ticker,
    /// `None` if compiled code is not kept.
    compiled: Option<Compiled>,
    /// Held while a component is compiled in a child process.
    compiling: Mutex<()>,
    options: SandboxOptions,
    /// Instances kept for reuse, of all guests.
    idle: AtomicUsize,
}

impl Sandbox {
    /// Creates the engine; with a pool, it reserves address space for its instances.
    ///
    /// # Errors
    ///
    /// If the engine or its thread cannot be started, or the directory of compiled code cannot be used.
    pub fn new(options: SandboxOptions) -> Result<Arc<Self>, SandboxError> {
        let engine = engine::engine(&options).map_err(|fault| SandboxError::Engine(format!("{fault:#}")))?;
        let ticker = Ticker::start(engine.clone()).map_err(SandboxError::Ticker)?;
        let open = |path: &PathBuf| {
            Compiled::open(path, &engine).map_err(|source| SandboxError::Cache {
                path: path.clone(),
                source,
            })
        };
        let compiled = match &options.cache_dir {
            Some(dir) if options.cache_is_read_only => Compiled::to_read(dir, &engine),
            dir => dir.as_ref().map(open).transpose()?,
        };
        Ok(Arc::new(Self {
            engine,
            ticker,
            compiled,
            compiling: Mutex::new(()),
            options,
            idle: AtomicUsize::new(0),
        }))
    }

    /// Checks a component, compiles it or takes it from the cache, and calls `describe`. Takes seconds for a large new
    /// component, so it should not run on a thread for which others wait.
    ///
    /// # Errors
    ///
    /// If the bytes are not a component, import something that is not granted, are not a handler, or exceed the limits.
    pub fn load(
        self: &Arc<Self>,
        label: Label,
        wasm: &[u8],
        limits: Limits,
        instances: Instances,
    ) -> Result<SandboxedGuest, LoadError> {
        self.load_in_steps((label, limits, instances), wasm, &mut |_| {})
    }

    /// Like [`Sandbox::load`]; calls `passed` for each step once it is done.
    ///
    /// # Errors
    ///
    /// Like [`Sandbox::load`]; the step after the last passed one has failed.
    pub fn load_in_steps(
        self: &Arc<Self>,
        (label, limits, instances): (Label, Limits, Instances),
        wasm: &[u8],
        passed: &mut dyn FnMut(LoadStep),
    ) -> Result<SandboxedGuest, LoadError> {
        load::look(self, (&label, limits.component), wasm)?;
        passed(LoadStep::Inspected);
        let digest = digest(wasm);
        let (component, kept) = load::component(self, &label, (wasm, &digest))?;
        self.ticker.suit(limits.time);
        let terms = GuestTerms { label, limits };
        let prepared = load::prepare(self, &terms, &component)?;
        passed(LoadStep::Compiled { kept });
        let mut guest = SandboxedGuest {
            sandbox: Arc::clone(self),
            terms: Arc::new(terms),
            prepared,
            pool: match instances {
                Instances::Fresh => Pool::Fresh,
                Instances::Reused => Pool::Reused(Mutex::new(Vec::new())),
            },
            digest,
            contract: Contract::default(),
            peak: AtomicU64::new(0),
        };
        let live = guest.first().map_err(|fault| match fault {
            // Creating the first instance also compares the types of the exports with the contract.
            InvokeError::NoInstance { label, reason } => LoadError::Unfit { label, reason },
            fault => LoadError::Instantiate(fault),
        })?;
        passed(LoadStep::Instantiated);
        guest.contract = guest.describe(live).map_err(LoadError::Describe)?;
        passed(LoadStep::Described);
        Ok(guest)
    }

    /// The largest memory limit that a handler may have, in bytes: the slots for instances are created once.
    pub fn largest_memory(&self) -> u64 {
        self.options.memory
    }

    /// The largest limits on a component's parts that a handler may have: the slots for instances are created once.
    pub fn largest_parts(&self) -> &ComponentParts {
        &self.options.parts
    }

    /// Removes the compiled code of components that no handler keeps any more.
    pub fn forget(&self, digests: &[String]) {
        for digest in digests {
            if let Some(compiled) = &self.compiled {
                compiled.remove(digest);
            }
        }
    }

    /// Whether one more instance may be kept. At most half of the slots are idle, so that the other half is always
    /// available for the calling threads.
    fn idle_kept(&self) -> bool {
        let bound = usize::try_from(self.options.instances).unwrap_or(usize::MAX);
        let more = |idle| (idle < bound).then_some(idle + 1);
        self.idle
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    fn idle_taken(&self) {
        self.idle.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A completed step of loading a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadStep {
    /// Its imports and exports are those of a handler.
    Inspected,
    /// It is machine code, and fits the contract's types.
    Compiled {
        /// Whether the code was already in the cache.
        kept: bool,
    },
    /// An instance was created.
    Instantiated,
    /// `describe` has returned its contract.
    Described,
}

/// Slots of the pool: one for each caller, as many for idle instances, and one for a component that is being loaded.
fn slots(options: &SandboxOptions) -> u32 {
    options.instances.saturating_mul(2).saturating_add(1)
}

/// Checks that a component is a handler that imports only what every handler gets. Compiles nothing.
///
/// # Errors
///
/// If it is not a component, not a handler, or imports something that is not granted.
pub fn inspect(handler: &str, wasm: &[u8]) -> Result<(), LoadError> {
    let label = Label {
        handler: handler.into(),
        version: 0,
    };
    imports::see(wasm).map_err(|seen| seen.of(&label))
}
