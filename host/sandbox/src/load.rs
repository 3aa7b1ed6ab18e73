//! From bytes to a guest that may be called.

use tracing::{debug, info, warn};
use wasmtime::component::{Component, Linker};

use super::bindings::EventHandlerPre;
use super::cell::{Cell, GuestTerms};
use super::compiled::Unusable;
use super::compiler::{self, Compiler};
use super::error::{Label, LoadError};
use super::imports::{Seen, see};
use super::{Sandbox, notes};

/// Looks at what the component imports and exports, before any of it is compiled: where the compiler works, since what reads
/// a hostile component may need as much as what compiles it.
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
        compiler::CompilerFault::Refused(words) => Seen::from_words(&words).of(label),
        fault => fault.of(label, bounds),
    })
}

/// The component's code, from the cache or compiled now and kept there; and whether it was there already.
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
        // What a child has compiled comes by the folder of compiled code, and no other way.
        (Compiler::Apart(bounds), Some(cache)) => {
            // One at a time: what one may use is bounded, what all of them together use should be as well.
            let _alone = sandbox.compiling.lock();
            compiler::compile(cache, bounds, wasm).map_err(|fault| fault.of(label, bounds))?;
            kept().map_err(|why| LoadError::Unfit {
                label: label.clone(),
                reason: why.to_string(),
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
