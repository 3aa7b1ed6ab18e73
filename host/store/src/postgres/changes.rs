//! The statements of one commit, in the same order for all commits, to avoid deadlocks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::fault::{PgFault, from_sql, to_sql};
use super::places::{self, RowPlaces, change};
use super::plan::{CommitPlan, ShardBatch, StatePlace, key_of};
use super::session::Session;
use super::{files, letters, recordings, schema};
use sandman_core::event::TopicPartition;
use sandman_core::store::{
    ANSWER_MILLIS, AnswerWrite, Commit, CommitConflict, Committed, CommittedBatch, RECENT_MILLIS, Revision,
    ShardPublished,
};

/// The changes of one commit, inside its transaction.
pub(super) struct CommitChanges<'a> {
    pub(super) session: &'a mut Session,
    /// The conflicts with faster hosts; if there are any, the transaction must not be committed.
    pub(super) conflict: CommitConflict,
    /// Milliseconds since 1970.
    pub(super) now: i64,
    pub(super) lock_class: i32,
    pub(super) shards: u16,
    pub(super) places: &'a Mutex<RowPlaces>,
}

impl CommitChanges<'_> {
    /// Writes all changes.
    pub(super) fn write(&mut self, commit: &Commit, plan: &CommitPlan) -> Result<Committed, PgFault> {
        let mut revisions = vec![None; commit.states.len()];
        let written = self.compare_written(commit, plan)?;
        self.compare_reads(plan, schema::LOCK_READ)?;
        self.compare_absent(plan)?;
        self.progress(plan)?;
        // By now all conflicts are known, except for rows that two hosts add at once.
        if self.conflict.is_empty() {
            self.update(plan, &written, &mut revisions)?;
            self.insert(commit, plan, &mut revisions)?;
            self.answers(&commit.answers)?;
        }
        if !self.conflict.is_empty() {
            return Err(PgFault::Overtaken(std::mem::take(&mut self.conflict)));
        }
        self.attempts(plan)?;
        let batches = self.batches(plan)?;
        let letters_gone = letters::write(self.session, commit, &batches, (&plan.handlers, self.shards), self.now)?;
        let recordings = recordings::write(self.session, commit, &plan.handlers, self.now)?;
        files::write(self.session, commit, &plan.handlers, (self.lock_class, self.now))?;
        self.published(&commit.published)?;
        Ok(Committed {
            revisions,
            batches,
            letters_gone,
            recordings,
        })
    }

    /// Locks the states that are written, and compares their revisions. Returns the places of their rows.
    fn compare_written(&mut self, commit: &Commit, plan: &CommitPlan) -> Result<Vec<String>, PgFault> {
        let updates = &plan.updates;
        if updates.ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.session.query(schema::LOCK_WRITTEN, &[&updates.ids])?;
        let mut places = Vec::new();
        let mut found: HashMap<i64, i64> = HashMap::new();
        for row in &rows {
            found.insert(row.try_get(0)?, row.try_get(1)?);
            // In the order of the ids, which is that of the plan.
            places.push(row.try_get(2)?);
        }
        for ((id, revision), at) in updates.ids.iter().zip(&updates.revisions).zip(&updates.at) {
            if found.get(id) != Some(revision) {
                self.conflict.states.extend(commit.states.get(*at).map(key_of));
            }
        }
        Ok(places)
    }

    pub(super) fn compare_reads(&mut self, plan: &CommitPlan, sql: &'static str) -> Result<(), PgFault> {
        let reads = &plan.reads;
        if reads.ids.is_empty() {
            return Ok(());
        }
        let found = revisions(self.session, sql, &reads.ids)?;
        for ((id, revision), state) in reads.ids.iter().zip(&reads.revisions).zip(&reads.states) {
            if found.get(id) != Some(revision) {
                self.conflict.states.push(state.clone());
            }
        }
        Ok(())
    }

    pub(super) fn compare_absent(&mut self, plan: &CommitPlan) -> Result<(), PgFault> {
        let absent = &plan.absent;
        if absent.keys.is_empty() {
            return Ok(());
        }
        let found = self.session.query(schema::FOUND, &[&absent.handlers, &absent.keys])?;
        let found = names(&found)?;
        for ((handler, key), state) in absent.handlers.iter().zip(&absent.keys).zip(&absent.states) {
            if found.contains_key(&(*handler, key.clone())) {
                self.conflict.states.push(state.clone());
            }
        }
        Ok(())
    }

    /// Compares the epochs of the partitions, and writes what is done in them.
    fn progress(&mut self, plan: &CommitPlan) -> Result<(), PgFault> {
        let rows: Vec<_> = plan.partitions.iter().collect();
        let written = change(&mut self.places.lock().progress, &rows, |by_place, rows| {
            let (handlers, topics, partitions) = split(rows.iter().map(|(place, ..)| *place));
            let epochs: Vec<i64> = rows.iter().map(|(_, (epoch, _), _)| *epoch).collect();
            let done: Vec<Option<&[u8]>> = rows.iter().map(|(_, (_, done), _)| done.as_deref()).collect();
            let sql = if by_place {
                schema::SET_PROGRESS_AT
            } else {
                schema::SET_PROGRESS
            };
            let at = places::places(rows);
            let rows = self
                .session
                .query(sql, &[&at, &handlers, &topics, &partitions, &epochs, &done])?;
            let one = |row: &::postgres::Row| {
                let place: StatePlace = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
                Ok((place, row.try_get(0)?, ()))
            };
            rows.iter().map(one).collect()
        })?;
        for place in plan.partitions.keys().filter(|place| !written.contains_key(*place)) {
            let name = plan.handlers.iter().find(|(_, id)| **id == place.0);
            self.conflict.partitions.extend(name.map(|(name, _)| {
                let partition = TopicPartition {
                    topic: place.1.as_str().into(),
                    partition: place.2,
                };
                (Arc::clone(name), partition)
            }));
        }
        Ok(())
    }

    /// Changes existing states, whose rows are locked at these places.
    fn update(
        &mut self,
        plan: &CommitPlan,
        places: &Vec<String>,
        revisions: &mut [Option<Revision>],
    ) -> Result<(), PgFault> {
        let updates = &plan.updates;
        if updates.ids.is_empty() {
            return Ok(());
        }
        let (whats, remember) = (&updates.whats, &updates.remember);
        let changed = self.session.execute(
            schema::SET_STATES,
            &[
                &updates.ids,
                whats,
                &updates.documents,
                remember,
                &updates.recent,
                &self.now,
                &updates.since,
                places,
            ],
        )?;
        if changed != updates.ids.len() as u64 {
            let detail = format!("{changed} of {} locked states were there", updates.ids.len());
            return Err(PgFault::Damaged(detail));
        }
        let emptied = updates.ids.iter().zip(whats).zip(&updates.held);
        let emptied = emptied.filter(|((_, what), held)| **what != 1 && !**held);
        let emptied: Vec<i64> = emptied.map(|((id, _), _)| *id).collect();
        let mut dropped = HashSet::new();
        if !emptied.is_empty() {
            for row in self.session.query(schema::DROP_EMPTY, &[&emptied])? {
                dropped.insert(row.try_get::<_, i64>(0)?);
            }
            self.drop_bare()?;
        }
        for ((id, revision), at) in updates.ids.iter().zip(&updates.revisions).zip(&updates.at) {
            if let Some(slot) = revisions.get_mut(*at) {
                let new = Revision::new(from_sql(*id), from_sql(*revision) + 1);
                *slot = (!dropped.contains(id)).then_some(new);
            }
        }
        Ok(())
    }

    /// Deletes expired recent events without a state.
    fn drop_bare(&mut self) -> Result<(), PgFault> {
        self.session
            .execute(schema::DROP_BARE, &[&(self.now - RECENT_MILLIS)])?;
        Ok(())
    }

    fn insert(
        &mut self,
        commit: &Commit,
        plan: &CommitPlan,
        revisions: &mut [Option<Revision>],
    ) -> Result<(), PgFault> {
        let inserts = &plan.inserts;
        if inserts.at.is_empty() {
            return Ok(());
        }
        if inserts.documents.iter().any(Option::is_none) {
            self.drop_bare()?;
        }
        let rows = self.session.query(
            schema::ADD_STATES,
            &[
                &inserts.handlers,
                &inserts.keys,
                &inserts.documents,
                &inserts.recent,
                &self.now,
                &inserts.since,
            ],
        )?;
        let mut added: HashMap<(i32, Vec<u8>), i64> = HashMap::new();
        for row in rows {
            added.insert((row.try_get(1)?, row.try_get(2)?), row.try_get(0)?);
        }
        for ((handler, key), at) in inserts.handlers.iter().zip(&inserts.keys).zip(&inserts.at) {
            match (added.get(&(*handler, key.clone())), revisions.get_mut(*at)) {
                (Some(id), Some(slot)) => *slot = Some(Revision::new(from_sql(*id), 1)),
                _ => self.conflict.states.extend(commit.states.get(*at).map(key_of)),
            }
        }
        Ok(())
    }

    /// Adds answers, and deletes expired ones.
    fn answers(&mut self, writes: &[AnswerWrite]) -> Result<(), PgFault> {
        if writes.is_empty() {
            return Ok(());
        }
        self.session
            .execute(schema::DROP_ANSWERS, &[&(self.now - ANSWER_MILLIS)])?;
        let mut sorted: Vec<&AnswerWrite> = writes.iter().collect();
        sorted.sort_by_key(|write| (&write.key, &write.idempotency_key));
        let keys: Vec<&[u8]> = sorted.iter().map(|write| write.key.as_bytes()).collect();
        let names: Vec<&[u8]> = sorted.iter().map(|write| write.idempotency_key.as_bytes()).collect();
        let digests: Vec<&str> = sorted.iter().map(|write| &*write.answered.digest).collect();
        let statuses: Vec<i32> = sorted.iter().map(|write| i32::from(write.answered.status)).collect();
        let bodies: Vec<Option<&str>> = sorted.iter().map(|write| write.answered.body.as_deref()).collect();
        let rows = self.session.query(
            schema::ADD_ANSWERS,
            &[&keys, &names, &digests, &statuses, &bodies, &self.now],
        )?;
        let mut added: HashSet<(Vec<u8>, Vec<u8>)> = HashSet::new();
        for row in rows {
            added.insert((row.try_get(0)?, row.try_get(1)?));
        }
        let refused = sorted.iter().filter(|write| {
            let name = (write.key.as_bytes().to_vec(), write.idempotency_key.as_bytes().to_vec());
            !added.contains(&name)
        });
        let refused = refused.map(|write| (write.key.clone(), write.idempotency_key.clone()));
        self.conflict.answers.extend(refused);
        Ok(())
    }

    fn attempts(&mut self, plan: &CommitPlan) -> Result<(), PgFault> {
        let failed = plan
            .attempts
            .iter()
            .filter_map(|((place, offset), attempts)| Some((place, offset, (*attempts)?)));
        let failed: Vec<(&StatePlace, &i64, (i32, i64))> = failed.collect();
        if !failed.is_empty() {
            let (handlers, topics, partitions) = split(failed.iter().map(|(place, ..)| *place));
            let offsets: Vec<i64> = failed.iter().map(|(_, offset, _)| **offset).collect();
            let counts: Vec<i32> = failed.iter().map(|(.., (count, _))| *count).collect();
            let due: Vec<i64> = failed.iter().map(|(.., (_, due))| *due).collect();
            self.session.execute(
                schema::SET_ATTEMPTS,
                &[&handlers, &topics, &partitions, &offsets, &counts, &due],
            )?;
        }
        let over = plan.attempts.iter().filter(|(_, attempts)| attempts.is_none());
        let over: Vec<(&StatePlace, i64)> = over.map(|((place, offset), _)| (place, *offset)).collect();
        if !over.is_empty() {
            let (handlers, topics, partitions) = split(over.iter().map(|(place, _)| *place));
            let offsets: Vec<i64> = over.iter().map(|(_, offset)| *offset).collect();
            self.session
                .execute(schema::DROP_ATTEMPTS, &[&handlers, &topics, &partitions, &offsets])?;
        }
        Ok(())
    }

    /// Numbers are allocated under the locks of their shards, which are held until the commit: the order of the numbers
    /// is the order of the commits.
    fn batches(&mut self, plan: &CommitPlan) -> Result<Vec<CommittedBatch>, PgFault> {
        if plan.batches.is_empty() {
            return Ok(Vec::new());
        }
        let batches = plan.batches.iter().map(|batch| (i32::from(batch.shard.0), batch));
        let batches: Vec<(i32, &ShardBatch)> = batches.collect();
        let shards: Vec<i32> = batches.iter().map(|(shard, _)| *shard).collect();
        self.session.query(schema::LOCK_SHARDS, &[&self.lock_class, &shards])?;
        let rows: Vec<(&i32, &&ShardBatch)> = batches.iter().map(|(shard, batch)| (shard, batch)).collect();
        let drawn = change(&mut self.places.lock().shards, &rows, |by_place, rows| {
            let shards: Vec<i32> = rows.iter().map(|(shard, ..)| **shard).collect();
            let bytes: Vec<&[u8]> = rows.iter().map(|(_, batch, _)| &*batch.bytes).collect();
            let sql = if by_place {
                schema::ADD_BATCHES_AT
            } else {
                schema::ADD_BATCHES
            };
            let at = places::places(rows);
            let rows = self.session.query(sql, &[&at, &shards, &bytes, &self.now])?;
            let one = |row: &::postgres::Row| Ok((row.try_get(1)?, row.try_get(0)?, row.try_get(2)?));
            rows.iter().map(one).collect()
        })?;
        let made = batches.iter().map(|(shard, batch)| {
            let missing = || PgFault::Damaged(format!("shard {shard} has no row"));
            Ok(CommittedBatch {
                shard: batch.shard,
                number: from_sql(drawn.get(shard).copied().ok_or_else(missing)?),
                bytes: batch.bytes.len() as u64,
            })
        });
        made.collect()
    }

    /// Only the holder of a shard's lease may report published batches.
    fn published(&mut self, news: &[ShardPublished]) -> Result<(), PgFault> {
        let news: BTreeMap<i32, &ShardPublished> = news.iter().map(|news| (i32::from(news.shard.0), news)).collect();
        let rows: Vec<_> = news.iter().collect();
        change(&mut self.places.lock().relays, &rows, |by_place, rows| {
            let shards: Vec<i32> = rows.iter().map(|(shard, ..)| **shard).collect();
            let batches: Vec<i64> = rows.iter().map(|(_, news, _)| to_sql(news.batch)).collect();
            let epochs: Vec<i64> = rows.iter().map(|(_, news, _)| to_sql(news.epoch.0)).collect();
            let sql = if by_place {
                schema::SET_PUBLISHED_AT
            } else {
                schema::SET_PUBLISHED
            };
            let at = places::places(rows);
            let rows = self.session.query(sql, &[&at, &shards, &batches, &epochs])?;
            let one = |row: &::postgres::Row| Ok((row.try_get(1)?, row.try_get(0)?, ()));
            rows.iter().map(one).collect()
        })?;
        Ok(())
    }
}

/// The revision of each existing row.
fn revisions(session: &mut Session, sql: &'static str, ids: &[i64]) -> Result<HashMap<i64, i64>, PgFault> {
    let rows = session.query(sql, &[&ids])?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Handlers' ids and keys.
fn names(rows: &[::postgres::Row]) -> Result<HashMap<(i32, Vec<u8>), ()>, PgFault> {
    let one = |row: &::postgres::Row| Ok(((row.try_get(0)?, row.try_get(1)?), ()));
    rows.iter().map(one).collect()
}

fn split<'a>(places: impl Iterator<Item = &'a StatePlace>) -> (Vec<i32>, Vec<&'a str>, Vec<i32>) {
    let (mut handlers, mut topics, mut partitions) = (Vec::new(), Vec::new(), Vec::new());
    for (handler, topic, partition) in places {
        handlers.push(*handler);
        topics.push(topic.as_str());
        partitions.push(*partition);
    }
    (handlers, topics, partitions)
}
