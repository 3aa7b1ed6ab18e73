//! The path of a record, without Kafka and without WebAssembly in it.
//!
//! ```text
//! consumer -> [accept: decode -> admission -> lane] -> [work: attempt -> unit] -> [commit: fold -> store -> settle] -> relay
//! ```
//!
//! Three kinds of threads do it: the consumers in [`Pipeline::accept`], the workers in [`Pipeline::work`], and
//! one committer in [`Pipeline::commit`]. They share one lock, which is held for microseconds and never during a call
//! of the store or of a guest. Behind it is `EngineState`, whose parts keep their state to themselves: `Admission`
//! (partitions, and the records in memory), `Scheduler` (lanes and workers), `CommitQueue` (units), `WaitingClients`
//! and `Detours` (triggers that are not run as usual). [`crate::outbox`] passes the committed batches on to the relays.

mod admission;
mod clients;
mod commits;
mod committer;
mod conflict;
mod detours;
mod diverted;
mod fold;
mod held;
mod identity;
mod intake;
mod invocation;
mod lane_result;
mod letter;
mod life;
mod lookup;
mod options;
mod orders;
mod partitions;
mod pause;
mod received;
mod redrive;
mod request;
mod scheduler;
mod shared_intake;
mod state;
mod status;
#[cfg(test)]
mod tests;
mod worker;
mod workers;

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use parking_lot::{Condvar, Mutex};

use crate::alarm::Alarm;
use crate::clock;
use crate::meters::HostMeters;
use crate::outbox::OutboxFeed;
use crate::registry::Registry;
use sandman_core::broker::Flow;
use sandman_core::event::Record;
use sandman_core::faults::{self, Step};
use sandman_core::lanes::{HandlerIx, LaneKey};
use sandman_core::store::{CommitResult, Store, StoreError};
use sandman_core::work::{EventWork, Input};

use admission::NewRecord;
use received::Received;
use scheduler::IdleWorkers;
use state::EngineState;

pub use intake::{HandlerIntake, Patience};
pub use options::Options;
pub use redrive::Redrive;
pub use shared_intake::{SharedIntake, SharingHandler};
pub use status::HandlerStatus;

/// The engine: see the module's documentation.
pub struct Pipeline {
    options: Options,
    registry: Arc<Registry>,
    store: Arc<dyn Store>,
    alarm: Alarm,
    meters: HostMeters,
    state: Mutex<EngineState>,
    idle: Arc<IdleWorkers>,
    /// Notified when the committer may have something to do.
    committable: Arc<Condvar>,
    /// Notified after every commit.
    settled: Condvar,
    letter_signal: (Sender<()>, Receiver<()>),
    outbox: Arc<OutboxFeed>,
    store_fault: Mutex<Option<String>>,
}

impl Pipeline {
    /// A record, from its consumer into the lane of its key. Bytes that are no event are a unit at once. Returns whether the
    /// consumer may go on with the partition.
    pub fn accept(&self, handler: HandlerIx, record: Record, patience: Patience) -> Flow {
        faults::at(Step::Received);
        let Some(known) = self.registry.get(handler) else {
            return Flow::Go;
        };
        let received = Received::of(&record, known);
        let mut state = self.state.lock();
        let Some(NewRecord { place, attempts }) = state.admission.arrive(handler, &record) else {
            return Flow::Go;
        };
        if let Some(meters) = known.meters.topic(&record.source.topic) {
            meters.consumed.increment(1);
        }
        match received {
            Received::Event(key, envelope) => {
                let lane = LaneKey {
                    handler,
                    key: Arc::clone(&key),
                };
                let work = EventWork {
                    handler,
                    partition: place.partition,
                    span: place.span,
                    key,
                    envelope,
                    record,
                };
                let tries = self.tries(handler, attempts);
                state.scheduler.offer(lane, Input::Event(work), tries);
                faults::at(Step::Offered);
            }
            Received::Tombstone => state.queue(self.passed_over(place, &record)),
            Received::Unreadable(reason) => state.queue(self.undecodable(place, &record, &reason)),
        }
        self.flow(&mut state, place, patience)
    }

    /// A worker's life: runs triggers whose lanes are free, each to a unit that waits for its commit, until the pipeline stops.
    pub fn work(&self) {
        let mut state = self.state.lock();
        let me = state.scheduler.join();
        while !state.stopping {
            let now = clock::monotonic_millis();
            let Some(mut job) = state.scheduler.start(me, now) else {
                EngineState::rest(&mut state, &self.idle, now);
                continue;
            };
            if self.store.is_shared() && job.slots.iter().any(|slot| slot.state.is_none()) {
                drop(state);
                let found = self.look_up(&mut job);
                state = self.state.lock();
                for (lane, held) in found {
                    state.detours.held.learn(&lane, held);
                }
            }
            let detour = state.detours.of(&job);
            drop(state);
            faults::at(Step::Taken);
            faults::alter(Step::Taken, &mut job);
            let ran = match detour {
                None => self.attempt(&job),
                Some(detour) => self.follow(&job, &detour),
            };
            faults::at(Step::Ran);
            state = self.state.lock();
            state.scheduler.ended(me);
            if let Some(unit) = state.scheduler.hand_back(job, ran) {
                state.queue(unit);
            }
            faults::at(Step::Queued);
        }
    }

    /// The committer's life: commits what the workers have produced, all that is there at once, until the pipeline stops.
    pub fn commit(&self) {
        while let Some(mut batch) = self.next_batch() {
            let now = clock::wall_millis();
            match self.write(&mut batch, now) {
                Ok(CommitResult::Committed(committed)) => self.settle(batch, committed, now),
                Ok(CommitResult::Conflict(conflict)) => self.rerun(batch, &conflict),
                Err(StoreError::Unavailable(_)) => self.fail(batch),
                Err(error) => {
                    // Whether it is durable is not known here: nothing may act on it, and only a restart can tell. Until
                    // the host has ended nothing more is tried on top of it either.
                    self.stop();
                    self.alarm.raise(&error);
                    return;
                }
            }
        }
    }
}
