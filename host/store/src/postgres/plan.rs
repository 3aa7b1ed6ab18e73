//! A commit as the arrays of its statements' parameters.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::fault::{PgFault, to_sql};
use super::{PostgresStore, letters};
use crate::batch;
use sandman_core::event::OutRecord;
use sandman_core::outcome::StateChange;
use sandman_core::recent::RecentEvents;
use sandman_core::store::{Commit, Shard, StateKey, StateWrite, StoreError};

/// Changes of existing rows, in the order of their ids.
#[derive(Debug, Default)]
pub(super) struct Updates {
    /// The index of each in [`Commit::states`].
    pub(super) at: Vec<usize>,
    pub(super) ids: Vec<i64>,
    pub(super) revisions: Vec<i64>,
    pub(super) whats: Vec<i32>,
    pub(super) documents: Vec<Option<String>>,
    pub(super) remember: Vec<bool>,
    pub(super) recent: Vec<Option<Vec<u8>>>,
    pub(super) since: Vec<i64>,
    /// Whether the held letters of the key change.
    pub(super) held: Vec<bool>,
}

/// New rows, in the order of their handlers and keys.
#[derive(Debug, Default)]
pub(super) struct Inserts {
    pub(super) at: Vec<usize>,
    pub(super) handlers: Vec<i32>,
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) documents: Vec<Option<String>>,
    pub(super) recent: Vec<Option<Vec<u8>>>,
    pub(super) since: Vec<i64>,
}

/// States that must be unchanged since they were read.
#[derive(Debug, Default)]
pub(super) struct Reads {
    pub(super) ids: Vec<i64>,
    pub(super) revisions: Vec<i64>,
    pub(super) states: Vec<StateKey>,
}

/// Keys for which nothing may be stored.
#[derive(Debug, Default)]
pub(super) struct Absent {
    pub(super) handlers: Vec<i32>,
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) states: Vec<StateKey>,
}

/// A batch for a shard's outbox.
#[derive(Debug)]
pub(super) struct ShardBatch {
    pub(super) shard: Shard,
    pub(super) bytes: Vec<u8>,
}

/// A partition whose epoch is compared: the handler's id, the topic and the partition.
pub(super) type StatePlace = (i32, String, i32);

/// A commit that is ready to be sent, several times if necessary.
#[derive(Debug, Default)]
pub(super) struct CommitPlan {
    pub(super) updates: Updates,
    pub(super) inserts: Inserts,
    pub(super) reads: Reads,
    pub(super) absent: Absent,
    /// The epoch of each partition, and what is done in it, if that changes.
    pub(super) partitions: BTreeMap<StatePlace, (i64, Option<Vec<u8>>)>,
    /// Failed attempts and due times by partition and offset; `None` forgets them.
    pub(super) attempts: BTreeMap<(StatePlace, i64), Option<(i32, i64)>>,
    pub(super) batches: Vec<ShardBatch>,
    /// The ids of the handlers in the commit.
    pub(super) handlers: HashMap<Arc<str>, i32>,
}

impl CommitPlan {
    /// The plan of a commit.
    pub(super) fn of(commit: &Commit, store: &PostgresStore) -> Result<Self, StoreError> {
        let mut plan = Self::default();
        let mut order: Vec<(usize, &StateWrite)> = commit.states.iter().enumerate().collect();
        order.sort_by(|(_, one), (_, other)| place(one).cmp(&place(other)));
        let held: HashSet<&StateKey> = commit.held.iter().collect();
        for (at, write) in order {
            let handler = plan.handler(store, &write.handler)?;
            let since = commit.since.iter().find(|(name, _)| *name == write.handler);
            let since = since.map_or(0, |(_, since)| *since);
            let held = !held.is_empty() && held.contains(&key_of(write));
            plan.state(handler, (write, since, held), at);
        }
        for read in &commit.reads {
            let state = StateKey {
                handler: read.handler.clone(),
                key: read.key.clone(),
            };
            match read.base {
                Some(base) => {
                    let (id, revision) = base.parts();
                    plan.reads.ids.push(to_sql(id));
                    plan.reads.revisions.push(to_sql(revision));
                    plan.reads.states.push(state);
                }
                None => {
                    let handler = plan.handler(store, &read.handler)?;
                    plan.absent(handler, state);
                }
            }
        }
        plan.partitions(commit, store)?;
        for name in letters::handlers(commit) {
            plan.handler(store, name)?;
        }
        for write in &commit.recordings {
            plan.handler(store, &write.handler)?;
        }
        for write in &commit.files {
            plan.handler(store, &write.handler)?;
        }
        plan.batches = batches(&commit.outbox, store.shards).map_err(|fault| fault.named(&store.target.name))?;
        Ok(plan)
    }

    fn handler(&mut self, store: &PostgresStore, name: &Arc<str>) -> Result<i32, StoreError> {
        if let Some(id) = self.handlers.get(name) {
            return Ok(*id);
        }
        let id = store.handler(name)?;
        self.handlers.insert(Arc::clone(name), id);
        Ok(id)
    }

    fn state(&mut self, handler: i32, (write, since, held): (&StateWrite, i64, bool), at: usize) {
        let (what, document) = match &write.change {
            StateChange::Keep => (0, None),
            StateChange::Put(document) => (1, Some(document.to_string())),
            StateChange::Delete => (2, None),
        };
        let recent = write.recent.as_ref().filter(|recent| !recent.is_empty());
        let recent = recent.map(|recent| RecentEvents::as_bytes(recent).to_vec());
        if let Some(base) = write.base {
            let (id, revision) = base.parts();
            let updates = &mut self.updates;
            updates.at.push(at);
            updates.ids.push(to_sql(id));
            updates.revisions.push(to_sql(revision));
            updates.whats.push(what);
            updates.documents.push(document);
            updates.remember.push(write.recent.is_some());
            updates.recent.push(recent);
            updates.since.push(since);
            updates.held.push(held);
        } else if document.is_some() || recent.is_some() || held {
            let inserts = &mut self.inserts;
            inserts.at.push(at);
            inserts.handlers.push(handler);
            inserts.keys.push(write.key.as_bytes().to_vec());
            inserts.documents.push(document);
            inserts.recent.push(recent);
            inserts.since.push(since);
        } else {
            self.absent(handler, key_of(write));
        }
    }

    fn absent(&mut self, handler: i32, state: StateKey) {
        self.absent.handlers.push(handler);
        self.absent.keys.push(state.key.as_bytes().to_vec());
        self.absent.states.push(state);
    }

    fn partitions(&mut self, commit: &Commit, store: &PostgresStore) -> Result<(), StoreError> {
        let damaged = |detail: String| StoreError::Failed(format!("progress cannot be written: {detail}"));
        for write in &commit.progress {
            let partition = &write.partition;
            let place = (
                self.handler(store, &write.handler)?,
                partition.topic.to_string(),
                partition.partition,
            );
            let done = batch::encode_progress(&write.progress).map_err(damaged)?;
            self.partitions.insert(place, (to_sql(write.epoch.0), Some(done)));
        }
        for write in &commit.attempts {
            let partition = &write.partition;
            let place = (
                self.handler(store, &write.handler)?,
                partition.topic.to_string(),
                partition.partition,
            );
            self.partitions
                .entry(place.clone())
                .or_insert((to_sql(write.epoch.0), None));
            let attempts = write.attempts.as_ref();
            let attempts =
                attempts.map(|attempts| (i32::try_from(attempts.failed).unwrap_or(i32::MAX), attempts.due_millis));
            // The last entry of a record counts.
            self.attempts.insert((place, write.offset), attempts);
        }
        Ok(())
    }

    /// Whether nothing is written, so that only the states that were read have to be compared.
    pub(super) fn only_reads(&self, commit: &Commit) -> bool {
        self.updates.ids.is_empty()
            && self.inserts.at.is_empty()
            && self.partitions.is_empty()
            && self.batches.is_empty()
            && commit.answers.is_empty()
            && commit.published.is_empty()
            && commit.letters.is_empty()
            && commit.recordings.is_empty()
            && commit.files.is_empty()
    }
}

/// Existing rows come in the order of their ids, others in that of their names.
fn place(write: &StateWrite) -> (Option<u64>, &str, &str) {
    let id = write.base.map(|base| base.parts().0);
    (id, &write.handler, &write.key)
}

pub(super) fn key_of(write: &StateWrite) -> StateKey {
    StateKey {
        handler: write.handler.clone(),
        key: write.key.clone(),
    }
}

/// The records of each shard, in their order.
fn batches(records: &[OutRecord], shards: u16) -> Result<Vec<ShardBatch>, PgFault> {
    let mut by_shard: BTreeMap<Shard, Vec<OutRecord>> = BTreeMap::new();
    for record in records {
        let shard = Shard::of(record.key.as_deref(), shards);
        by_shard.entry(shard).or_default().push(record.clone());
    }
    let encoded = by_shard.into_iter().map(|(shard, records)| {
        let bytes = batch::encode(&records).map_err(PgFault::Damaged)?;
        Ok(ShardBatch { shard, bytes })
    });
    encoded.collect()
}
