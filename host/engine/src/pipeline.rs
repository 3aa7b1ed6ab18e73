//! The way of one event, without Kafka and without WebAssembly in it.
//!
//! ```text
//! consumer -> [accept: decode -> lane] -> [worker: guest -> unit] -> [committer: fold -> store] -> relay
//! ```
//!
//! Threads meet at one shared, behind one lock that is held for microseconds: a consumer thread per handler calls
//! [`Pipeline::accept`], worker threads run [`Pipeline::work`], one thread runs [`Pipeline::commit`].

mod committer;
mod conflict;
mod workers;
mod fold;
mod held;
mod identity;
mod intake;
mod invocation;
mod letter;
mod partitions;
mod received;
mod redrive;
mod request;
mod status;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::alarm::Alarm;
use crate::clock;
use crate::meters::HostMeters;
use crate::outbox::OutboxFeed;
use crate::registry::Registry;
use sandman_core::event::DeadLetterTopic;
use sandman_core::faults::{self, Step};
use sandman_core::files;
use sandman_core::lanes::{Change, HandlerIx, Job, LaneKey, Lanes, Millis};
use sandman_core::outcome::StateChange;
use sandman_core::store::{AnswerWrite, Answered, RecordingWrite, Store, StoreError};
use sandman_core::unit::{Finish, Unit};
use sandman_core::work::{Answer, EventWork, Input, LetterWork, RequestId};

use partitions::Partitions;
use redrive::Detours;
use worker::{LaneResult, Try};
use workers::{IdleWorkers, Workers};

pub use intake::HandlerIntake;
pub use redrive::Redrive;
pub use status::HandlerStatus;

/// How long a job rests whose state could not be read.
const STORE_PAUSE: Millis = 1000;

/// The bounds of the pipeline; all of them hold per host.
#[derive(Clone, Debug)]
pub struct Options {
    /// `source` of the envelopes that are published.
    pub source: String,
    /// Bytes of cached states of idle keys.
    pub cache_bytes: usize,
    /// Records in memory per handler, but for those behind a back-off; at the bound reading is held, and goes on at half of it.
    pub in_flight: usize,
    /// Bytes of records in memory per handler; held likewise.
    pub in_flight_bytes: usize,
    /// Records of one partition that may wait behind back-offs; at the bound this partition alone is held.
    pub parked: usize,
    /// Bytes of the same.
    pub parked_bytes: usize,
    /// Units in one commit.
    pub batch: usize,
    /// Bytes in the outbox at which reading is held.
    pub outbox_bytes: u64,
    /// The pause after a commit that the store could not do.
    pub store_pause: Duration,
    /// How long a consumer waits for room in memory before it pauses, which throws away what it has fetched. Rebalances
    /// and a stop wait as long.
    pub patience: Duration,
    /// What the topics of dead letters are called.
    pub dead_letter_topic: DeadLetterTopic,
    /// Bytes of dead letters in the store.
    pub dead_letters: u64,
    /// Bytes of what is held behind dead letters in the store; at the bound what more comes for held keys stays on Kafka.
    pub held_bytes: u64,
}

/// A request's key and its `Idempotency-Key`.
type Remembered = (Arc<str>, Arc<str>);

/// Everything that the threads share, behind the pipeline's lock.
struct Shared {
    lanes: Lanes<Input>,
    /// Units in the order in which they were produced, which per lane is the order of their triggers.
    units: VecDeque<Unit>,
    partitions: Partitions,
    workers: Workers,
    /// Records and their bytes in memory, per handler.
    load: Vec<(usize, usize)>,
    /// How many requests there were: the last one's id.
    requests: RequestId,
    /// Clients that wait for their answers.
    waiting: HashMap<RequestId, oneshot::Sender<Answer>>,
    /// Answers under an `Idempotency-Key` that wait for their commit: a repetition must find them already.
    remembered: HashMap<Remembered, Answered>,
    /// Recordings of invocations that changed nothing: they go with the next commit that writes.
    recordings: Vec<RecordingWrite>,
    detours: Detours,
    /// The committer has units in hand.
    committing: bool,
    /// A revocation could not wait any longer: the committer is to drop what is not committed.
    revert: bool,
    stopping: bool,
}

/// The engine: see the module's text.
pub struct Pipeline {
    options: Options,
    registry: Arc<Registry>,
    store: Arc<dyn Store>,
    alarm: Alarm,
    meters: HostMeters,
    shared: Mutex<Shared>,
    rest: IdleWorkers,
    committable: Condvar,
    /// Rung after every commit.
    settled: Condvar,
    letter_bell: (Sender<()>, Receiver<()>),
    outbox: Arc<OutboxFeed>,
    store_fault: Mutex<Option<String>>,
}

impl Pipeline {
    /// A pipeline over `store`.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub fn new(
        options: Options,
        registry: Arc<Registry>,
        store: Arc<dyn Store>,
        (alarm, meters): (Alarm, HostMeters),
    ) -> Result<Arc<Self>, StoreError> {
        let handlers = registry.iter().count();
        let outbox = Arc::new(OutboxFeed::new(Arc::clone(&store))?);
        let mut partitions = Partitions::default();
        for (ix, handler) in registry.iter() {
            for (name, progress) in store.progress(&handler.name)? {
                partitions.enter(ix, &name, Some(progress));
            }
        }
        let shared = Shared {
            lanes: Lanes::new(options.cache_bytes),
            units: VecDeque::new(),
            partitions,
            workers: Workers::new(std::thread::available_parallelism().map_or(1, usize::from)),
            load: vec![(0, 0); handlers],
            requests: 0,
            waiting: HashMap::new(),
            remembered: HashMap::new(),
            recordings: Vec::new(),
            detours: Detours::default(),
            committing: false,
            revert: false,
            stopping: false,
        };
        let pipeline = Self {
            options,
            registry,
            store,
            alarm,
            meters,
            shared: Mutex::new(shared),
            rest: IdleWorkers::default(),
            committable: Condvar::new(),
            settled: Condvar::new(),
            letter_bell: crossbeam_channel::bounded(1),
            outbox,
            store_fault: Mutex::default(),
        };
        let pipeline = Arc::new(pipeline);
        let committer = Arc::downgrade(&pipeline);
        pipeline.outbox.on_published(Box::new(move || {
            if let Some(pipeline) = committer.upgrade() {
                // The committer either waits by then, or has still to look.
                drop(pipeline.shared.lock());
                pipeline.committable.notify_one();
                // And a consumer that waits for the relay.
                pipeline.settled.notify_all();
            }
        }));
        Ok(pipeline)
    }

    fn run(&self, job: &Job<Input>) -> Result<LaneResult, StoreError> {
        let mut ran = match &*job.work {
            Input::Event(work) => self.run_event(job, work, None),
            Input::Letter(letter) => self.run_event(job, &letter.event, Some(letter)),
            Input::Request(id, work) => Ok(self.run_request(job, *id, work)),
        };
        if let Ok(LaneResult::Done(changes, unit)) = &mut ran {
            unit.files = renamed_files(unit, changes);
        }
        ran
    }

    fn run_event(
        &self,
        job: &Job<Input>,
        work: &EventWork,
        letter: Option<&LetterWork>,
    ) -> Result<LaneResult, StoreError> {
        let unknown = || StoreError::Failed(format!("there is no handler number {}", work.handler));
        let handler = self.registry.get(work.handler).ok_or_else(unknown)?;
        let (options, store) = (&self.options, &*self.store);
        Try {
            options,
            store,
            handler,
            work,
            letter,
        }
        .run(job)
    }

    /// The worker looks for its next trigger right after this, and so sees to what has become ready or was parked.
    fn hand_back(&self, shared: &mut MutexGuard<'_, Shared>, job: Job<Input>, ran: Result<LaneResult, StoreError>) {
        match ran {
            Ok(LaneResult::Done(changes, unit)) => {
                if shared.lanes.ran(job, changes) {
                    self.queue(shared, unit);
                }
            }
            Ok(LaneResult::Again { failed, due, unit }) => {
                if shared.lanes.park(job, failed, due)
                    && let Some(unit) = unit
                {
                    self.queue(shared, unit);
                }
            }
            Err(error) => {
                tracing::error!(%error, "a state could not be read; its key waits");
                let (failed, due) = (job.failed, clock::monotonic_millis() + STORE_PAUSE);
                shared.lanes.park(job, failed, due);
                self.stop_if_failed(&error);
            }
        }
    }

    /// What cannot be read now may be later, but not from a store that is damaged: nobody is to build on the rest of it.
    fn stop_if_failed(&self, error: &StoreError) {
        if matches!(error, StoreError::Failed(_)) {
            self.alarm.raise(error);
        }
    }

    fn queue(&self, shared: &mut MutexGuard<'_, Shared>, mut unit: Unit) {
        if let Finish::Answered {
            remember:
                Some(AnswerWrite {
                    key,
                    idempotency_key,
                    answered,
                }),
            ..
        } = &unit.finish
        {
            shared
                .remembered
                .insert((Arc::clone(key), Arc::clone(idempotency_key)), answered.clone());
        }
        faults::alter(Step::Queued, &mut unit);
        faults::alter(Step::Queued, &mut shared.waiting);
        if let Finish::Attempt { partition, .. } = &unit.finish
            && let Some(partition) = shared.partitions.get_mut(*partition)
        {
            partition.noting += 1;
        }
        if !unit.letters.is_empty() {
            self.letters_ahead(shared, &unit);
        }
        shared.units.push_back(unit);
        // In between, the committer waits for more.
        if shared.units.len() == 1 || shared.units.len() >= self.options.batch {
            self.committable.notify_one();
        }
    }

    /// Waits until every trigger in memory is committed, but for the parked ones. Answers whether that was so in time.
    pub fn drain(&self, deadline: Instant) -> bool {
        let mut shared = self.shared.lock();
        loop {
            if shared.units.is_empty() && !shared.committing && shared.lanes.is_settled() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            self.settled.wait_for(&mut shared, Duration::from_millis(20));
        }
    }

    /// Ends the workers and, once what is queued is committed, the committer.
    pub fn stop(&self) {
        let mut shared = self.shared.lock();
        shared.stopping = true;
        self.wake_all(&mut shared);
        drop(shared);
        self.committable.notify_all();
    }

    /// Why the last commit failed, if it did.
    pub fn store_fault(&self) -> Option<String> {
        self.store_fault.lock().clone()
    }

    /// The outbox that the commits fill, for the relays.
    pub fn outbox(&self) -> &Arc<OutboxFeed> {
        &self.outbox
    }

    fn load(shared: &Shared, handler: HandlerIx) -> (usize, usize) {
        shared.load.get(usize::from(handler)).copied().unwrap_or_default()
    }
}

/// The uploaded files that the states of the unit's lanes name after these changes, where they are others than before.
fn renamed_files(unit: &Unit, changes: &[Change]) -> Vec<(LaneKey, Vec<Arc<str>>)> {
    let lanes = unit.changes.iter().zip(changes);
    let renamed = lanes.filter_map(|((lane, _), Change { seen, change })| {
        let after = match change {
            StateChange::Keep => return None,
            StateChange::Put(document) => Some(&**document),
            StateChange::Delete => None,
        };
        let before = seen.as_ref().and_then(|seen| seen.document.as_deref());
        let names = files::renamed(before, after)?;
        Some((lane.clone(), names))
    });
    renamed.collect()
}
