//! The only interface that a guest may import: its log.
//!
//! Linked by hand instead of through the generated trait, so that a message is read in place in the guest's memory: a
//! guest that logs endlessly does not make the host copy anything.

use tracing::{debug, error, info, trace, warn};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

use super::bindings::sandman::handler::log::Level;
use super::cell::Cell;
use super::error::Panic;
use sandman_core::printable;

/// The longest panic text that is kept, in bytes.
const PANIC_TEXT: usize = 4 << 10;

/// What each message counts in addition to its bytes: even an empty one makes a line.
const LINE: usize = 32;

/// Links the imports of the world `event-handler`.
pub(super) fn add_to_linker(linker: &mut Linker<Cell>) -> wasmtime::Result<()> {
    linker.instance("sandman:handler/event-types@0.1.0")?;
    let mut log = linker.instance("sandman:handler/log@0.1.0")?;
    log.func_wrap(
        "log",
        |store: StoreContextMut<'_, Cell>, (level, message): (Level, WasmStr)| write(store, level, &message),
    )?;
    log.func_wrap(
        "panicked",
        |store: StoreContextMut<'_, Cell>, (message, place): (WasmStr, WasmStr)| panicked(store, &message, &place),
    )?;
    Ok(())
}

fn write(mut store: StoreContextMut<'_, Cell>, level: Level, message: &WasmStr) -> wasmtime::Result<()> {
    if store.data().log_cut {
        return Ok(());
    }
    let text = message.to_str(&store)?;
    let (mut used, mut whole) = (0, false);
    if let Some(left) = store.data().log_left.checked_sub(LINE) {
        let kept = cut(&text, left);
        // The written length counts, which escapes increase.
        let length = printable::length(kept);
        note(store.data(), level, &printable::line(kept, left));
        used = length.min(left) + LINE;
        whole = kept.len() == text.len() && length <= left;
    }
    store.data_mut().logged(used, whole);
    Ok(())
}

fn panicked(mut store: StoreContextMut<'_, Cell>, message: &WasmStr, place: &WasmStr) -> wasmtime::Result<()> {
    let panic = Panic {
        message: cut(&message.to_str(&store)?, PANIC_TEXT).to_owned(),
        place: cut(&place.to_str(&store)?, PANIC_TEXT).to_owned(),
    };
    store.data_mut().panic = Some(panic);
    Ok(())
}

fn note(cell: &Cell, level: Level, text: &str) {
    let label = cell.label();
    let (handler, version) = (&*label.handler, label.version);
    match level {
        Level::Trace => trace!(target: "sandman::guest", handler, version, "{text}"),
        Level::Debug => debug!(target: "sandman::guest", handler, version, "{text}"),
        Level::Info => info!(target: "sandman::guest", handler, version, "{text}"),
        Level::Warn => warn!(target: "sandman::guest", handler, version, "{text}"),
        Level::Error => error!(target: "sandman::guest", handler, version, "{text}"),
    }
}

/// At most `limit` bytes of the text, whole characters only.
fn cut(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("aéb", 2), "a");
        assert_eq!(cut("aéb", 3), "aé");
        assert_eq!(cut("aéb", 9), "aéb");
    }
}
