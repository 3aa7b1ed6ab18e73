//! Admission: which records are new, how much of each handler and partition is in memory, and whether partitions are
//! paused for that.
//!
//! Pure: a part of the state behind the pipeline's lock.

use std::collections::BTreeSet;

use sandman_core::broker::{Extent, Start};
use sandman_core::event::{Record, TopicPartition};
use sandman_core::lanes::{HandlerIx, PartitionIx, Weight};
use sandman_core::progress::Progress;
use sandman_core::store::{Assigned, Attempts};
use sandman_core::unit::Finish;

use super::Options;
use super::partitions::{Arrival, Partition, Partitions};
use super::received::Place;

/// The partitions of all handlers, and the limits on their records in memory.
#[derive(Debug)]
pub(super) struct Admission {
    partitions: Partitions,
    /// Records and their bytes in memory, per handler.
    load: Vec<(usize, usize)>,
    in_flight: usize,
    in_flight_bytes: usize,
    parked: usize,
    parked_bytes: usize,
}

/// A record that was admitted.
#[derive(Debug)]
pub(super) struct NewRecord {
    pub(super) place: Place,
    /// Its failed attempts so far.
    pub(super) attempts: Option<Attempts>,
}

impl Admission {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            partitions: Partitions::default(),
            load: Vec::new(),
            in_flight: options.in_flight,
            in_flight_bytes: options.in_flight_bytes,
            parked: options.parked,
            parked_bytes: options.parked_bytes,
        }
    }

    /// Adds a handler, with its progress from the store. Progress that this process already knows is newer.
    pub(super) fn enter(&mut self, handler: HandlerIx, progress: Vec<(TopicPartition, Progress)>) {
        let room = usize::from(handler) + 1;
        if self.load.len() < room {
            self.load.resize(room, (0, 0));
        }
        for (name, progress) in progress {
            self.partitions.enter(handler, &name, Some(progress));
        }
    }

    /// Begins assignments with the data of the store.
    pub(super) fn assign(
        &mut self,
        handler: HandlerIx,
        assigned: impl IntoIterator<Item = (TopicPartition, Assigned)>,
    ) -> Vec<Start> {
        let mut starts = Vec::new();
        for (name, assigned) in assigned {
            let ix = self.partitions.enter(handler, &name, None);
            if let Some(partition) = self.partitions.get_mut(ix) {
                partition.assign(assigned);
                let next = partition.progress.as_ref().map(Progress::next);
                starts.push(next.map_or(Start::Beginning, Start::At));
            }
        }
        starts
    }

    /// Admits a record if it is new; then it counts as in memory until [`Admission::forget`].
    pub(super) fn arrive(&mut self, handler: HandlerIx, record: &Record) -> Option<NewRecord> {
        let ix = self.partitions.find(handler, &record.source)?;
        let partition = self.partitions.get_mut(ix)?;
        let Arrival::New(span) = partition.arrive(record.offset) else {
            return None;
        };
        let attempts = partition.attempts.remove(&record.offset);
        if let Some((records, bytes)) = self.load.get_mut(usize::from(handler)) {
            *records += 1;
            *bytes += record.weight();
        }
        let place = Place {
            handler,
            partition: ix,
            span,
        };
        Some(NewRecord { place, attempts })
    }

    /// Subtracts records that are no longer in memory, and their bytes.
    pub(super) fn forget(&mut self, ix: PartitionIx, (records, bytes): (usize, usize)) {
        let Some(partition) = self.partitions.get_mut(ix) else {
            return;
        };
        partition.in_flight = partition.in_flight.saturating_sub(records);
        if let Some(load) = self.load.get_mut(usize::from(partition.handler)) {
            *load = (load.0.saturating_sub(records), load.1.saturating_sub(bytes));
        }
    }

    /// A unit waits for its commit: nobody else knows of a failed attempt until then.
    pub(super) fn queued(&mut self, finish: &Finish) {
        if let Finish::Attempt { partition, .. } = finish
            && let Some(partition) = self.partitions.get_mut(*partition)
        {
            partition.noting += 1;
        }
    }

    /// The effect of the unit on its record is durable.
    pub(super) fn settled(&mut self, finish: &Finish) {
        match finish {
            Finish::Done {
                partition,
                span,
                weight,
                ..
            } => {
                let progress = self.partitions.get_mut(*partition);
                if let Some(progress) = progress.and_then(|partition| partition.progress.as_mut()) {
                    progress.complete(*span);
                }
                self.forget(*partition, (1, *weight));
            }
            Finish::Attempt { partition, .. } => {
                if let Some(partition) = self.partitions.get_mut(*partition) {
                    partition.noting = partition.noting.saturating_sub(1);
                }
            }
            Finish::Answered { .. } | Finish::Redriven(_) | Finish::Ordered(_) => {}
        }
    }

    /// The unit is dropped: its record is neither done nor in memory.
    pub(super) fn dropped(&mut self, finish: &Finish) {
        match finish {
            Finish::Done { partition, weight, .. } => self.forget(*partition, (1, *weight)),
            finish => self.settled(finish),
        }
    }

    /// Whether the handler has reached its limit in memory, or a fraction of it. Work that waits behind a backoff does
    /// not count: it must not hold up other keys, and has its own limit.
    pub(super) fn is_full(&self, handler: HandlerIx, fraction: usize, parked: impl Fn(PartitionIx) -> Weight) -> bool {
        let records_bound = (self.in_flight / fraction).max(1);
        let bytes_bound = self.in_flight_bytes / fraction;
        let is_over = |(records, bytes): (usize, usize)| records >= records_bound || bytes >= bytes_bound;
        let all = self.load(handler);
        // Usually the total is within the limit, so the parked work need not be counted.
        is_over(all) && {
            let parked = self.partitions.of(handler).map(|(ix, _)| parked(ix));
            is_over(parked.fold(all, |(records, bytes), parked| {
                (
                    records.saturating_sub(parked.records),
                    bytes.saturating_sub(parked.bytes),
                )
            }))
        }
    }

    /// Whether the parked work of a partition has reached its limit, or a fraction of it.
    pub(super) fn is_parked_full(&self, parked: Weight, fraction: usize) -> bool {
        parked.records >= (self.parked / fraction).max(1) || parked.bytes >= self.parked_bytes / fraction
    }

    /// The consumer is told to pause the partition.
    pub(super) fn hold(&mut self, ix: PartitionIx) {
        if let Some(partition) = self.partitions.get_mut(ix) {
            partition.held = true;
        }
    }

    /// Takes the paused partitions of a handler that may be resumed.
    pub(super) fn resume(&mut self, handler: HandlerIx, parked: impl Fn(PartitionIx) -> Weight) -> Vec<TopicPartition> {
        let held = self.partitions.of(handler);
        let held =
            held.filter(|(ix, partition)| partition.held && partition.assigned && !self.is_parked_full(parked(*ix), 2));
        let held: Vec<PartitionIx> = held.map(|(ix, _)| ix).collect();
        let mut resumed = Vec::with_capacity(held.len());
        for ix in held {
            if let Some(partition) = self.partitions.get_mut(ix) {
                partition.held = false;
                resumed.push(partition.name.clone());
            }
        }
        resumed
    }

    /// Stops admitting new records of these partitions.
    pub(super) fn let_go(&mut self, handler: HandlerIx, names: &[TopicPartition]) -> Vec<PartitionIx> {
        let found = names.iter().filter_map(|name| self.partitions.find(handler, name));
        let found: Vec<PartitionIx> = found.collect();
        for ix in &found {
            if let Some(partition) = self.partitions.get_mut(*ix) {
                partition.assigned = false;
            }
        }
        found
    }

    /// The store has refused a commit of the partition: no new records of it are admitted until it is assigned again.
    pub(super) fn fence(&mut self, handler: HandlerIx, name: &TopicPartition) -> Option<PartitionIx> {
        let ix = self.partitions.find(handler, name)?;
        let partition = self.partitions.get_mut(ix)?;
        partition.fenced |= partition.assigned;
        partition.assigned = false;
        Some(ix)
    }

    /// Partitions that are not assigned.
    pub(super) fn unassigned(&mut self) -> Vec<PartitionIx> {
        let all = self.partitions.iter_mut();
        all.filter(|(_, partition)| !partition.assigned)
            .map(|(ix, _)| ix)
            .collect()
    }

    /// Whether the partition is known and not assigned.
    pub(super) fn is_taken_away(&self, ix: PartitionIx) -> bool {
        self.partitions.get(ix).is_some_and(|partition| !partition.assigned)
    }

    /// Whether work of these partitions waits for its commit; failed attempts count only as long as there is time.
    pub(super) fn is_under_way(&self, found: &[PartitionIx], in_time: bool) -> bool {
        let mut partitions = found.iter().filter_map(|ix| self.partitions.get(*ix));
        partitions.any(|partition| partition.in_flight > 0 || (partition.noting > 0 && in_time))
    }

    /// Whether anything of these partitions is in memory.
    pub(super) fn has_work_of(&self, handler: HandlerIx, names: &[TopicPartition]) -> bool {
        let known = names.iter().filter_map(|name| self.partitions.find(handler, name));
        self.is_under_way(&known.collect::<Vec<_>>(), true)
    }

    /// Another topic has the name now: nothing of it is done.
    pub(super) fn restart_topic(&mut self, handler: HandlerIx, topic: &str) {
        let all = self.partitions.iter_mut().map(|(_, partition)| partition);
        all.filter(|known| known.handler == handler && *known.name.topic == *topic)
            .for_each(Partition::restart);
    }

    /// Records the read positions of partitions.
    pub(super) fn read_up_to(&mut self, handler: HandlerIx, positions: &[(TopicPartition, i64)]) {
        for (name, position) in positions {
            let ix = self.partitions.find(handler, name);
            if let Some(partition) = ix.and_then(|ix| self.partitions.get_mut(ix)) {
                partition.read_up_to(*position);
            }
        }
    }

    /// The offsets to commit to the group of these handlers, which are in order.
    pub(super) fn told(&self, handlers: &[HandlerIx]) -> Vec<(TopicPartition, i64)> {
        let known = self.partitions.of_all(handlers);
        known
            .filter_map(|partition| Some((partition.name.clone(), partition.told()?)))
            .collect()
    }

    /// The partitions of these handlers, which are in order, that the store has refused a commit of.
    pub(super) fn fenced(&self, handlers: &[HandlerIx]) -> Vec<TopicPartition> {
        let known = self.partitions.of_all(handlers);
        let fenced = known.filter(|partition| partition.fenced);
        fenced.map(|partition| partition.name.clone()).collect()
    }

    /// The partitions that the handler is assigned.
    pub(super) fn assigned(&self, handler: HandlerIx) -> BTreeSet<TopicPartition> {
        let known = self.partitions.of(handler).map(|(_, partition)| partition);
        let assigned = known.filter(|partition| partition.assigned);
        assigned.map(|partition| partition.name.clone()).collect()
    }

    /// How many records of a partition, of those on the brokers, the handler still has to handle.
    pub(super) fn waiting(&self, handler: HandlerIx, name: &TopicPartition, extent: Extent) -> u64 {
        let ix = self.partitions.find(handler, name);
        ix.and_then(|ix| self.partitions.get(ix)).map_or_else(
            || u64::try_from(extent.end - extent.first).unwrap_or_default(),
            |partition| partition.waiting(extent),
        )
    }

    /// Records the store's progress in partitions that other hosts have.
    pub(super) fn note_elsewhere(&mut self, handler: HandlerIx, all: Vec<(TopicPartition, Progress)>) {
        for (name, progress) in all {
            let ix = self.partitions.enter(handler, &name, None);
            if let Some(partition) = self.partitions.get_mut(ix).filter(|partition| !partition.assigned) {
                partition.elsewhere = Some(progress);
            }
        }
    }

    /// Records of a handler in memory, and their bytes.
    pub(super) fn load(&self, handler: HandlerIx) -> (usize, usize) {
        self.load.get(usize::from(handler)).copied().unwrap_or_default()
    }

    /// The partitions of a handler.
    pub(super) fn of(&self, handler: HandlerIx) -> impl Iterator<Item = (PartitionIx, &Partition)> {
        self.partitions.of(handler)
    }

    /// All partitions.
    pub(super) fn partitions(&self) -> &Partitions {
        &self.partitions
    }
}
