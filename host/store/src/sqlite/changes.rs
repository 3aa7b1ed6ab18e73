//! The changes of a commit apart from the outbox, row by row, and its conflicts.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::fault::{SqliteFault, from_sql, to_sql};
use super::files;
use super::ledger::{Ledger, NewHandlers};
use super::schema;
use super::states::{self, StateWriter};
use crate::batch;
use sandman_core::event::TopicPartition;
use sandman_core::store::{
    ANSWER_MILLIS, AnswerWrite, Answered, AttemptWrite, Commit, CommitConflict, Epoch, ProgressWrite, Revision,
    StateKey, StateRead,
};

/// The assignments of this process. They need not be stored: a later run has a higher number, and so do all its epochs.
#[derive(Debug)]
pub(super) struct Epochs {
    next: u64,
    last: HashMap<(i64, TopicPartition), Epoch>,
}

/// The bits for assignments of one run; those of a later run are all higher.
const EPOCHS: u32 = 32;

impl Epochs {
    /// No assignments yet, in the run with this number.
    pub(super) fn new(generation: i64) -> Self {
        Self {
            next: from_sql(generation) << EPOCHS,
            last: HashMap::new(),
        }
    }

    /// A new assignment of a partition, by the handler's id.
    pub(super) fn begin(&mut self, handler: i64, partition: &TopicPartition) -> Epoch {
        self.next += 1;
        let epoch = Epoch(self.next);
        self.last.insert((handler, partition.clone()), epoch);
        epoch
    }

    fn is_over(&self, handler: i64, partition: &TopicPartition, epoch: Epoch) -> bool {
        // A commit has only a few of them.
        let last = self.last.get(&(handler, partition.clone()));
        last.is_some_and(|last| epoch < *last)
    }
}

/// The changes of one commit, inside its transaction.
pub(super) struct Changes<'a> {
    pub(super) connection: &'a Connection,
    pub(super) ids: NewHandlers<'a>,
    pub(super) epochs: &'a Epochs,
    /// The conflicts with faster hosts; if there are any, the transaction must not be committed.
    pub(super) conflict: CommitConflict,
}

impl Changes<'_> {
    /// Writes all changes. Returns the revision of each state.
    pub(super) fn write(
        &mut self,
        commit: &Commit,
        now: i64,
        ledger: &mut Ledger,
    ) -> Result<Vec<Option<Revision>>, SqliteFault> {
        let writer = StateWriter {
            connection: self.connection,
            handlers: &mut self.ids,
            ledger,
            now,
            stale: &mut self.conflict.states,
        };
        let revisions = writer.write(&commit.states)?;
        self.reads(&commit.reads)?;
        files::write(self.connection, &commit.files, &mut self.ids, now)?;
        self.progress(&commit.progress, ledger.generation)?;
        self.attempts(&commit.attempts)?;
        self.answers(&commit.answers, now)?;
        Ok(revisions)
    }

    fn reads(&mut self, reads: &[StateRead]) -> Result<(), SqliteFault> {
        if reads.is_empty() {
            return Ok(());
        }
        let mut query = self.connection.prepare_cached(schema::REVISION)?;
        for read in reads {
            let handler = self.ids.id(&read.handler)?;
            let found = query.query_row(params![handler, read.key], |row| {
                Ok(states::revision(row.get(0)?, row.get(1)?))
            });
            if found.optional()? != read.base {
                self.conflict.states.push(StateKey {
                    handler: read.handler.clone(),
                    key: read.key.clone(),
                });
            }
        }
        Ok(())
    }

    fn progress(&mut self, progress: &[ProgressWrite], generation: i64) -> Result<(), SqliteFault> {
        let mut upsert = self.connection.prepare_cached(schema::SET_PROGRESS)?;
        for write in progress {
            let done = batch::encode_progress(&write.progress).map_err(SqliteFault::Refused)?;
            let (handler, partition) = (self.ids.id(&write.handler)?, &write.partition);
            let epoch = to_sql(write.epoch.0);
            let row = params![handler, partition.topic, partition.partition, generation, epoch, done];
            if self.epochs.is_over(handler, partition, write.epoch) || upsert.execute(row)? == 0 {
                let place = (write.handler.clone(), partition.clone());
                self.conflict.partitions.push(place);
            }
        }
        Ok(())
    }

    fn attempts(&mut self, attempts: &[AttemptWrite]) -> Result<(), SqliteFault> {
        for write in attempts {
            let (handler, partition) = (self.ids.id(&write.handler)?, &write.partition);
            let place = (write.handler.clone(), partition.clone());
            if self.epochs.is_over(handler, partition, write.epoch) && !self.conflict.partitions.contains(&place) {
                self.conflict.partitions.push(place);
            }
            match &write.attempts {
                Some(attempts) => self.connection.prepare_cached(schema::SET_ATTEMPTS)?.execute(params![
                    handler,
                    partition.topic,
                    partition.partition,
                    write.offset,
                    attempts.failed,
                    attempts.due_millis,
                ])?,
                None => self.connection.prepare_cached(schema::DROP_ATTEMPTS)?.execute(params![
                    handler,
                    partition.topic,
                    partition.partition,
                    write.offset
                ])?,
            };
        }
        Ok(())
    }

    /// Adds answers, and deletes expired ones.
    fn answers(&mut self, writes: &[AnswerWrite], now: i64) -> Result<(), SqliteFault> {
        if writes.is_empty() {
            return Ok(());
        }
        self.connection
            .prepare_cached(schema::DROP_ANSWERS)?
            .execute(params![now - ANSWER_MILLIS])?;
        let mut add = self.connection.prepare_cached(schema::ADD_ANSWER)?;
        for write in writes {
            let AnswerWrite {
                key,
                idempotency_key,
                answered: Answered { digest, status, body },
            } = write;
            if add.execute(params![key, idempotency_key, digest, status, body, now])? == 0 {
                self.conflict.answers.push((key.clone(), idempotency_key.clone()));
            }
        }
        Ok(())
    }
}
