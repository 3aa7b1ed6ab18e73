//! Checks the imports and exports of a component before any of it is compiled.

use wit_component::DecodedWasm;

use super::error::{Label, LoadError};

/// The interface that makes a component a handler.
const HANDLER: &str = "sandman:handler/handler@0.1.0";
/// The interfaces that a handler may import.
const GRANTED: [&str; 2] = ["sandman:handler/log@0.1.0", "sandman:handler/event-types@0.1.0"];

/// Why a component cannot be loaded as a handler, in a form that one process can send to another.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum InspectError {
    NoComponent(String),
    NotGranted(String),
    NoHandler,
}

/// Bytes of a reason that are sent from one process to another.
const REASON: usize = 1 << 10;

impl InspectError {
    /// Encodes it as one line: its kind, and its reason or import.
    pub(super) fn to_words(&self) -> String {
        let cut = |text: &str| text.chars().take(REASON).collect::<String>();
        match self {
            Self::NoComponent(reason) => format!("no-component {}", cut(reason)),
            Self::NotGranted(import) => format!("not-granted {}", cut(import)),
            Self::NoHandler => "no-handler ".to_owned(),
        }
    }

    pub(super) fn from_words(words: &str) -> Self {
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

/// Checks the component's imports and exports.
pub(super) fn see(wasm: &[u8]) -> Result<(), InspectError> {
    match wasm.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => {}
        Some(b"\0asm\x01\0\0\0") => return Err(InspectError::NoComponent("it is a core module".to_owned())),
        _ => return Err(InspectError::NoComponent("it does not start as one".to_owned())),
    }
    let (resolve, world) = match wit_component::decode(wasm) {
        Ok(DecodedWasm::Component(resolve, world)) => (resolve, world),
        Ok(DecodedWasm::WitPackage(..)) => return Err(InspectError::NoComponent("it is a WIT package".to_owned())),
        Err(fault) => return Err(InspectError::NoComponent(format!("{fault:#}"))),
    };
    let Some(world) = resolve.worlds.get(world) else {
        return Err(InspectError::NoComponent("it has no world".to_owned()));
    };
    let mut imports = world.imports.keys().map(|key| resolve.name_world_key(key));
    if let Some(import) = imports.find(|import| !GRANTED.contains(&&**import)) {
        return Err(InspectError::NotGranted(import));
    }
    if !world.exports.keys().any(|key| resolve.name_world_key(key) == HANDLER) {
        return Err(InspectError::NoHandler);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::InspectError;

    #[test]
    fn what_was_seen_comes_from_one_process_to_the_other() {
        for seen in [
            InspectError::NoComponent("it is a core module".to_owned()),
            InspectError::NotGranted("wasi:cli/environment@0.2.0".to_owned()),
            InspectError::NoHandler,
        ] {
            // Whoever reads what a process said leaves out the blanks around it.
            assert_eq!(InspectError::from_words(seen.to_words().trim()), seen);
        }
        let long = InspectError::NotGranted("é".repeat(10_000)).to_words();
        assert!(long.len() < 4 << 10, "{} bytes", long.len());
    }
}
