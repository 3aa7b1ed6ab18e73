//! How the pipeline begins and ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::alarm::Alarm;
use crate::meters::HostMeters;
use crate::outbox::OutboxFeed;
use crate::registry::Registry;
use sandman_core::store::{Store, StoreError};

use super::admission::Admission;
use super::clients::WaitingClients;
use super::commits::CommitQueue;
use super::detours::Detours;
use super::scheduler::{IdleWorkers, Scheduler};
use super::state::EngineState;
use super::{Options, Pipeline};

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
        let outbox = Arc::new(OutboxFeed::new(Arc::clone(&store))?);
        let mut admission = Admission::new(&options);
        for (ix, handler) in registry.iter() {
            let progress = store.progress(&handler.name)?;
            admission.enter(ix, progress.into_iter().collect());
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let idle = Arc::new(IdleWorkers::default());
        let committable = Arc::new(Condvar::new());
        let state = EngineState {
            registry: Arc::clone(&registry),
            admission,
            scheduler: Scheduler::new(options.cache_bytes, cores, Arc::clone(&idle)),
            commits: CommitQueue::new(options.batch, Arc::clone(&committable)),
            clients: WaitingClients::default(),
            detours: Detours::new(options.held_bytes),
            stopping: false,
        };
        let pipeline = Arc::new(Self {
            options,
            registry,
            store,
            alarm,
            meters,
            state: Mutex::new(state),
            idle,
            committable,
            settled: Condvar::new(),
            letter_signal: crossbeam_channel::bounded(1),
            outbox,
            store_fault: Mutex::default(),
        });
        let committer = Arc::downgrade(&pipeline);
        pipeline.outbox.on_published(Box::new(move || {
            if let Some(pipeline) = committer.upgrade() {
                // By then the committer either waits or has yet to check.
                drop(pipeline.state.lock());
                pipeline.committable.notify_one();
                // Also a consumer that waits for the relay.
                pipeline.settled.notify_all();
            }
        }));
        Ok(pipeline)
    }

    /// Waits until every trigger in memory is committed, except for the parked ones. Returns whether that happened in time.
    pub fn drain(&self, deadline: Instant) -> bool {
        let mut state = self.state.lock();
        while !state.is_drained() {
            if Instant::now() >= deadline {
                return false;
            }
            self.settled.wait_for(&mut state, Duration::from_millis(20));
        }
        true
    }

    /// Ends the workers and, once what is queued is committed, the committer.
    pub fn stop(&self) {
        let mut state = self.state.lock();
        state.stopping = true;
        state.scheduler.wake_all();
        drop(state);
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
}
