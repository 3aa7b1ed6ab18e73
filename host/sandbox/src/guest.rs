//! A loaded version of a handler.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Sandbox;
use super::bindings::EventHandlerPre;
use super::cell::{Cell as Held, GuestTerms, LiveInstance};
use super::error::{InvokeError, Label};
use sandman_core::contract::Contract;
use sandman_core::outcome::{Context, Failure, Fault, Guest, Outcome, Trigger};
use sandman_core::reason::TrapKind;

thread_local! {
    /// Linear memory of the last invocation on this thread, in bytes.
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// A component, compiled, checked and ready to be called from any thread.
pub struct SandboxedGuest {
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) terms: Arc<GuestTerms>,
    pub(super) prepared: EventHandlerPre<Held>,
    pub(super) pool: Pool,
    pub(super) digest: String,
    pub(super) contract: Contract,
    pub(super) peak: AtomicU64,
}

/// The source of an invocation's instance.
pub(super) enum Pool {
    /// A new one, dropped after the call.
    Fresh,
    /// One that an earlier call has left; the most recent one is taken first, because its memory is warm.
    Reused(Mutex<Vec<LiveInstance>>),
}

impl SandboxedGuest {
    /// The handler and version of the guest.
    pub fn label(&self) -> &Label {
        &self.terms.label
    }

    /// The SHA-256 of the component, lower-case hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The most linear memory that one invocation has used so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Records the memory of an invocation. It is rarely more than before, and then nothing is written.
    pub(super) fn used_memory(&self, bytes: u64) {
        LAST.set(bytes);
        if bytes > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    /// The component's contract.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }
}

impl Drop for SandboxedGuest {
    fn drop(&mut self) {
        if let Pool::Reused(idle) = &self.pool {
            idle.lock().drain(..).for_each(|_| self.sandbox.idle_taken());
        }
    }
}

impl fmt::Debug for SandboxedGuest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SandboxedGuest({}, {})", self.terms.label, self.digest)
    }
}

/// Implements the engine's port.
impl Guest for SandboxedGuest {
    fn invoke(&self, trigger: Trigger<'_>, state: Option<&str>, context: Context<'_>) -> Result<Outcome, Fault> {
        Self::invoke(self, trigger, state, context).map_err(|error| match &error {
            InvokeError::Refused(Failure::Rejected(reason)) => Fault::Rejected(reason.clone()),
            InvokeError::Refused(Failure::Retry(reason)) => Fault::Retry(reason.clone()),
            InvokeError::Invalid { .. } => Fault::Invalid(error.to_string()),
            InvokeError::Exceeded { bound, .. } => Fault::Exceeded(bound.kind(), error.to_string()),
            InvokeError::Trap { code, .. } => Fault::Trap(*code, error.to_string()),
            InvokeError::NoInstance { .. } => Fault::Trap(TrapKind::Instance, error.to_string()),
        })
    }

    fn peak_memory(&self) -> u64 {
        Self::peak_memory(self)
    }

    fn last_memory(&self) -> u64 {
        LAST.get()
    }

    fn reuses_instances(&self) -> bool {
        matches!(self.pool, Pool::Reused(_))
    }
}
