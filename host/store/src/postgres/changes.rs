//! The statements of one commit, in the same order for all commits, to avoid deadlocks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::fault::{PgFault, from_sql, to_sql};
use super::plan::{CommitPlan, StatePlace, key_of};
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
}

impl CommitChanges<'_> {
    /// Writes all changes.
    pub(super) fn write(&mut self, commit: &Commit, plan: &CommitPlan) -> Result<Committed, PgFault> {
        let mut revisions = vec![None; commit.states.len()];
        self.compare_written(commit, plan)?;
        self.compare_reads(plan, schema::LOCK_READ)?;
        self.compare_absent(plan)?;
        self.compare_partitions(plan)?;
        // By now all conflicts are known, except for rows that two hosts add at once.
        if self.conflict.is_empty() {
            self.update(plan, &mut revisions)?;
            self.insert(commit, plan, &mut revisions)?;
            self.answers(&commit.answers)?;
        }
        if !self.conflict.is_empty() {
            return Err(PgFault::Overtaken(std::mem::take(&mut self.conflict)));
        }
        self.progress(plan)?;
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

    fn compare_written(&mut self, commit: &Commit, plan: &CommitPlan) -> Result<(), PgFault> {
        let updates = &plan.updates;
        if updates.ids.is_empty() {
            return Ok(());
        }
        let found = revisions(self.session, schema::LOCK_WRITTEN, &updates.ids)?;
        for ((id, revision), at) in updates.ids.iter().zip(&updates.revisions).zip(&updates.at) {
            if found.get(id) != Some(revision) {
                self.conflict.states.extend(commit.states.get(*at).map(key_of));
            }
        }
        Ok(())
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

    /// Locks the progress of the partitions, and compares their epochs.
    fn compare_partitions(&mut self, plan: &CommitPlan) -> Result<(), PgFault> {
        if plan.partitions.is_empty() {
            return Ok(());
        }
        let (numbers, topics, partitions) = split(plan.partitions.keys());
        let rows = self
            .session
            .query(schema::LOCK_PROGRESS, &[&numbers, &topics, &partitions])?;
        let mut found: BTreeMap<StatePlace, i64> = BTreeMap::new();
        for row in rows {
            found.insert((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?), row.try_get(3)?);
        }
        for (place, (epoch, _)) in &plan.partitions {
            if found.get(place) == Some(epoch) {
                continue;
            }
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

    fn update(&mut self, plan: &CommitPlan, revisions: &mut [Option<Revision>]) -> Result<(), PgFault> {
        let updates = &plan.updates;
        if updates.ids.is_empty() {
            return Ok(());
        }
        let (whats, remember) = (&updates.whats, &updates.remember);
        self.session.execute(
            schema::SET_STATES,
            &[
                &updates.ids,
                whats,
                &updates.documents,
                remember,
                &updates.recent,
                &self.now,
                &updates.since,
            ],
        )?;
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

    fn progress(&mut self, plan: &CommitPlan) -> Result<(), PgFault> {
        let changed = plan
            .partitions
            .iter()
            .filter_map(|(place, (_, done))| Some((place, done.as_deref()?)));
        let changed: Vec<(&StatePlace, &[u8])> = changed.collect();
        if changed.is_empty() {
            return Ok(());
        }
        let (handlers, topics, partitions) = split(changed.iter().map(|(place, _)| *place));
        let done: Vec<&[u8]> = changed.iter().map(|(_, done)| *done).collect();
        self.session
            .execute(schema::SET_PROGRESS, &[&handlers, &topics, &partitions, &done])?;
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
        let shards: Vec<i32> = plan.batches.iter().map(|batch| i32::from(batch.shard.0)).collect();
        self.session.query(schema::LOCK_SHARDS, &[&self.lock_class, &shards])?;
        let mut drawn: HashMap<i32, i64> = HashMap::new();
        for row in self.session.query(schema::DRAW_NUMBERS, &[&shards])? {
            drawn.insert(row.try_get(0)?, row.try_get(1)?);
        }
        let number = |shard: &i32| {
            let missing = || PgFault::Damaged(format!("shard {shard} has no row"));
            drawn.get(shard).copied().ok_or_else(missing)
        };
        let numbers: Vec<i64> = shards.iter().map(number).collect::<Result<_, _>>()?;
        let bytes: Vec<&[u8]> = plan.batches.iter().map(|batch| &*batch.bytes).collect();
        self.session
            .execute(schema::ADD_BATCHES, &[&shards, &numbers, &bytes, &self.now])?;
        let made = plan.batches.iter().zip(numbers);
        let made = made.map(|(batch, number)| CommittedBatch {
            shard: batch.shard,
            number: from_sql(number),
            bytes: batch.bytes.len() as u64,
        });
        Ok(made.collect())
    }

    /// Only the holder of a shard's lease may report published batches.
    fn published(&mut self, news: &[ShardPublished]) -> Result<(), PgFault> {
        let mut sorted: Vec<&ShardPublished> = news.iter().collect();
        sorted.sort_by_key(|news| news.shard);
        for news in sorted {
            let (shard, batch): (i32, i64) = (i32::from(news.shard.0), to_sql(news.batch));
            self.session
                .execute(schema::SET_PUBLISHED, &[&shard, &batch, &to_sql(news.epoch.0)])?;
        }
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
