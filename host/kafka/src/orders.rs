//! Commands to a consumer from other threads.

use std::sync::atomic::AtomicBool;

/// Commands from the handle to the loop.
#[derive(Default)]
pub(super) struct Orders {
    pub(super) quiesce: AtomicBool,
    pub(super) stop: AtomicBool,
    pub(super) leave: AtomicBool,
    pub(super) rejoin: AtomicBool,
}
