//! From bytes to a guest that may be called.

use tracing::{debug, info, warn};
use wasmtime::component::{Component, Linker};
use wit_component::DecodedWasm;

use super::bindings::EventHandlerPre;
use super::cell::{Cell, Terms};
use super::compiled::Unusable;
use super::compiler::{self, Compiler};
use super::error::{Label, LoadError};
use super::{Sandbox, notes};

/// The interface that makes a component a handler.
const HANDLER: &str = "sandman:handler/handler@0.1.0";
/// What a handler may import.
const GRANTED: [&str; 2] = ["sandman:handler/log@0.1.0", "sandman:handler/event-types@0.1.0"];

/// Why a component is no handler that may be loaded, as one process says it to another.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    NoComponent(String),
    NotGranted(String),
    NoHandler,
}

/// Bytes of a reason that go from one process to another.
const REASON: usize = 1 << 10;

impl Seen {
    /// One line: what it is, and its reason or its import.
    pub(super) fn to_words(&self) -> String {
        let cut = |text: &str| text.chars().take(REASON).collect::<String>();
        match self {
            Self::NoComponent(reason) => format!("no-component {}", cut(reason)),
            Self::NotGranted(import) => format!("not-granted {}", cut(import)),
            Self::NoHandler => "no-handler ".to_owned(),
        }
    }

    fn from_words(words: &str) -> Self {
        match words.split_once(' ').unwrap_or((words, "")) {
            ("not-granted", import) => Self::NotGranted(import.to_owned()),
            ("no-handler", _) => Self::NoHandler,
            ("no-component", reason) => Self::NoComponent(reason.to_owned()),
            _ => Self::NoComponent(words.to_owned()),
        }
    }

    pub(super) fn of(self, label: &Label) -> LoadError {
        let label = label.clone();
        match self {
            Self::NoComponent(reason) => LoadError::NoComponent { label, reason },
            Self::NotGranted(import) => LoadError::NotGranted { label, import },
            Self::NoHandler => LoadError::NoHandler { label, export: HANDLER },
        }
    }
}

/// Looks at what the component imports and exports, before any of it is compiled: where the compiler works, since what reads
/// a hostile component may need as much as what compiles it.
pub(super) fn look(sandbox: &Sandbox, label: &Label, wasm: &[u8]) -> Result<(), LoadError> {
    let (bytes, limit) = (wasm.len(), sandbox.options.component);
    if bytes > limit {
        let label = label.clone();
        return Err(LoadError::TooLarge { label, bytes, limit });
    }
    let Compiler::Apart(bounds) = sandbox.options.compiler else {
        return see(wasm).map_err(|seen| seen.of(label));
    };
    let _alone = sandbox.compiling.lock();
    compiler::inspect(bounds, wasm).map_err(|fault| match fault {
        compiler::Fault::Refused(words) => Seen::from_words(&words).of(label),
        fault => fault.of(label, bounds),
    })
}

/// What the component imports and exports.
pub(super) fn see(wasm: &[u8]) -> Result<(), Seen> {
    match wasm.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => {}
        Some(b"\0asm\x01\0\0\0") => return Err(Seen::NoComponent("it is a core module".to_owned())),
        _ => return Err(Seen::NoComponent("it does not start as one".to_owned())),
    }
    let (resolve, world) = match wit_component::decode(wasm) {
        Ok(DecodedWasm::Component(resolve, world)) => (resolve, world),
        Ok(DecodedWasm::WitPackage(..)) => return Err(Seen::NoComponent("it is a WIT package".to_owned())),
        Err(fault) => return Err(Seen::NoComponent(format!("{fault:#}"))),
    };
    let Some(world) = resolve.worlds.get(world) else {
        return Err(Seen::NoComponent("it has no world".to_owned()));
    };
    let mut imports = world.imports.keys().map(|key| resolve.name_world_key(key));
    if let Some(import) = imports.find(|import| !GRANTED.contains(&&**import)) {
        return Err(Seen::NotGranted(import));
    }
    if !world.exports.keys().any(|key| resolve.name_world_key(key) == HANDLER) {
        return Err(Seen::NoHandler);
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

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn what_was_seen_comes_from_one_process_to_the_other() {
        for seen in [
            Seen::NoComponent("it is a core module".to_owned()),
            Seen::NotGranted("wasi:cli/environment@0.2.0".to_owned()),
            Seen::NoHandler,
        ] {
            // Whoever reads what a process said leaves out the blanks around it.
            assert_eq!(Seen::from_words(seen.to_words().trim()), seen);
        }
        let long = Seen::NotGranted("é".repeat(10_000)).to_words();
        assert!(long.len() < 4 << 10, "{} bytes", long.len());
    }
}
