//! What a consumer is told from other threads.

use std::sync::atomic::AtomicBool;

/// What the handle tells the loop.
#[derive(Default)]
pub(super) struct Orders {
    pub(super) quiesce: AtomicBool,
    pub(super) stop: AtomicBool,
    pub(super) leave: AtomicBool,
    pub(super) rejoin: AtomicBool,
}
