//! Many units to one commit: the last state of each key, all records in order, progress per partition.
//!
//! Pure, so that it can be checked without a store.

use std::collections::HashMap;

use crate::lanes::{LaneKey, Lanes, PartitionIx, Work};
use crate::outcome::StateChange;
use crate::progress::Progress;
use crate::registry::Registry;
use crate::store::{AttemptWrite, Commit, ProgressWrite, StateWrite};
use crate::unit::{Finish, Unit};

use super::partitions::Partitions;

/// A commit, and what it is in the pipeline's own terms, in the same order.
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

/// Folds units, in the order in which they were produced. Units of different keys may stand in any order.
pub(super) fn fold<W: Work>(units: Vec<Unit>, lanes: &Lanes<W>, partitions: &Partitions, registry: &Registry) -> Batch {
    let mut batch = Batch {
        units,
        ..Batch::default()
    };
    let mut documents: HashMap<LaneKey, usize> = HashMap::new();
    let mut progress: HashMap<PartitionIx, Progress> = HashMap::new();
    let commit = &mut batch.commit;
    for unit in &mut batch.units {
        batch.counts.push(unit.records.len());
        commit.outbox.append(&mut unit.records);
        for (lane, change) in &unit.changes {
            let document = match change {
                StateChange::Keep => continue,
                StateChange::Put(document) => Some(document.clone()),
                StateChange::Delete => None,
            };
            if let Some(write) = documents.get(lane).and_then(|at| commit.states.get_mut(*at)) {
                write.document = document;
                continue;
            }
            let Some(handler) = registry.get(lane.handler) else {
                continue;
            };
            documents.insert(lane.clone(), commit.states.len());
            batch.states.push(lane.clone());
            commit.states.push(StateWrite {
                handler: handler.name.clone(),
                key: lane.key.clone(),
                base: lanes.base(lane),
                document,
            });
        }
        let (ix, offset, attempts) = match &unit.finish {
            Finish::Done {
                partition,
                span,
                failed,
                ..
            } => {
                let known = partitions
                    .get(*partition)
                    .and_then(|partition| partition.progress.as_ref());
                let progress = progress
                    .entry(*partition)
                    .or_insert_with(|| known.cloned().unwrap_or_default());
                progress.complete(*span);
                if *failed == 0 {
                    continue;
                }
                (*partition, span.end - 1, None)
            }
            Finish::Attempt { partition, attempts } => (*partition, attempts.offset, Some(attempts.clone())),
        };
        let Some(partition) = partitions.get(ix) else { continue };
        let Some(handler) = registry.get(partition.handler) else {
            continue;
        };
        commit.attempts.push(AttemptWrite {
            handler: handler.name.clone(),
            partition: partition.name.clone(),
            offset,
            attempts,
        });
    }
    for (ix, progress) in progress {
        let Some(partition) = partitions.get(ix) else { continue };
        let Some(handler) = registry.get(partition.handler) else {
            continue;
        };
        commit.progress.push(ProgressWrite {
            handler: handler.name.clone(),
            partition: partition.name.clone(),
            progress,
            epoch: partition.epoch,
        });
    }
    batch
}
