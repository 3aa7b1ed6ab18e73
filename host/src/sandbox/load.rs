//! From bytes to a guest that may be called.

use tracing::{info, warn};
use wasmtime::component::{Component, Linker};
use wit_component::DecodedWasm;

use super::bindings::EventHandlerPre;
use super::cell::{Cell, Terms};
use super::compiler::{self, Compiler};
use super::error::{Label, LoadError};
use super::{Sandbox, notes};

/// The interface that makes a component a handler.
const HANDLER: &str = "sandman:handler/handler@0.1.0";
/// What a handler may import.
const GRANTED: [&str; 2] = ["sandman:handler/log@0.1.0", "sandman:handler/event-types@0.1.0"];

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

/// The component's code, from the cache or compiled now and kept there; and whether it was there already.
pub(super) fn component(
    sandbox: &Sandbox,
    label: &Label,
    (wasm, digest): (&[u8], &str),
) -> Result<(Component, bool), LoadError> {
    let compiled = sandbox.compiled.as_ref();
    let kept = || compiled.and_then(|compiled| compiled.load(&sandbox.engine, digest));
    if let Some(component) = kept() {
        return Ok((component, true));
    }
    let component = match (sandbox.options.compiler, &sandbox.options.cache_dir) {
        // What a child has compiled comes by the folder of compiled code, and no other way.
        (Compiler::Apart(bounds), Some(cache)) => {
            // One at a time: what one may use is bounded, what all of them together use should be as well.
            let _alone = sandbox.compiling.lock();
            compiler::run(cache, bounds, wasm).map_err(|fault| fault.of(label, bounds))?;
            kept().ok_or_else(|| LoadError::Unfit {
                label: label.clone(),
                reason: "its compiled code is gone or damaged already; look at the folder host.compiled".to_owned(),
            })?
        }
        (Compiler::Here, _) | (_, None) => here(sandbox, label, (wasm, digest))?,
    };
    info!(%label, digest, bytes = wasm.len(), "compiled a component");
    Ok((component, false))
}

/// Compiles in this process.
fn here(sandbox: &Sandbox, label: &Label, (wasm, digest): (&[u8], &str)) -> Result<Component, LoadError> {
    let unfit = |fault: wasmtime::Error| LoadError::Unfit {
        label: label.clone(),
        reason: format!("{fault:#}"),
    };
    let code = sandbox.engine.precompile_component(wasm).map_err(unfit)?;
    let kept = sandbox.compiled.as_ref().map(|compiled| compiled.store(digest, &code));
    if let Some(Err(fault)) = kept {
        warn!(%label, %fault, "compiled code could not be kept; it is compiled again at the next start");
    }
    // SAFETY: these bytes are what our own engine has just made in this process.
    #[expect(unsafe_code, reason = "the code comes from precompile_component, a few lines above")]
    let component = unsafe { Component::deserialize(&sandbox.engine, &code) };
    component.map_err(unfit)
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
