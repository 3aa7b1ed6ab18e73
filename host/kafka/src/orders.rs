//! Commands to a consumer from other threads.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;

use super::served::Served;
use sandman_core::broker::Intake;

/// Commands from the handle to the loop.
#[derive(Default)]
pub(super) struct Orders {
    pub(super) quiesce: AtomicBool,
    pub(super) stop: AtomicBool,
    pub(super) leave: AtomicBool,
    pub(super) rejoin: AtomicBool,
    /// Other handlers from now on, and their intake.
    pub(super) served: Mutex<Option<(Served, Arc<dyn Intake>)>>,
}
