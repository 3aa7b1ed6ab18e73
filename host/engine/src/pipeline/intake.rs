//! From the consumer into the lanes, and the bounds that hold the consumer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use crate::clock;
use sandman_core::broker::{Flow, Intake, IntakeError, NamedTopic, Recreation, Start};
use sandman_core::event::{Record, TopicPartition};
use sandman_core::faults::{self, Step};
use sandman_core::lanes::{HandlerIx, LaneKey, PartitionIx, Work};
use sandman_core::store::{Attempts, StoreError};
use sandman_core::work::{EventWork, Input};

use super::partitions::Arrival;
use super::received::{Place, Received};
use super::{Pipeline, Shared};

/// How long a revocation waits for what runs to be committed before it is dropped, to be run again elsewhere. Far below
/// the group's rebalance time-out, far above an invocation and a commit.
const REVOKE_WAIT: Duration = Duration::from_secs(3);

/// So many triggers that could run are worth waking a worker for, although more records are at hand.
const GATHERED: usize = 16;

/// The pipeline as one handler's consumer sees it.
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
        self.pipeline.revoked(self.handler, partitions);
    }

    fn record(&self, record: Record) -> Flow {
        self.pipeline.accept(self.handler, record)
    }

    fn caught_up(&self) {
        self.pipeline.wake_workers(&mut self.pipeline.shared.lock());
    }

    fn resumed(&self) -> Vec<TopicPartition> {
        self.pipeline.resumed(self.handler)
    }

    fn fenced(&self) -> Vec<TopicPartition> {
        let shared = self.pipeline.shared.lock();
        let fenced = shared.partitions.of(self.handler);
        fenced
            .filter(|(_, partition)| partition.fenced)
            .map(|(_, partition)| partition.name.clone())
            .collect()
    }

    fn offsets(&self) -> Vec<(TopicPartition, i64)> {
        let shared = self.pipeline.shared.lock();
        let known = shared.partitions.of(self.handler);
        known
            .filter_map(|(_, partition)| Some((partition.name.clone(), partition.told()?)))
            .collect()
    }

    fn read_to(&self, positions: &[(TopicPartition, i64)]) {
        let mut shared = self.pipeline.shared.lock();
        for (name, position) in positions {
            let Some(ix) = shared.partitions.find(self.handler, name) else {
                continue;
            };
            if let Some(partition) = shared.partitions.get_mut(ix) {
                partition.read_up_to(*position);
            }
        }
    }
}

impl Pipeline {
    fn assigned(&self, handler: HandlerIx, names: &[TopicPartition]) -> Result<Vec<Start>, StoreError> {
        let mut starts = Vec::with_capacity(names.len());
        let Some(known) = self.registry.get(handler) else {
            return Ok(starts);
        };
        if self.has_work_of(handler, names) {
            // What is left of an assignment before must not be committed under this one.
            self.revoked(handler, names);
        }
        let assigned = self.store.assign(&known.name, names)?;
        let mut shared = self.shared.lock();
        if self.store.is_shared() {
            // Most of them have changed while somebody else had the partitions; those that are in use are compared at the
            // commit.
            shared.lanes.forget_idle(handler);
        }
        for (name, assigned) in names.iter().zip(assigned) {
            let ix = shared.partitions.enter(handler, name, None);
            let Some(partition) = shared.partitions.get_mut(ix) else {
                continue;
            };
            partition.assign(assigned);
            starts.push(
                partition
                    .progress
                    .as_ref()
                    .map_or(Start::Beginning, |progress| Start::At(progress.next())),
            );
        }
        Ok(starts)
    }

    /// Takes a record in: decodes it and puts it into its lane. Bytes that are no event become a dead letter at once.
    pub fn accept(&self, handler: HandlerIx, record: Record) -> Flow {
        faults::at(Step::Received);
        let Some(known) = self.registry.get(handler) else {
            return Flow::Go;
        };
        let received = Received::of(&record, known);
        let mut shared = self.shared.lock();
        let Some(ix) = shared.partitions.find(handler, &record.source) else {
            return Flow::Go;
        };
        let Some(partition) = shared.partitions.get_mut(ix) else {
            return Flow::Go;
        };
        let Arrival::New(span) = partition.arrive(record.offset) else {
            return Flow::Go;
        };
        let attempts = partition.attempts.remove(&record.offset);
        if let Some(meters) = known.meters.topic(&record.source.topic) {
            meters.consumed.increment(1);
        }
        if let Some((records, bytes)) = shared.load.get_mut(usize::from(handler)) {
            *records += 1;
            *bytes += record.weight();
        }
        let place = Place {
            handler,
            partition: ix,
            span,
        };
        match received {
            Received::Event(key, envelope) => {
                let work = EventWork {
                    handler,
                    partition: ix,
                    span,
                    key,
                    envelope,
                    record,
                };
                self.offer(&mut shared, work, attempts);
            }
            Received::Tombstone => {
                let unit = self.passed_over(place, &record);
                self.queue(&mut shared, unit);
            }
            Received::Unreadable(reason) => {
                let unit = self.undecodable(place, &record, &reason);
                self.queue(&mut shared, unit);
            }
        }
        self.flow(&mut shared, handler, ix)
    }

    /// Puts an event into its lane, behind the tries that it has had.
    fn offer(&self, shared: &mut Shared, work: EventWork, attempts: Option<Attempts>) {
        let lane = LaneKey {
            handler: work.handler,
            key: Arc::clone(&work.key),
        };
        let failed = attempts.as_ref().map_or(0, |attempts| attempts.failed);
        let due = attempts.map(|attempts| self.due(work.handler, attempts.due_millis));
        shared.lanes.offer(lane, Arc::new(Input::Event(work)), failed, due);
        faults::at(Step::Offered);
        // Records come in numbers: a worker is woken for some of them, or when no more are at hand.
        if shared.lanes.ready() >= GATHERED {
            self.wake_workers(shared);
        }
    }

    /// When a record that failed before a restart is due, by the monotonic clock. The wall clock may have jumped since:
    /// the wait is at most the longest that the policy knows.
    fn due(&self, handler: HandlerIx, due_millis: i64) -> u64 {
        let left = u64::try_from(due_millis - clock::wall_millis()).unwrap_or(0);
        let longest = self
            .registry
            .get(handler)
            .map_or(0, |handler| handler.active().retry.max.as_millis());
        clock::monotonic_millis() + left.min(u64::try_from(longest).unwrap_or(u64::MAX))
    }

    /// Whether the consumer may go on with the partition, now that a record of it came in. Where the handler is full, or the relay
    /// behind, it waits for a while: pausing throws away what is fetched already.
    fn flow(&self, shared: &mut MutexGuard<'_, Shared>, handler: HandlerIx, ix: PartitionIx) -> Flow {
        let mut patience = None;
        while (self.is_full(shared, handler, 1) || self.outbox.is_relay_behind())
            && !shared.detours.paused.contains_key(&handler)
            && !shared.stopping
        {
            let patience = *patience.get_or_insert_with(|| Instant::now() + self.options.patience);
            if self.settled.wait_until(shared, patience).timed_out() {
                break;
            }
        }
        let paused = shared.detours.paused.contains_key(&handler);
        let full = paused || self.is_full(shared, handler, 1) || self.is_parked_full(shared, ix, 1);
        if full && let Some(partition) = shared.partitions.get_mut(ix) {
            partition.held = true;
            return Flow::Pause;
        }
        Flow::Go
    }

    /// Whether the handler has as much in memory as it may, or a fraction of it. What waits behind a back-off does not
    /// count: it must not hold up other keys, and has a bound of its own.
    fn is_full(&self, shared: &Shared, handler: HandlerIx, fraction: usize) -> bool {
        if self.outbox.bytes() >= self.options.outbox_bytes {
            return true;
        }
        let records_bound = (self.options.in_flight / fraction).max(1);
        let bytes_bound = self.options.in_flight_bytes / fraction;
        let is_over = |(records, bytes): (usize, usize)| records >= records_bound || bytes >= bytes_bound;
        let all = Self::load(shared, handler);
        // Nearly always all of it is within the bound already, and nobody need ask what is parked.
        is_over(all) && {
            let parked = shared.partitions.of(handler).map(|(ix, _)| shared.lanes.parked(ix));
            is_over(parked.fold(all, |(records, bytes), parked| {
                (
                    records.saturating_sub(parked.records),
                    bytes.saturating_sub(parked.bytes),
                )
            }))
        }
    }

    /// Whether as much of the partition waits behind back-offs as may, or a fraction of it.
    fn is_parked_full(&self, shared: &Shared, ix: PartitionIx, fraction: usize) -> bool {
        let parked = shared.lanes.parked(ix);
        parked.records >= (self.options.parked / fraction).max(1)
            || parked.bytes >= self.options.parked_bytes / fraction
    }

    /// Partitions whose reading was held and may go on.
    fn resumed(&self, handler: HandlerIx) -> Vec<TopicPartition> {
        let held = self.registry.get(handler);
        if !held.is_some_and(|handler| handler.resumable.swap(false, Ordering::Relaxed)) {
            return Vec::new();
        }
        let mut shared = self.shared.lock();
        if shared.detours.paused.contains_key(&handler) || self.is_full(&shared, handler, 2) {
            return Vec::new();
        }
        let held = shared.partitions.of(handler);
        let held = held
            .filter(|(ix, partition)| partition.held && partition.assigned && !self.is_parked_full(&shared, *ix, 2));
        let held: Vec<PartitionIx> = held.map(|(ix, _)| ix).collect();
        let mut resumed = Vec::with_capacity(held.len());
        for ix in held {
            if let Some(partition) = shared.partitions.get_mut(ix) {
                partition.held = false;
                resumed.push(partition.name.clone());
            }
        }
        resumed
    }

    pub(super) fn may_resume(&self) {
        for (_, handler) in self.registry.iter() {
            handler.resumable.store(true, Ordering::Relaxed);
        }
    }

    /// Gives partitions up: forgets what waits, and waits for what runs until it is committed, or until it is dropped. Failed
    /// tries are waited for as well, as long as there is time: whoever gets the partition next asks the store for them.
    fn revoked(&self, handler: HandlerIx, names: &[TopicPartition]) {
        let mut shared = self.shared.lock();
        let found = self.let_go(&mut shared, handler, names);
        let deadline = Instant::now() + REVOKE_WAIT;
        while Self::is_under_way(&shared, &found, Instant::now() < deadline) && !shared.stopping {
            if Instant::now() >= deadline && !shared.revert {
                shared.revert = true;
                self.committable.notify_one();
            }
            self.settled.wait_for(&mut shared, Duration::from_millis(100));
            for ix in &found {
                // A trigger that failed meanwhile waits again.
                self.purge(&mut shared, *ix);
            }
        }
    }

    /// Whether anything of these partitions is in memory.
    fn has_work_of(&self, handler: HandlerIx, names: &[TopicPartition]) -> bool {
        let shared = self.shared.lock();
        let known = names.iter().filter_map(|name| shared.partitions.find(handler, name));
        let mut known = known.filter_map(|ix| shared.partitions.get(ix));
        known.any(|partition| partition.in_flight > 0 || partition.noting > 0)
    }

    /// From here on nothing new of these partitions begins.
    pub(super) fn let_go(&self, shared: &mut Shared, handler: HandlerIx, names: &[TopicPartition]) -> Vec<PartitionIx> {
        let found = names.iter().filter_map(|name| shared.partitions.find(handler, name));
        let found: Vec<PartitionIx> = found.collect();
        for ix in &found {
            if let Some(partition) = shared.partitions.get_mut(*ix) {
                partition.assigned = false;
            }
            self.purge(shared, *ix);
        }
        found
    }

    /// Whether something of these partitions waits for its commit; failed tries only as long as there is time.
    pub(super) fn is_under_way(shared: &Shared, found: &[PartitionIx], in_time: bool) -> bool {
        let mut partitions = found.iter().filter_map(|ix| shared.partitions.get(*ix));
        partitions.any(|partition| partition.in_flight > 0 || (partition.noting > 0 && in_time))
    }

    /// Forgets the waiting records of a partition that is not assigned any more; they will be received again.
    pub(super) fn purge(&self, shared: &mut Shared, ix: PartitionIx) {
        let purged = shared.lanes.purge(ix);
        // Work of other partitions may have come to the head of its lanes.
        self.wake_workers(shared);
        let records = purged.len();
        let bytes: usize = purged.iter().map(|work| work.bytes()).sum();
        self.forget(shared, ix, (records, bytes));
        // Nothing may be committed for a while: what is held for the bounds must hear of it here.
        self.may_resume();
    }

    /// Counts records and their bytes out that are not in memory any more.
    pub(super) fn forget(&self, shared: &mut Shared, ix: PartitionIx, (records, bytes): (usize, usize)) {
        let Some(partition) = shared.partitions.get_mut(ix) else {
            return;
        };
        partition.in_flight = partition.in_flight.saturating_sub(records);
        if let Some(load) = shared.load.get_mut(usize::from(partition.handler)) {
            *load = (load.0.saturating_sub(records), load.1.saturating_sub(bytes));
        }
    }
}
