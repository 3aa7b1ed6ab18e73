//! Starts a core module while its component is built, so that none of its instances has to.
//!
//! A runtime such as Go's sets up its heap and initializes packages before the first call. Here this happens once: the
//! module is run up to that point, and its memory and globals become the initial ones of each instance. The module is
//! run with the same WASI stub as in its component, and has no access to anything else.

mod segments;

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use thiserror::Error;
use wasmtime::{
    Caller, Config, Engine, Extern, ExternType, Func, FuncType, Instance, Linker, Memory, Module, OptLevel,
    RegallocAlgorithm, Store, StoreLimits, StoreLimitsBuilder, Val,
};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

use super::engine;
use super::ticker::{Ticker, epochs_in};

/// The name of a reactor's start function, by WASI's convention.
const START: &str = "_initialize";
/// The interface of a handler's log, which both modules may import.
const LOG: &str = "sandman:handler/log@0.1.0";
/// Bytes of memory that a module may take to start.
const MEMORY: usize = 1 << 30;
/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes of one message of the module while it starts.
const TEXT: usize = 8 << 10;

/// A core module that has started, and the state of its stub at that point.
#[derive(Debug, PartialEq, Eq)]
pub struct StartedModule {
    /// The module, whose instances begin in the state after the start.
    pub module: Vec<u8>,
    /// The stub's exported globals, by name, in its order; integers of any size.
    pub globals: Vec<(String, i64)>,
    /// What the module logged during its start.
    pub logged: Vec<String>,
}

/// Why a core module did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// It is not such a module.
    #[error("its module cannot be run: {0}")]
    Unfit(String),
    /// It panicked with a message.
    #[error("it fails while it starts: {reason}{}", at(place))]
    Panicked {
        /// The message.
        reason: String,
        /// The place in its sources; empty if it is not known.
        place: String,
    },
    /// It trapped without a message.
    #[error("it fails while it starts: {0}")]
    Trapped(String),
}

fn at(place: &str) -> String {
    match place {
        "" => String::new(),
        place => format!(" ({place})"),
    }
}

/// Runs the start of the core module `module`, whose imports `stand_in` provides under the module name `wasi`.
///
/// # Errors
///
/// If the modules do not fit each other, or the start fails.
pub fn start(module: &[u8], stand_in: &[u8], wasi: &str) -> Result<StartedModule, StartError> {
    let wizer = {
        let mut wizer = Wizer::new();
        wizer.init_func(START);
        wizer
    };
    let (context, instrumented) = wizer.instrument(module).map_err(unfit)?;
    let engine = Engine::new(&settings()).map_err(unfit)?;
    let ticker = Ticker::start(engine.clone()).map_err(|fault| StartError::Unfit(fault.to_string()))?;
    let module = Module::new(&engine, &instrumented).map_err(unfit)?;
    let stand_in = Module::new(&engine, stand_in).map_err(unfit)?;

    let mut store = Store::new(&engine, StartCell::default());
    store.limiter(|cell| &mut cell.limits);
    store.set_epoch_deadline(epochs_in(PATIENCE, PATIENCE));
    let (instance, stand_in) = link(&mut store, (&module, &stand_in), wasi).map_err(unfit)?;

    let running = ticker.running();
    let started = instance
        .get_typed_func::<(), ()>(&mut store, START)
        .map_err(unfit)
        .and_then(|start| start.call(&mut store, ()).map_err(|fault| failed(&fault, &mut store)));
    drop(running);
    started?;

    let globals = globals(&mut store, stand_in);
    let logged = std::mem::take(&mut store.data_mut().logged);
    let mut state = StartedState {
        store,
        instance,
        missing: None,
    };
    let module = ready(wizer.snapshot(&context, &mut state))
        .ok_or_else(|| StartError::Unfit("its state cannot be read at once".to_owned()))?
        .map_err(unfit)?;
    if let Some(name) = state.missing {
        return Err(StartError::Unfit(format!("it has no {name}")));
    }
    Ok(StartedModule {
        module: segments::without_spent(&module).map_err(StartError::Unfit)?,
        globals,
        logged,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err gives")]
fn unfit(fault: wasmtime::Error) -> StartError {
    StartError::Unfit(format!("{fault:#}"))
}

fn failed(fault: &wasmtime::Error, store: &mut Store<StartCell>) -> StartError {
    match store.data_mut().panicked.take() {
        Some((reason, place)) => StartError::Panicked { reason, place },
        None => StartError::Trapped(match fault.downcast_ref::<wasmtime::Trap>() {
            Some(wasmtime::Trap::Interrupt) => format!("it takes more than {} seconds", PATIENCE.as_secs()),
            Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
            None => format!("{fault:#}"),
        }),
    }
}

/// The code runs only once and briefly, so fast compilation matters most.
fn settings() -> Config {
    let mut config = engine::settings();
    config
        .cranelift_opt_level(OptLevel::None)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    config
}

/// The data of the store in which a module starts.
struct StartCell {
    limits: StoreLimits,
    /// The stub that provides the module's imports; it imports the module's memory and is therefore created second.
    stand_in: Option<Instance>,
    memory: Option<Memory>,
    logged: Vec<String>,
    panicked: Option<(String, String)>,
}

impl Default for StartCell {
    fn default() -> Self {
        Self {
            limits: StoreLimitsBuilder::new().memory_size(MEMORY).build(),
            stand_in: None,
            memory: None,
            logged: Vec::new(),
            panicked: None,
        }
    }
}

/// Instances of the module and of its stub, each of which imports from the other.
fn link(
    store: &mut Store<StartCell>,
    (module, stand_in): (&Module, &Module),
    wasi: &str,
) -> wasmtime::Result<(Instance, Instance)> {
    let engine = store.engine().clone();
    let mut linker = Linker::new(&engine);
    log_to(&mut linker)?;
    // A module may import a function several times.
    linker.allow_shadowing(true);
    for import in module.imports() {
        if let (true, ExternType::Func(ty)) = (import.module() == wasi, import.ty()) {
            let forward = forward(store, import.name(), ty);
            linker.define(&mut *store, wasi, import.name(), forward)?;
        }
    }
    let instance = linker.instantiate(&mut *store, module)?;
    let memory = instance
        .get_memory(&mut *store, "memory")
        .ok_or_else(|| wasmtime::Error::msg("it exports no memory"))?;
    store.data_mut().memory = Some(memory);

    let mut linker = Linker::new(&engine);
    log_to(&mut linker)?;
    linker.define(&mut *store, "env", "memory", memory)?;
    let stand_in = linker.instantiate(&mut *store, stand_in)?;
    store.data_mut().stand_in = Some(stand_in);
    Ok((instance, stand_in))
}

/// An import of the module, which is forwarded to the stub once that exists.
fn forward(store: &mut Store<StartCell>, name: &str, ty: FuncType) -> Func {
    let name = name.to_owned();
    Func::new(store, ty, move |mut caller, parameters, results| {
        let stand_in = caller.data().stand_in;
        stand_in
            .and_then(|stand_in| stand_in.get_func(&mut caller, &name))
            .ok_or_else(|| wasmtime::Error::msg(format!("the stub has no function {name}")))?
            .call(&mut caller, parameters, results)
    })
}

fn log_to(linker: &mut Linker<StartCell>) -> wasmtime::Result<()> {
    linker.func_wrap(
        LOG,
        "log",
        |mut caller: Caller<'_, StartCell>, _level: i32, text: u32, length: u32| {
            let text = read(&caller, text, length);
            caller.data_mut().logged.push(text);
        },
    )?;
    linker.func_wrap(
        LOG,
        "panicked",
        |mut caller: Caller<'_, StartCell>, text: u32, length: u32, place: u32, place_length: u32| {
            let said = (read(&caller, text, length), read(&caller, place, place_length));
            caller.data_mut().panicked = Some(said);
        },
    )?;
    Ok(())
}

/// A text in the module's memory; empty if it is invalid.
fn read(caller: &Caller<'_, StartCell>, at: u32, length: u32) -> String {
    let memory = caller.data().memory.map(|memory| memory.data(caller));
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(TEXT);
    let text = memory.and_then(|memory| memory.get(at..at.saturating_add(length)));
    String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
}

fn globals(store: &mut Store<StartCell>, instance: Instance) -> Vec<(String, i64)> {
    let exports: Vec<_> = instance
        .exports(&mut *store)
        .map(|export| (export.name().to_owned(), export.into_extern()))
        .collect();
    let of = |(name, exported)| {
        let Extern::Global(global) = exported else { return None };
        match global.get(&mut *store) {
            Val::I32(value) => Some((name, i64::from(value))),
            Val::I64(value) => Some((name, value)),
            _ => None,
        }
    };
    exports.into_iter().filter_map(of).collect()
}

/// The state that the snapshot reads.
struct StartedState {
    store: Store<StartCell>,
    instance: Instance,
    /// A requested export that does not exist.
    missing: Option<String>,
}

impl InstanceState for StartedState {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let global = self.instance.get_global(&mut self.store, name);
        match global.map(|global| global.get(&mut self.store)) {
            Some(Val::I32(value)) => SnapshotVal::I32(value),
            Some(Val::I64(value)) => SnapshotVal::I64(value),
            Some(Val::F32(bits)) => SnapshotVal::F32(bits),
            Some(Val::F64(bits)) => SnapshotVal::F64(bits),
            Some(Val::V128(value)) => SnapshotVal::V128(value.as_u128()),
            _ => {
                self.missing = Some(name.to_owned());
                SnapshotVal::I32(0)
            }
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        match self.instance.get_memory(&mut self.store, name) {
            Some(memory) => contents(memory.data(&self.store)),
            None => self.missing = Some(name.to_owned()),
        }
    }
}

/// The result of a future that never waits.
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{StartError, StartedModule, start};

    const MODULE: &str = r#"(module
        (import "wasi" "ask" (func $ask (result i32)))
        (memory (export "memory") 1)
        (global $count (mut i32) (i32.const 1))
        (data (i32.const 8) "as written")
        (func (export "_initialize")
            (global.set $count (i32.add (global.get $count) (call $ask)))
            (i32.store (i32.const 0) (i32.const 77)))
        (func (export "count") (result i32) (i32.add (global.get $count) (i32.load (i32.const 0)))))"#;
    const STAND_IN: &str = r#"(module
        (import "env" "memory" (memory 0))
        (import "sandman:handler/log@0.1.0" "log" (func $log (param i32 i32 i32)))
        (global $asked (export "asked") (mut i64) (i64.const -3))
        (func (export "ask") (result i32)
            (call $log (i32.const 2) (i32.const 8) (i32.const 10))
            (global.set $asked (i64.add (global.get $asked) (i64.const 1)))
            (i32.const 41)))"#;

    fn started(module: &str, stand_in: &str) -> Result<StartedModule, StartError> {
        let parsed = |text| wat::parse_str(text).unwrap();
        start(&parsed(module), &parsed(stand_in), "wasi")
    }

    #[test]
    fn an_instance_begins_where_the_start_has_ended() {
        let StartedModule {
            module,
            globals,
            logged,
        } = started(MODULE, STAND_IN).unwrap();
        assert_eq!(globals, [("asked".to_owned(), -2)]);
        assert_eq!(logged, ["as written"]);
        let engine = wasmtime::Engine::default();
        let module = wasmtime::Module::new(&engine, module).unwrap();
        assert!(module.get_export("_initialize").is_none());
        let mut store = wasmtime::Store::new(&engine, ());
        let mut linker = wasmtime::Linker::new(&engine);
        linker.define_unknown_imports_as_traps(&module).unwrap();
        let instance = linker.instantiate(&mut store, &module).unwrap();
        let count = instance.get_typed_func::<(), i32>(&mut store, "count").unwrap();
        assert_eq!(count.call(&mut store, ()).unwrap(), 42 + 77);
    }

    #[test]
    fn a_start_that_fails_says_why() {
        let panics = STAND_IN.replace(
            "\"log\" (func $log (param i32 i32 i32))",
            "\"panicked\" (func $log (param i32 i32 i32 i32))",
        );
        let panics = panics.replace(
            "(call $log (i32.const 2) (i32.const 8) (i32.const 10))",
            "(call $log (i32.const 8) (i32.const 2) (i32.const 11) (i32.const 7)) unreachable",
        );
        assert_eq!(
            started(MODULE, &panics).unwrap_err().to_string(),
            "it fails while it starts: as (written)"
        );
        let traps = STAND_IN.replace("(i32.const 41)", "unreachable");
        let said = started(MODULE, &traps).unwrap_err().to_string();
        assert!(said.contains("unreachable"), "{said}");
    }
}
