//! The partitions of all handlers: what is done in each, what is in memory, and whether it is paused.
//!
//! Pure: a table behind the pipeline's lock.

use std::collections::HashMap;

use ahash::RandomState;

use sandman_core::broker::Extent;
use sandman_core::event::TopicPartition;
use sandman_core::lanes::{HandlerIx, PartitionIx};
use sandman_core::progress::{Progress, Span};
use sandman_core::store::{Assigned, Attempts, Epoch};

/// One partition of one handler.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) handler: HandlerIx,
    pub(super) name: TopicPartition,
    /// The epoch of the last assignment to this host.
    pub(super) epoch: Epoch,
    pub(super) assigned: bool,
    /// The store has refused a commit of it: it has been assigned again, to another host or under another name of this one.
    pub(super) fenced: bool,
    /// What is committed, since the last assignment and by this host; `None` until the first record of a partition that
    /// was never read.
    pub(super) progress: Option<Progress>,
    /// What another host has committed since, as last read from the store; used while the partition is not assigned here.
    pub(super) elsewhere: Option<Progress>,
    /// The first offset of a partition that was never read before.
    began: Option<i64>,
    /// The end of the last record that was received.
    received: Option<i64>,
    /// Earlier failures of records that are not done.
    pub(super) attempts: HashMap<i64, Attempts>,
    /// Records in memory, from received to committed.
    pub(super) in_flight: usize,
    /// Failed attempts that wait for their commit: until then nobody else can know of them.
    pub(super) noting: usize,
    /// The consumer has paused it.
    pub(super) held: bool,
    /// The read position while it is assigned: there is no record between the last received one and this.
    read_to: Option<i64>,
}

/// What to do with a record that was received.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// No longer ours, or received before: nothing.
    Stale,
    /// Done in an earlier run; its offsets are accounted for.
    Known,
    /// New work that accounts for this span.
    New(Span),
}

impl Partition {
    /// Begins an assignment with the data of the store.
    pub(super) fn assign(&mut self, assigned: Assigned) {
        let Assigned {
            epoch,
            progress,
            attempts,
        } = assigned;
        if !self.is_settled() || self.progress != progress {
            // Records that were received and are not done can be read again.
            self.read_to = None;
        }
        (self.epoch, self.progress, self.began) = (epoch, progress, None);
        self.elsewhere = None;
        self.assigned = true;
        self.fenced = false;
        self.held = false;
        self.received = self.progress.as_ref().map(Progress::next);
        self.attempts = attempts
            .into_iter()
            .map(|attempts| (attempts.offset, attempts))
            .collect();
    }

    /// Another topic has the name now: nothing of it is done.
    pub(super) fn restart(&mut self) {
        self.progress = None;
        self.elsewhere = None;
        self.began = None;
        self.received = None;
        self.attempts.clear();
        self.read_to = None;
    }

    pub(super) fn arrive(&mut self, offset: i64) -> Arrival {
        if !self.assigned || self.received.is_some_and(|end| offset < end) {
            return Arrival::Stale;
        }
        let start = self.received.unwrap_or(offset);
        let span = Span { start, end: offset + 1 };
        self.received = Some(span.end);
        let progress = self.progress.get_or_insert_with(|| {
            self.began = Some(offset);
            Progress::starting_at(offset)
        });
        if progress.contains(offset) {
            progress.complete(span);
            return Arrival::Known;
        }
        self.in_flight += 1;
        Arrival::New(span)
    }

    /// The next offset according to the store; `None` before the first commit.
    pub(super) fn committed(&self) -> Option<i64> {
        let next = self.progress.as_ref()?.next();
        (self.began != Some(next)).then_some(next)
    }

    /// Whether everything that was received is committed.
    fn is_settled(&self) -> bool {
        self.received == self.progress.as_ref().map(Progress::next)
    }

    /// Records the read position of the partition: every record before it was received.
    pub(super) fn read_up_to(&mut self, position: i64) {
        if self.assigned && self.received.is_none_or(|received| received <= position) {
            self.read_to = Some(position.max(self.read_to.unwrap_or(position)));
        }
    }

    /// The offset to commit to the group: [`Partition::committed`], moved past offsets without a record. `None` for a
    /// partition in which nothing was ever done, because otherwise the group would seem to know more than the store.
    pub(super) fn told(&self) -> Option<i64> {
        let committed = self.committed()?;
        let read_to = self.read_to.filter(|_| self.is_settled());
        Some(committed.max(read_to.unwrap_or(committed)))
    }

    /// How many records of those on the brokers the handler still has to handle: exact up to the read position; beyond
    /// it every offset counts, because it is not known yet which of them have records.
    pub(super) fn waiting(&self, extent: Extent) -> u64 {
        let mut unread = extent.first;
        if self.assigned {
            unread = unread.max(self.received.unwrap_or(unread));
        }
        if self.assigned || self.is_settled() {
            unread = unread.max(self.read_to.unwrap_or(unread));
        }
        let in_memory = if self.assigned { self.in_flight as u64 } else { 0 };
        let nothing = Progress::starting_at(extent.first);
        let progress = self.elsewhere.as_ref().or(self.progress.as_ref());
        in_memory + progress.unwrap_or(&nothing).left(unread, extent.end)
    }
}

/// All partitions that this process has seen.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    list: Vec<Partition>,
    index: HashMap<(HandlerIx, TopicPartition), PartitionIx, RandomState>,
}

impl Partitions {
    /// The partition's index; an unknown one is added with the data of the store.
    pub(super) fn enter(
        &mut self,
        handler: HandlerIx,
        name: &TopicPartition,
        progress: Option<Progress>,
    ) -> PartitionIx {
        if let Some(ix) = self.find(handler, name) {
            return ix;
        }
        let ix = PartitionIx::try_from(self.list.len()).unwrap_or(PartitionIx::MAX);
        self.list.push(Partition {
            handler,
            name: name.clone(),
            epoch: Epoch::default(),
            assigned: false,
            fenced: false,
            progress,
            elsewhere: None,
            began: None,
            received: None,
            attempts: HashMap::new(),
            in_flight: 0,
            noting: 0,
            held: false,
            read_to: None,
        });
        self.index.insert((handler, name.clone()), ix);
        ix
    }

    pub(super) fn find(&self, handler: HandlerIx, name: &TopicPartition) -> Option<PartitionIx> {
        self.index.get(&(handler, name.clone())).copied()
    }

    pub(super) fn get(&self, ix: PartitionIx) -> Option<&Partition> {
        self.list.get(usize::try_from(ix).ok()?)
    }

    pub(super) fn get_mut(&mut self, ix: PartitionIx) -> Option<&mut Partition> {
        self.list.get_mut(usize::try_from(ix).ok()?)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (PartitionIx, &mut Partition)> {
        (0..).zip(&mut self.list)
    }

    pub(super) fn of(&self, handler: HandlerIx) -> impl Iterator<Item = (PartitionIx, &Partition)> {
        (0..)
            .zip(&self.list)
            .filter(move |(_, partition)| partition.handler == handler)
    }

    /// The partitions of several handlers, which are in order.
    pub(super) fn of_all(&self, handlers: &[HandlerIx]) -> impl Iterator<Item = &Partition> {
        let is_one = |handler: HandlerIx| handlers.binary_search(&handler).is_ok();
        self.list.iter().filter(move |partition| is_one(partition.handler))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(first: i64, end: i64) -> Extent {
        Extent { first, end }
    }

    fn again(partition: &mut Partition) {
        let progress = partition.progress.clone();
        partition.assign(Assigned {
            progress,
            ..Assigned::default()
        });
    }

    /// A partition of which the store knows this, assigned.
    fn assigned(progress: Option<i64>) -> Partition {
        let mut partitions = Partitions::default();
        let name = TopicPartition {
            topic: "t".into(),
            partition: 0,
        };
        partitions.enter(0, &name, progress.map(Progress::starting_at));
        let mut partition = partitions.list.remove(0);
        again(&mut partition);
        partition
    }

    fn handle(partition: &mut Partition, offset: i64) {
        let Arrival::New(span) = partition.arrive(offset) else {
            panic!("not new")
        };
        partition.progress.as_mut().unwrap().complete(span);
        partition.in_flight -= 1;
    }

    #[test]
    fn every_offset_counts_until_it_was_read_and_then_what_holds_a_record() {
        let mut partition = assigned(None);
        assert_eq!(partition.waiting(extent(3, 10)), 7);
        partition.read_up_to(6);
        assert_eq!(partition.waiting(extent(3, 10)), 4, "nothing but what was taken back");
        assert_eq!(partition.told(), None, "nothing is done");
        assert!(matches!(partition.arrive(6), Arrival::New(_)));
        assert_eq!(partition.waiting(extent(3, 10)), 4, "one in memory, three unread");
        partition.read_up_to(9);
        assert_eq!(partition.waiting(extent(3, 10)), 2);
        assert_eq!(
            partition.waiting(extent(8, 10)),
            2,
            "retention takes nothing from memory"
        );
        partition.progress.as_mut().unwrap().complete(Span { start: 6, end: 7 });
        partition.in_flight = 0;
        assert_eq!((partition.waiting(extent(3, 9)), partition.told()), (0, Some(9)));
        partition.read_up_to(4);
        assert_eq!(partition.told(), Some(9), "an old position");
    }

    #[test]
    fn a_partition_that_was_taken_away_counts_what_was_not_done() {
        let mut partition = assigned(Some(5));
        handle(&mut partition, 5);
        partition.read_up_to(8);
        partition.assigned = false;
        assert_eq!(partition.waiting(extent(0, 8)), 0, "control records, as was seen");
        assert_eq!(partition.waiting(extent(0, 9)), 1);
        again(&mut partition);
        assert_eq!(partition.waiting(extent(0, 8)), 0);
        assert!(matches!(partition.arrive(8), Arrival::New(_)));
        handle(&mut partition, 9);
        partition.read_up_to(12);
        assert_eq!(partition.told(), Some(6), "one is not done");
        partition.assigned = false;
        partition.in_flight = 0;
        assert_eq!(
            partition.waiting(extent(0, 12)),
            5,
            "6 to 12, but for the one that is done"
        );
        again(&mut partition);
        assert_eq!(partition.waiting(extent(0, 12)), 5);
    }

    #[test]
    fn a_partition_that_comes_back_starts_where_it_was_committed_and_skips_what_was_done_early() {
        let mut partitions = Partitions::default();
        let name = TopicPartition {
            topic: "t".into(),
            partition: 0,
        };
        let ix = partitions.enter(0, &name, None);
        let partition = partitions.get_mut(ix).unwrap();
        assert_eq!(partition.arrive(5), Arrival::Stale, "not assigned");
        again(partition);
        let Arrival::New(first) = partition.arrive(5) else {
            panic!("new")
        };
        let Arrival::New(second) = partition.arrive(8) else {
            panic!("new")
        };
        assert_eq!((first.start, first.end, second.start, second.end), (5, 6, 6, 9));
        assert_eq!(partition.arrive(8), Arrival::Stale, "received before");
        assert_eq!(partition.committed(), None, "nothing is");
        partition.progress.as_mut().unwrap().complete(second);
        again(partition);
        assert!(matches!(partition.arrive(5), Arrival::New(_)));
        assert_eq!(partition.arrive(8), Arrival::Known);
        assert!(matches!(partition.arrive(9), Arrival::New(Span { start: 9, end: 10 })));
        partition.progress.as_mut().unwrap().complete(first);
        assert_eq!(partition.committed(), Some(9));
    }

    #[test]
    fn what_another_host_has_done_since_is_not_left() {
        let mut partition = assigned(Some(10));
        let extent = Extent { first: 0, end: 50 };
        assert_eq!(partition.waiting(extent), 40);
        partition.assigned = false;
        partition.elsewhere = Some(Progress::starting_at(45));
        assert_eq!(partition.waiting(extent), 5);
        partition.assign(Assigned {
            epoch: Epoch(2),
            progress: Some(Progress::starting_at(47)),
            attempts: Vec::new(),
        });
        assert_eq!(partition.waiting(extent), 3);
    }
}
