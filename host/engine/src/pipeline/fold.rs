//! Folds many units into one commit: the last state of each key, all records in order, progress per partition.
//!
//! Pure, so that it can be checked without a store.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ahash::RandomState;

use crate::registry::Registry;
use sandman_core::event::put_revision;
use sandman_core::lanes::{HandlerIx, LaneKey, Lanes, PartitionIx, Work};
use sandman_core::outcome::StateChange;
use sandman_core::progress::{Progress, Span};
use sandman_core::recent::RecentEvents;
use sandman_core::store::{
    AttemptWrite, Attempts, Commit, FilesWrite, Hold, LetterWrite, ProgressWrite, Revision, StateKey, StateRead,
    StateWrite,
};
use sandman_core::unit::{Finish, Unit, UnitEmissions};

use super::partitions::Partitions;

/// A commit, with the lanes and units of its parts in the same order.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) commit: Commit,
    /// The lane of each of the commit's states.
    pub(super) states: Vec<LaneKey>,
    /// The units; their records have moved into the commit.
    pub(super) units: Vec<Unit>,
    /// How many of the commit's records came from each unit.
    pub(super) counts: Vec<usize>,
}

impl Batch {
    /// The units as they were before they were folded.
    pub(super) fn into_units(self) -> Vec<Unit> {
        let mut units = self.units;
        let mut records = self.commit.outbox.into_iter();
        for (unit, count) in units.iter_mut().zip(self.counts) {
            unit.records = records.by_ref().take(count).collect();
        }
        units
    }
}

/// The lanes, partitions and handlers to which units refer.
pub(super) struct FoldContext<'a, W> {
    pub(super) lanes: &'a Lanes<W>,
    pub(super) partitions: &'a Partitions,
    pub(super) registry: &'a Registry,
}

/// Folds units in the order in which they were produced. Units of different keys may be in any order. With `reads`, the
/// commit also has the states that were read and not changed.
pub(super) fn fold<W: Work>(units: Vec<Unit>, context: &FoldContext<'_, W>, reads: bool) -> Batch {
    let mut folding = Folding {
        batch: Batch::default(),
        written: HashMap::default(),
        named: HashMap::new(),
        held: HashSet::new(),
        read: reads.then(HashSet::new),
        progress: HashMap::default(),
        lanes: context.lanes,
        partitions: context.partitions,
        registry: context.registry,
    };
    for mut unit in units {
        folding.unit(&mut unit);
        folding.batch.units.push(unit);
    }
    folding.finish()
}

struct Folding<'a, W> {
    batch: Batch,
    /// The index of each lane's write in the commit.
    written: HashMap<LaneKey, usize, RandomState>,
    /// The index of the files of each lane's state in the commit.
    named: HashMap<LaneKey, usize>,
    /// Lanes whose held letters change.
    held: HashSet<LaneKey>,
    /// Lanes whose states were read and not changed, if they are needed.
    read: Option<HashSet<LaneKey>>,
    progress: HashMap<PartitionIx, Progress, RandomState>,
    lanes: &'a Lanes<W>,
    partitions: &'a Partitions,
    registry: &'a Registry,
}

impl<W: Work> Folding<'_, W> {
    fn unit(&mut self, unit: &mut Unit) {
        // Copied, because a unit whose commit fails is committed again; there is rarely one.
        self.batch.commit.letters.extend(unit.letters.iter().cloned());
        let held = self.held_lane(unit);
        for (lane, change) in &unit.changes {
            self.state(lane, (change, held == Some(lane)), unit.recent.as_ref());
        }
        for (lane, names) in &unit.files {
            self.files(lane, names);
        }
        self.revise(unit);
        self.batch.counts.push(unit.records.len());
        self.batch.commit.outbox.append(&mut unit.records);
        self.batch.commit.recordings.extend(unit.recordings.iter().cloned());
        match &unit.finish {
            Finish::Done {
                partition,
                span,
                failed,
                ..
            } => {
                self.done(*partition, *span);
                if *failed > 0 {
                    self.attempts(*partition, span.end - 1, None);
                }
            }
            Finish::Answered { remember, .. } => self.batch.commit.answers.extend(remember.clone()),
            Finish::Attempt { partition, attempts } => {
                let noted = (attempts.failed > 0).then(|| attempts.clone());
                self.attempts(*partition, attempts.offset, noted);
            }
            Finish::Redriven(_) | Finish::Ordered(_) => {}
        }
    }

    /// The lane of the unit if the unit changes the held letters of its key and other hosts must see that.
    fn held_lane<'u>(&self, unit: &'u Unit) -> Option<&'u LaneKey> {
        let changes = |write: &LetterWrite| match write {
            LetterWrite::Add(letter) => letter.hold != Hold::No,
            LetterWrite::Done(_) | LetterWrite::Duplicate(_) | LetterWrite::Failed(..) => true,
            LetterWrite::Release(_) | LetterWrite::DropHead(_) | LetterWrite::Pause(..) => false,
        };
        let (lane, _) = unit.changes.first()?;
        (self.read.is_some() && unit.letters.iter().any(changes)).then_some(lane)
    }

    fn state(&mut self, lane: &LaneKey, (change, held): (&StateChange, bool), recent: Option<&RecentEvents>) {
        if held {
            self.held.insert(lane.clone());
        }
        if *change == StateChange::Keep && recent.is_none() && !held {
            if let Some(read) = &mut self.read {
                read.insert(lane.clone());
            }
            return;
        }
        let states = &mut self.batch.commit.states;
        if let Some(write) = self.written.get(lane).and_then(|at| states.get_mut(*at)) {
            if *change != StateChange::Keep {
                write.change = change.clone();
            }
            if let Some(recent) = recent {
                write.recent = Some(recent.clone());
            }
            return;
        }
        let Some(handler) = self.registry.get(lane.handler) else {
            return;
        };
        self.written.insert(lane.clone(), states.len());
        self.batch.states.push(lane.clone());
        states.push(StateWrite {
            handler: handler.name.clone(),
            key: lane.key.clone(),
            base: self.lanes.base(lane).flatten(),
            change: change.clone(),
            recent: recent.cloned(),
        });
    }

    /// Keeps the last list of files of a state.
    fn files(&mut self, lane: &LaneKey, names: &[Arc<str>]) {
        let files = &mut self.batch.commit.files;
        if let Some(write) = self.named.get(lane).and_then(|at| files.get_mut(*at)) {
            write.names = names.to_vec();
            return;
        }
        let Some(handler) = self.registry.get(lane.handler) else {
            return;
        };
        self.named.insert(lane.clone(), files.len());
        files.push(FilesWrite {
            handler: handler.name.clone(),
            key: lane.key.clone(),
            names: names.to_vec(),
        });
    }

    /// Adds the revision of its lane's state after this commit to each emitted event.
    fn revise(&self, unit: &mut Unit) {
        let UnitEmissions { counts, revised } = &mut unit.emitted;
        let mut records = unit.records.iter_mut();
        for ((lane, _), count) in unit.changes.iter().zip(&*counts) {
            let base = self.lanes.base(lane).flatten().map_or(0, Revision::writes);
            let revision = base + u64::from(self.written.contains_key(lane));
            for record in records.by_ref().take(*count) {
                // It was already added if an earlier commit of the unit failed.
                if *revised {
                    record.headers.pop();
                }
                put_revision(&mut record.headers, revision);
            }
        }
        *revised = true;
    }

    fn done(&mut self, ix: PartitionIx, span: Span) {
        let progress = self.progress.entry(ix).or_insert_with(|| {
            let partition = self.partitions.get(ix);
            partition
                .and_then(|partition| partition.progress.clone())
                .unwrap_or_default()
        });
        progress.complete(span);
    }

    fn attempts(&mut self, ix: PartitionIx, offset: i64, attempts: Option<Attempts>) {
        let Some(partition) = self.partitions.get(ix) else {
            return;
        };
        let Some(handler) = self.registry.get(partition.handler) else {
            return;
        };
        self.batch.commit.attempts.push(AttemptWrite {
            handler: handler.name.clone(),
            partition: partition.name.clone(),
            offset,
            epoch: partition.epoch,
            attempts,
        });
    }

    /// States that are also written are compared there.
    fn reads(&mut self) {
        let read = self.read.take().unwrap_or_default().into_iter();
        let reads = read.filter(|lane| !self.written.contains_key(lane)).filter_map(|lane| {
            let handler = self.registry.get(lane.handler)?;
            Some(StateRead {
                handler: handler.name.clone(),
                // Without a base nothing was read.
                base: self.lanes.base(&lane)?,
                key: lane.key,
            })
        });
        self.batch.commit.reads = reads.collect();
    }

    fn name_held(&mut self) {
        let held = self.held.drain().filter_map(|lane| {
            let handler = self.registry.get(lane.handler)?.name.clone();
            Some(StateKey { handler, key: lane.key })
        });
        self.batch.commit.held = held.collect();
    }

    /// The version that is active now is at least as new as those that ran.
    fn since(&mut self) {
        let mut handlers: Vec<HandlerIx> = self.written.keys().map(|lane| lane.handler).collect();
        handlers.sort_unstable();
        handlers.dedup();
        let since = handlers.into_iter().filter_map(|ix| {
            let handler = self.registry.get(ix)?;
            Some((handler.name.clone(), handler.active().since.get()))
        });
        self.batch.commit.since = since.collect();
    }

    fn finish(mut self) -> Batch {
        if self.read.is_some() {
            self.since();
        }
        self.name_held();
        self.reads();
        for (ix, progress) in self.progress {
            let Some(partition) = self.partitions.get(ix) else {
                continue;
            };
            let Some(handler) = self.registry.get(partition.handler) else {
                continue;
            };
            self.batch.commit.progress.push(ProgressWrite {
                handler: handler.name.clone(),
                partition: partition.name.clone(),
                progress,
                epoch: partition.epoch,
            });
        }
        self.batch
    }
}
