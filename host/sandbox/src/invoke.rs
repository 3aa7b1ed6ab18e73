//! One invocation: an instance, a call, and a checked outcome.

use wasmtime::{Store, Trap};

use super::bindings::sandman::handler::event_types as wit;
use super::cell::{Cell, LiveInstance, OutOfTime, begin, store};
use super::check::{OutcomeFault, check};
use super::convert;
use super::error::{Bound, InvokeError};
use super::guest::{Pool, SandboxedGuest};
use sandman_core::contract::Contract;
use sandman_core::outcome::{Context, Outcome, Trigger};
use sandman_core::reason::TrapKind;

/// The reason of a call that ended because of too deep recursion.
const STACK: &str = "its stack is exhausted: recursion without end, or deeper than host.stack allows";

impl SandboxedGuest {
    /// Calls the handler with one trigger of one key. Blocks for as long as the guest runs, which is limited.
    ///
    /// # Errors
    ///
    /// The guest's own refusal, a trap, an exceeded limit, or an invalid outcome. In each case the instance is dropped.
    pub fn invoke(
        &self,
        trigger: Trigger<'_>,
        state: Option<&str>,
        context: Context<'_>,
    ) -> Result<Outcome, InvokeError> {
        let _running = self.sandbox.ticker.running();
        let mut live = self.take()?;
        let context = convert::context(&context);
        let result = match &trigger {
            Trigger::Event(event) => {
                let trigger = wit::Trigger::Event(convert::event(event));
                call(&mut live, trigger, state, context)
            }
            Trigger::Request(request) => {
                let lists = convert::RequestLists::of(request);
                let trigger = wit::Trigger::Request(lists.request(request));
                call(&mut live, trigger, state, context)
            }
        };
        self.used_memory(live.store.data().bounds.memory());
        let returned = match result {
            Ok(returned) => returned,
            Err(fault) => return Err(self.explain(&fault, &mut live.store)),
        };
        self.give_back(live);
        let outcome = returned.map_err(|failure| InvokeError::Refused(convert::failure(failure)))?;
        let outcome = convert::outcome(outcome);
        let label = || self.terms.label.clone();
        match check(&outcome, &self.terms.limits) {
            Ok(()) => Ok(outcome),
            Err(OutcomeFault::Over(bound)) => Err(InvokeError::Exceeded { label: label(), bound }),
            Err(OutcomeFault::Invalid(what)) => Err(InvokeError::Invalid { label: label(), what }),
        }
    }

    /// Calls `describe` of an instance.
    pub(super) fn describe(&self, mut live: LiveInstance) -> Result<Contract, InvokeError> {
        let _running = self.sandbox.ticker.running();
        let handler = live.handler.sandman_handler_handler();
        match handler.call_describe(&mut live.store) {
            Ok(contract) => {
                let contract = convert::contract(contract);
                match contract.over() {
                    None => Ok(contract),
                    Some(what) => Err(InvokeError::Invalid {
                        label: self.terms.label.clone(),
                        what,
                    }),
                }
            }
            Err(fault) => Err(self.explain(&fault, &mut live.store)),
        }
    }

    /// The first instance, which shows whether the component can be instantiated.
    pub(super) fn first(&self) -> Result<LiveInstance, InvokeError> {
        let _running = self.sandbox.ticker.running();
        self.fresh()
    }

    fn take(&self) -> Result<LiveInstance, InvokeError> {
        if let Pool::Reused(idle) = &self.pool
            && let Some(mut live) = idle.lock().pop()
        {
            self.sandbox.idle_taken();
            begin(&mut live.store);
            return Ok(live);
        }
        self.fresh()
    }

    /// A new instance. May run code of the guest, so the caller must hold a [`RunningGuest`](super::ticker::RunningGuest).
    fn fresh(&self) -> Result<LiveInstance, InvokeError> {
        let mut store = store(&self.sandbox.engine, &self.terms);
        let fault = match self.prepared.instantiate(&mut store) {
            Ok(handler) => return Ok(LiveInstance { store, handler }),
            Err(fault) => fault,
        };
        match self.explain(&fault, &mut store) {
            // Not the guest's code failed, but its instantiation.
            InvokeError::Trap { label, kind, .. } if !fault.is::<Trap>() => {
                Err(InvokeError::NoInstance { label, reason: kind })
            }
            explained => Err(explained),
        }
    }

    /// Keeps an instance that returned normally for the next call, if this guest's instances are reused.
    fn give_back(&self, live: LiveInstance) {
        if let Pool::Reused(idle) = &self.pool
            && self.sandbox.idle_kept()
        {
            idle.lock().push(live);
        }
    }

    /// Why a call ended without a result.
    fn explain(&self, fault: &wasmtime::Error, store: &mut Store<Cell>) -> InvokeError {
        let label = self.terms.label.clone();
        let limits = &self.terms.limits;
        let refused = store.data_mut().bounds.take_refused();
        let panic = store.data_mut().panic.take();
        if fault.is::<OutOfTime>() {
            let bound = Bound::Time(limits.time);
            return InvokeError::Exceeded { label, bound };
        }
        // wasmtime's error for this has no public type.
        if format!("{fault:#}").contains("fuel allocated for hostcalls") {
            let bound = Bound::Transfer(self.terms.transfer());
            return InvokeError::Exceeded { label, bound };
        }
        if refused && panic.is_none() {
            let bound = Bound::Memory(limits.memory);
            return InvokeError::Exceeded { label, bound };
        }
        let kind = match fault.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => STACK.to_owned(),
            Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
            None => format!("{fault:#}"),
        };
        let code = match fault.downcast_ref::<Trap>() {
            _ if panic.is_some() => TrapKind::Panic,
            Some(trap) => code(*trap),
            None => TrapKind::Other,
        };
        InvokeError::Trap {
            label,
            kind,
            code,
            panic,
        }
    }
}

/// The code of a trap, for programs.
fn code(trap: Trap) -> TrapKind {
    match trap {
        Trap::StackOverflow => TrapKind::Stack,
        Trap::MemoryOutOfBounds | Trap::HeapMisaligned | Trap::TableOutOfBounds => TrapKind::Memory,
        Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger => TrapKind::Arithmetic,
        Trap::UnreachableCodeReached => TrapKind::Unreachable,
        _ => TrapKind::Other,
    }
}

fn call(
    live: &mut LiveInstance,
    trigger: wit::Trigger<'_>,
    state: Option<&str>,
    context: wit::Context<'_>,
) -> wasmtime::Result<Result<super::bindings::exports::sandman::handler::handler::Outcome, wit::Failure>> {
    let handler = live.handler.sandman_handler_handler();
    handler.call_handle(&mut live.store, trigger, state, context)
}
