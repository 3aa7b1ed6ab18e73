//! The pipeline's side of one handler's consumer: assignments, records, and the limits at which it pauses.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use crate::clock;
use sandman_core::broker::{Flow, Intake, IntakeError, NamedTopic, Recreation, Start};
use sandman_core::event::{Record, TopicPartition};
use sandman_core::lanes::{HandlerIx, Millis};
use sandman_core::store::{Attempts, StoreError};

use super::Pipeline;
use super::received::Place;
use super::state::EngineState;

/// How long a revocation waits for running triggers to be committed before they are dropped and run again elsewhere.
/// Far below the group's rebalance timeout, far above an invocation and a commit.
const REVOKE_WAIT: Duration = Duration::from_secs(3);

/// For what a consumer waits a while before it pauses a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Also for its handler to have room.
    WithHandler,
    /// Only for limits of the whole host: other handlers share the consumer.
    OnlyWithHost,
}

/// The pipeline's side of one handler's consumer.
pub struct HandlerIntake {
    pipeline: Arc<Pipeline>,
    handler: HandlerIx,
    recreation: Recreation,
}

impl HandlerIntake {
    /// The intake of the handler at `handler`.
    pub fn new(pipeline: Arc<Pipeline>, handler: HandlerIx, recreation: Recreation) -> Self {
        Self {
            pipeline,
            handler,
            recreation,
        }
    }
}

impl Intake for HandlerIntake {
    fn assigned(&self, partitions: &[TopicPartition], topics: &[NamedTopic]) -> Result<Vec<Start>, IntakeError> {
        for (topic, id) in topics {
            if let Some(id) = id {
                self.pipeline.identify(self.handler, (topic, id), self.recreation)?;
            }
        }
        Ok(self.pipeline.assigned(self.handler, partitions)?)
    }

    fn revoked(&self, partitions: &[TopicPartition]) {
        self.pipeline.revoked(&[(self.handler, partitions.to_vec())]);
    }

    fn record(&self, record: Record) -> Flow {
        self.pipeline.accept(self.handler, record, Patience::WithHandler)
    }

    fn caught_up(&self) {
        self.pipeline.state.lock().scheduler.wake();
    }

    fn resumed(&self) -> Vec<TopicPartition> {
        self.pipeline.resumed(self.handler)
    }

    fn fenced(&self) -> Vec<TopicPartition> {
        self.pipeline.state.lock().admission.fenced(&[self.handler])
    }

    fn offsets(&self) -> Vec<(TopicPartition, i64)> {
        self.pipeline.state.lock().admission.told(&[self.handler])
    }

    fn read_to(&self, positions: &[(TopicPartition, i64)]) {
        let mut state = self.pipeline.state.lock();
        state.admission.read_up_to(self.handler, positions);
    }
}

impl Pipeline {
    pub(super) fn assigned(&self, handler: HandlerIx, names: &[TopicPartition]) -> Result<Vec<Start>, StoreError> {
        let Some(known) = self.registry.get(handler) else {
            return Ok(Vec::new());
        };
        let is_left = self.state.lock().admission.has_work_of(handler, names);
        if is_left {
            // The rest of an earlier assignment must not be committed under this one.
            self.revoked(&[(handler, names.to_vec())]);
        }
        let assigned = self.store.assign(&known.name, names)?;
        let mut state = self.state.lock();
        if self.store.is_shared() {
            // Most of them have changed while another host had the partitions; those in use are compared at the commit.
            state.scheduler.forget_idle(handler);
        }
        let assigned = names.iter().cloned().zip(assigned);
        Ok(state.admission.assign(handler, assigned))
    }

    /// The failed attempts of a record, and when it is due. The wall clock may have jumped since they were stored: the
    /// wait is at most the policy's longest.
    pub(super) fn tries(&self, handler: HandlerIx, attempts: Option<Attempts>) -> (u32, Option<Millis>) {
        let Some(attempts) = attempts else { return (0, None) };
        let left = u64::try_from(attempts.due_millis - clock::wall_millis()).unwrap_or(0);
        let longest = self
            .registry
            .get(handler)
            .map_or(0, |handler| handler.active().retry.max.as_millis());
        let wait = left.min(u64::try_from(longest).unwrap_or(u64::MAX));
        (attempts.failed, Some(clock::monotonic_millis() + wait))
    }

    /// Whether the consumer may continue with the partition after a record of it. If the handler is full, or the relay
    /// is behind, it waits for a while, because pausing discards fetched records.
    pub(super) fn flow(&self, state: &mut MutexGuard<'_, EngineState>, place: Place, patience: Patience) -> Flow {
        let handler = place.handler;
        let mut until = None;
        let deadline = |state: &mut EngineState| {
            // The limit may admit fewer records than the number for which a worker is woken.
            state.scheduler.wake();
            Instant::now() + self.options.patience
        };
        let is_full = |state: &EngineState| match patience {
            Patience::WithHandler => self.is_full(state, handler, 1),
            Patience::OnlyWithHost => self.is_outbox_full(),
        };
        while (is_full(state) || self.outbox.is_relay_behind())
            && !state.detours.paused.contains_key(&handler)
            && !state.stopping
        {
            let until = *until.get_or_insert_with(|| deadline(state));
            if self.settled.wait_until(state, until).timed_out() {
                break;
            }
        }
        let parked = state.scheduler.parked(place.partition);
        if state.detours.paused.contains_key(&handler)
            || self.is_full(state, handler, 1)
            || state.admission.is_parked_full(parked, 1)
        {
            state.admission.hold(place.partition);
            return Flow::Pause;
        }
        Flow::Go
    }

    /// Whether the outbox or the handler is at its limit, or at a fraction of it.
    fn is_full(&self, state: &EngineState, handler: HandlerIx, fraction: usize) -> bool {
        let parked = |ix| state.scheduler.parked(ix);
        self.is_outbox_full() || state.admission.is_full(handler, fraction, parked)
    }

    fn is_outbox_full(&self) -> bool {
        self.outbox.bytes() >= self.options.outbox_bytes
    }

    /// Paused partitions that may be resumed.
    pub(super) fn resumed(&self, handler: HandlerIx) -> Vec<TopicPartition> {
        let held = self.registry.get(handler);
        if !held.is_some_and(|handler| handler.resumable.swap(false, Ordering::Relaxed)) {
            return Vec::new();
        }
        let state = &mut *self.state.lock();
        if state.detours.paused.contains_key(&handler) || self.is_full(state, handler, 2) {
            return Vec::new();
        }
        let scheduler = &state.scheduler;
        state.admission.resume(handler, |ix| scheduler.parked(ix))
    }

    /// Gives up partitions: forgets waiting work, and waits until running work is committed or dropped. It also waits
    /// for failed attempts as long as there is time, because the next owner reads them from the store.
    pub(super) fn revoked(&self, of: &[(HandlerIx, Vec<TopicPartition>)]) {
        let mut state = self.state.lock();
        let mut found = Vec::new();
        for (handler, names) in of {
            found.extend(state.let_go(*handler, names));
        }
        let deadline = Instant::now() + REVOKE_WAIT;
        while state.admission.is_under_way(&found, Instant::now() < deadline) && !state.stopping {
            if Instant::now() >= deadline {
                state.commits.order_revert();
            }
            self.settled.wait_for(&mut state, Duration::from_millis(100));
            for ix in &found {
                // A trigger that has failed in the meantime waits again.
                state.purge(*ix);
            }
        }
    }
}
