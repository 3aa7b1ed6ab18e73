//! The bindings that wasmtime's `bindgen!` generates from `/wit`, and nothing else.
//!
//! Arguments are borrowed, so that trigger and state are written to the guest's memory without an intermediate copy.
//! The functions that a guest imports are not taken from here: see [`notes`](super::notes).

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "event-handler",
    ownership: Borrowing { duplicate_if_necessary: false },
});
