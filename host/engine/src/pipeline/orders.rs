//! Held keys and paused handlers: loading them from the store, and the orders of operators, which are carried out by
//! ordinary commits.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use crate::clock;
use crate::registry::Handler;
use sandman_core::lanes::{HandlerIx, LaneKey};
use sandman_core::store::{HeldKey, HeldName, LetterWrite, Pause, StoreError};
use sandman_core::unit::{Finish, Unit};

use super::detours::PAUSED;
use super::state::EngineState;
use super::{Pipeline, letter};

/// How long an operator's order waits for its commit.
const ORDER_WAIT: Duration = Duration::from_secs(10);

impl Pipeline {
    /// Loads the held keys and paused handlers of the store when the host, or a handler, starts.
    pub fn load_letters(&self, held: Vec<HeldKey>, pauses: Vec<(Arc<str>, Pause)>) {
        if self.store.is_shared() {
            self.learn_fleet(held, pauses);
            return;
        }
        let mut state = self.state.lock();
        for HeldKey { name, held } in held {
            if let Some((handler, _)) = self.registry.find(&name.handler) {
                let lane = LaneKey { handler, key: name.key };
                state.detours.held.load(lane, (held.count, held.bytes), held.released);
            }
        }
        for (name, pause) in pauses {
            if let Some((handler, _)) = self.registry.find(&name) {
                tracing::warn!(
                    handler = &*name,
                    by = pause.by,
                    reason = pause.reason,
                    "paused; `sandman resume` ends it"
                );
                state.detours.paused.entry(handler).or_insert(pause);
            }
        }
    }

    /// Updates the held keys and pauses of all hosts of a fleet, about once a second.
    fn learn_fleet(&self, held: Vec<HeldKey>, pauses: Vec<(Arc<str>, Pause)>) {
        let held = held.into_iter().filter_map(|HeldKey { name, held }| {
            let (handler, _) = self.registry.find(&name.handler)?;
            Some((LaneKey { handler, key: name.key }, held))
        });
        let held = held.collect();
        let mut state = self.state.lock();
        let mut paused = HashMap::new();
        for (name, pause) in pauses {
            let Some((handler, _)) = self.registry.find(&name) else {
                continue;
            };
            if !state.detours.paused.contains_key(&handler) {
                let (by, reason) = (&pause.by, &pause.reason);
                tracing::warn!(handler = &*name, by, reason, "paused; `sandman resume` ends it");
            }
            paused.insert(handler, pause);
        }
        for handler in state.detours.learn_fleet(held, paused) {
            if let Some(known) = self.registry.get(handler) {
                tracing::info!(handler = &*known.name, "resumed on another host");
                go_on(&mut state, handler, known);
            }
        }
    }

    /// Keys whose letters are to be redriven, in order.
    pub fn released_keys(&self) -> Vec<LaneKey> {
        self.state.lock().detours.released()
    }

    /// Forgets the held letters of a handler's keys: the store has changed without a commit of the pipeline.
    pub fn forget_held(&self, handler: HandlerIx) {
        self.state.lock().detours.held.forget(handler);
    }

    /// Redrives the held letters of a key in order; with `drop`, without the letter that holds it. Returns whether the
    /// key was held and waiting.
    ///
    /// # Errors
    /// [`StoreError`] if the order is not durable in time; it remains, and is carried out when it is.
    pub fn release(&self, handler: HandlerIx, key: &str, drop: bool) -> Result<bool, StoreError> {
        let Some(known) = self.registry.get(handler) else {
            return Ok(false);
        };
        let lane = LaneKey {
            handler,
            key: key.into(),
        };
        let mut state = self.state.lock();
        if !state.detours.waits(&lane) {
            return Ok(false);
        }
        let name = HeldName {
            handler: Arc::clone(&known.name),
            key: lane.key,
        };
        let write = match drop {
            true => LetterWrite::DropHead(name),
            false => LetterWrite::Release(name),
        };
        self.order(&mut state, write)?;
        Ok(true)
    }

    /// Resumes a handler. Returns whether it was paused.
    ///
    /// # Errors
    /// [`StoreError`] if that is not durable in time; the handler is resumed in any case.
    pub fn resume(&self, handler: HandlerIx) -> Result<bool, StoreError> {
        let mut state = self.state.lock();
        let (Some(known), true) = (self.registry.get(handler), state.detours.paused.contains_key(&handler)) else {
            return Ok(false);
        };
        let ordered = self.order(&mut state, LetterWrite::Pause(Arc::clone(&known.name), None));
        state.detours.paused.remove(&handler);
        go_on(&mut state, handler, known);
        ordered.map(|()| true)
    }

    /// The pause of a handler, if it is paused.
    pub fn paused(&self, handler: HandlerIx) -> Option<Pause> {
        self.state.lock().detours.paused.get(&handler).cloned()
    }

    /// Handlers that have paused because too many of their triggers failed, since the last call.
    pub fn take_failing(&self) -> Vec<HandlerIx> {
        self.state.lock().detours.take_failing()
    }

    /// How many keys of a handler are held, and whether all held letters together are at the limit.
    pub fn held(&self, handler: HandlerIx) -> (usize, bool) {
        let state = self.state.lock();
        (state.detours.held_count(handler), state.detours.is_held_full())
    }

    /// Waits until an order is durable. Its unit has no lane, so it survives any revert in the meantime.
    fn order(&self, state: &mut MutexGuard<'_, EngineState>, write: LetterWrite) -> Result<(), StoreError> {
        let order = state.detours.next_order();
        let unit = Unit {
            letters: vec![write],
            ..letter::nothing(Finish::Ordered(order))
        };
        state.queue(unit);
        let deadline = Instant::now() + ORDER_WAIT;
        while !state.detours.is_durable(order) {
            if state.stopping || Instant::now() >= deadline {
                return Err(StoreError::Unavailable(NOT_DURABLE.to_owned()));
            }
            self.settled.wait_for(state, Duration::from_millis(20));
        }
        Ok(())
    }
}

/// The error if an order is not confirmed in time.
const NOT_DURABLE: &str = "the order waits for its commit, and is carried out with it";

/// Resumes a handler and the triggers that are parked because it was paused.
fn go_on(state: &mut EngineState, handler: HandlerIx, known: &Handler) {
    let due = clock::monotonic_millis() + PAUSED / 2;
    state.scheduler.wake_parked(handler, due);
    known.resumable.store(true, Ordering::Relaxed);
}
