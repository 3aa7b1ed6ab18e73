//! From bytes to a guest that may be called.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tracing::{info, warn};
use wasmtime::component::{Component, Linker};
use wit_component::DecodedWasm;

use super::bindings::EventHandlerPre;
use super::cell::{Cell, Terms};
use super::error::{Label, LoadError};
use super::{Sandbox, digest, notes};

/// The interface that makes a component a handler.
const HANDLER: &str = "sandman:handler/handler@0.1.0";
/// What a handler may import.
const GRANTED: [&str; 2] = ["sandman:handler/log@0.1.0", "sandman:handler/event-types@0.1.0"];
/// How long compiling may take. A guest of 25 MB takes a few seconds.
const COMPILE_TIME: Duration = Duration::from_secs(120);

/// Looks at what the component imports and exports, before any of it is compiled.
pub(super) fn inspect(label: &Label, wasm: &[u8], limit: usize) -> Result<(), LoadError> {
    let (label, bytes) = (label.clone(), wasm.len());
    if bytes > limit {
        return Err(LoadError::TooLarge { label, bytes, limit });
    }
    let reason = match wasm.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => None,
        Some(b"\0asm\x01\0\0\0") => Some("it is a core module".to_owned()),
        _ => Some("it does not start as one".to_owned()),
    };
    if let Some(reason) = reason {
        return Err(LoadError::NoComponent { label, reason });
    }
    let (resolve, world) = match wit_component::decode(wasm) {
        Ok(DecodedWasm::Component(resolve, world)) => (resolve, world),
        Ok(DecodedWasm::WitPackage(..)) => {
            let reason = "it is a WIT package".to_owned();
            return Err(LoadError::NoComponent { label, reason });
        }
        Err(fault) => {
            let reason = format!("{fault:#}");
            return Err(LoadError::NoComponent { label, reason });
        }
    };
    let Some(world) = resolve.worlds.get(world) else {
        let reason = "it has no world".to_owned();
        return Err(LoadError::NoComponent { label, reason });
    };
    let mut imports = world.imports.keys().map(|key| resolve.name_world_key(key));
    if let Some(import) = imports.find(|import| !GRANTED.contains(&&**import)) {
        return Err(LoadError::NotGranted { label, import });
    }
    if !world.exports.keys().any(|key| resolve.name_world_key(key) == HANDLER) {
        return Err(LoadError::NoHandler { label, export: HANDLER });
    }
    Ok(())
}

/// The component's code, from the cache or compiled now and kept there.
pub(super) fn component(sandbox: &Arc<Sandbox>, label: &Label, wasm: &[u8]) -> Result<Component, LoadError> {
    let digest = digest(wasm);
    let kept = sandbox.compiled.as_ref();
    if let Some(component) = kept.and_then(|kept| kept.load(&sandbox.engine, &digest)) {
        return Ok(component);
    }
    let code = compile(sandbox, label, wasm.to_vec())?;
    if let Some(Err(fault)) = kept.map(|kept| kept.store(&digest, &code)) {
        warn!(%label, %fault, "compiled code could not be kept; it is compiled again at the next start");
    }
    info!(%label, digest, bytes = wasm.len(), "compiled a component");
    let unfit = |reason: String| LoadError::Unfit {
        label: label.clone(),
        reason,
    };
    // SAFETY: these bytes are what our own engine has just made in this process.
    #[expect(unsafe_code, reason = "the code comes from precompile_component, a few lines above")]
    let component = unsafe { Component::deserialize(&sandbox.engine, &code) };
    component.map_err(|fault| unfit(format!("{fault:#}")))
}

/// Compiles on a thread of its own: compiling has no bound of its own, and one that takes too long is left behind.
fn compile(sandbox: &Arc<Sandbox>, label: &Label, wasm: Vec<u8>) -> Result<Vec<u8>, LoadError> {
    let unfit = |reason: String| LoadError::Unfit {
        label: label.clone(),
        reason,
    };
    let (sender, receiver) = mpsc::sync_channel(1);
    let engine = sandbox.engine.clone();
    let spawned = thread::Builder::new()
        .name("sandman-compile".to_owned())
        .stack_size(8 << 20)
        .spawn(move || {
            // Nobody listens any more if it took too long.
            let _ = sender.send(engine.precompile_component(&wasm));
        });
    spawned.map_err(|fault| unfit(format!("no thread to compile on: {fault}")))?;
    match receiver.recv_timeout(COMPILE_TIME) {
        Ok(Ok(code)) => Ok(code),
        Ok(Err(fault)) => Err(unfit(format!("{fault:#}"))),
        Err(RecvTimeoutError::Timeout) => Err(LoadError::TooSlow {
            label: label.clone(),
            limit: COMPILE_TIME,
        }),
        Err(RecvTimeoutError::Disconnected) => Err(unfit("the compiler panicked".to_owned())),
    }
}

/// Everything that can be resolved before an instance is made.
pub(super) fn prepare(
    sandbox: &Sandbox,
    terms: &Terms,
    component: &Component,
) -> Result<EventHandlerPre<Cell>, LoadError> {
    let unfit = |fault: wasmtime::Error| LoadError::Unfit {
        label: terms.label.clone(),
        reason: format!("{fault:#}"),
    };
    let mut linker = Linker::new(&sandbox.engine);
    notes::add_to_linker(&mut linker).map_err(unfit)?;
    let instance = linker.instantiate_pre(component).map_err(unfit)?;
    EventHandlerPre::new(instance).map_err(unfit)
}
