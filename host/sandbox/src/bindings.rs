//! What wasmtime's `bindgen!` makes of `/wit`. Nothing else stands here.
//!
//! Arguments are borrowed, so that a trigger and a state go into the guest's memory without a copy in between. The
//! functions that a guest imports are not taken from here: see [`notes`](super::notes).

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "event-handler",
    ownership: Borrowing { duplicate_if_necessary: false },
});
