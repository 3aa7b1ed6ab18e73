//! The data of one store: the limits of one invocation, and one instance with its store.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;
use wasmtime::{Engine, Store, StoreContextMut, UpdateDeadline};

use super::bindings::EventHandler;
use super::cpu::thread_cpu;
use super::error::{Label, Panic};
use super::limiter::MemoryLimiter;
use super::ticker::epochs_in;
use sandman_core::limits::Limits;

/// Additional bytes for the records and lists around the texts that are handed over.
const TRANSFER_SLACK: usize = 64 << 10;

/// Data that all stores of a guest share.
pub(super) struct GuestTerms {
    pub(super) label: Label,
    pub(super) limits: Limits,
}

impl GuestTerms {
    /// How many bytes a guest may hand over in one call: twice its output, because lists count in addition to their texts.
    pub(super) fn transfer(&self) -> usize {
        let largest = self.limits.output.saturating_mul(2).max(self.limits.log);
        usize::try_from(largest)
            .unwrap_or(usize::MAX)
            .saturating_add(TRANSFER_SLACK)
    }
}

/// The data of a store.
pub(super) struct Cell {
    terms: Arc<GuestTerms>,
    pub(super) bounds: MemoryLimiter,
    /// Bytes of log text that this invocation may still write.
    pub(super) log_left: usize,
    /// Whether something of this invocation's log was cut, after which nothing more is written.
    pub(super) log_cut: bool,
    /// The guest's message before it trapped.
    pub(super) panic: Option<Panic>,
    /// The thread's CPU time at the first tick of this invocation.
    started: Option<Duration>,
}

/// Ends an invocation that has used its time.
#[derive(Debug, thiserror::Error)]
#[error("the CPU time of the invocation is used up")]
pub(super) struct OutOfTime;

impl Cell {
    fn new(terms: Arc<GuestTerms>) -> Self {
        Self {
            bounds: MemoryLimiter::new(&terms.limits),
            log_left: 0,
            log_cut: false,
            panic: None,
            started: None,
            terms,
        }
    }

    pub(super) fn label(&self) -> &Label {
        &self.terms.label
    }

    /// Counts a message of which `used` bytes were written, and logs a warning if that is not all of it.
    pub(super) fn logged(&mut self, used: usize, whole: bool) {
        self.log_left = self.log_left.saturating_sub(used);
        if whole {
            return;
        }
        self.log_cut = true;
        let Label { handler, version } = &self.terms.label;
        let limit = self.terms.limits.log;
        warn!(%handler, version, limit, "the guest logged more than limits.log in one invocation; the rest is cut");
    }

    /// Called at a tick. With more workers than cores the wall clock says little, so the CPU time of this thread is
    /// used. It is first read at the first tick: most invocations end before, without a system call.
    fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        let now = thread_cpu();
        let limit = self.terms.limits.time;
        let used = now.saturating_sub(*self.started.get_or_insert(now));
        if used >= limit {
            return Err(wasmtime::Error::new(OutOfTime));
        }
        Ok(UpdateDeadline::Continue(epochs_in(limit - used, limit)))
    }
}

/// Creates a store for the first invocation.
pub(super) fn store(engine: &Engine, terms: &Arc<GuestTerms>) -> Store<Cell> {
    let mut store = Store::new(engine, Cell::new(Arc::clone(terms)));
    store.limiter(|cell| &mut cell.bounds);
    store.set_hostcall_fuel(terms.transfer());
    store.epoch_deadline_callback(|mut store: StoreContextMut<'_, Cell>| store.data_mut().tick());
    begin(&mut store);
    store
}

/// Resets the store's limits for a new invocation.
pub(super) fn begin(store: &mut Store<Cell>) {
    store.set_epoch_deadline(1);
    let cell = store.data_mut();
    cell.log_left = usize::try_from(cell.terms.limits.log).unwrap_or(usize::MAX);
    cell.log_cut = false;
    cell.panic = None;
    cell.started = None;
    cell.bounds.take_refused();
}

/// An instance in its store. After a trap both are dropped, because a trap poisons the whole store.
pub(super) struct LiveInstance {
    pub(super) store: Store<Cell>,
    pub(super) handler: EventHandler,
}
