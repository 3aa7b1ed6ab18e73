//! Loads a component as a guest that can be called.

use tracing::{debug, info, warn};
use wasmtime::component::{Component, Linker};

use super::bindings::EventHandlerPre;
use super::cell::{Cell, GuestTerms};
use super::compiled::Unusable;
use super::compiler::{self, Compiler};
use super::error::{Label, LoadError};
use super::imports::{InspectError, see};
use super::{Sandbox, notes};

/// Checks the component's imports and exports before any of it is compiled, in the same process as the compiler,
/// because parsing a hostile component may need as much as compiling it.
pub(super) fn look(sandbox: &Sandbox, (label, limit): (&Label, u64), wasm: &[u8]) -> Result<(), LoadError> {
    let bytes = wasm.len();
    if u64::try_from(bytes).unwrap_or(u64::MAX) > limit {
        let label = label.clone();
        return Err(LoadError::TooLarge { label, bytes, limit });
    }
    let Compiler::Apart(bounds) = sandbox.options.compiler else {
        return see(wasm).map_err(|seen| seen.of(label));
    };
    let _alone = sandbox.compiling.lock();
    compiler::inspect(bounds, wasm).map_err(|fault| match fault {
        compiler::CompilerFault::Refused(words) => InspectError::from_words(&words).of(label),
        fault => fault.of(label, bounds),
    })
}

/// The component's code, from the cache or newly compiled and stored there; and whether it was already there.
pub(super) fn component(
    sandbox: &Sandbox,
    label: &Label,
    (wasm, digest): (&[u8], &str),
) -> Result<(Component, bool), LoadError> {
    let compiled = sandbox.compiled.as_ref();
    let kept = || {
        compiled.map_or(Err(Unusable::Missing), |compiled| {
            compiled.load(&sandbox.engine, digest)
        })
    };
    match kept() {
        Ok(component) => return Ok((component, true)),
        Err(Unusable::Refused(fault)) => debug!(%label, %fault, "compiled code does not fit; it is compiled again"),
        Err(Unusable::Missing) => {}
    }
    let component = match (sandbox.options.compiler, &sandbox.options.cache_dir) {
        // A child returns compiled code only through the folder of compiled code.
        (Compiler::Apart(bounds), Some(cache)) if !sandbox.options.cache_is_read_only => {
            // One at a time, so that the limits of one child also limit all of them together.
            let _alone = sandbox.compiling.lock();
            compiler::compile(cache, bounds, wasm).map_err(|fault| fault.of(label, bounds))?;
            kept().map_err(|why| LoadError::Unfit {
                label: label.clone(),
                reason: why.to_string(),
            })?
        }
        _ => here(sandbox, label, (wasm, digest))?,
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
    let keeps = sandbox
        .compiled
        .as_ref()
        .filter(|_| !sandbox.options.cache_is_read_only);
    let kept = keeps.map(|compiled| compiled.store(digest, &code));
    if let Some(Err(fault)) = kept {
        warn!(%label, %fault, "compiled code could not be stored; it is compiled again at the next start");
    }
    // SAFETY: our own engine has just created these bytes in this process.
    #[expect(unsafe_code, reason = "the code comes from precompile_component, a few lines above")]
    let component = unsafe { Component::deserialize(&sandbox.engine, &code) };
    component.map_err(unfit)
}

/// Resolves everything that can be resolved before an instance is created.
pub(super) fn prepare(
    sandbox: &Sandbox,
    terms: &GuestTerms,
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
