//! The one connection that writes: a commit is one transaction, and what is kept in memory follows it.

use std::collections::BTreeMap;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior, params};

use super::batch;
use super::fault::{self, SqliteFault, from_sql, to_sql};
use super::ledger::{Handlers, Ledger, NewHandlers};
use super::letters;
use super::schema;
use super::states::StateWriter;
use sandman_core::event::OutRecord;
use sandman_core::faults::{self, Step};
use sandman_core::store::{
    ANSWER_MILLIS, AnswerWrite, Answered, AttemptWrite, BatchNo, Commit, Committed, LettersSize, OutboxSize,
    ProgressWrite,
};

/// Bytes of records in one batch; SQLite holds values of up to a thousand million.
const BATCH_BYTES: usize = 900_000_000;

/// The connection that writes.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    ledger: Ledger,
    /// Every batch in the outbox.
    waiting: BTreeMap<BatchNo, Waiting>,
    /// The bytes of `waiting`.
    bytes: u64,
    /// The dead letters.
    letters: LettersSize,
}

/// A batch in the outbox.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    bytes: u64,
    /// When it was committed: milliseconds since 1970.
    committed: i64,
}

impl Writer {
    /// The writer of a file that has its tables.
    pub(super) fn new(connection: Connection, ledger: Ledger) -> rusqlite::Result<Self> {
        let mut writer = Self {
            connection,
            ledger,
            waiting: BTreeMap::new(),
            bytes: 0,
            letters: LettersSize::default(),
        };
        writer.recount()?;
        writer.letters = letters::size(&writer.connection)?;
        Ok(writer)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// How much waits to be published, as of the last commit.
    pub(super) fn size(&self) -> OutboxSize {
        OutboxSize {
            batches: self.waiting.len() as u64,
            bytes: self.bytes,
            last: self.ledger.last,
            published: self.ledger.published,
            claimed: self.ledger.claimed,
            oldest_millis: self.waiting.values().next().map(|batch| batch.committed),
        }
    }

    /// How many dead letters there are, as of the last commit.
    pub(super) fn letters(&self) -> LettersSize {
        self.letters
    }

    /// Everything in `commit`, or nothing of it.
    pub(super) fn commit(&mut self, commit: &Commit, now: i64, handlers: &Handlers) -> Result<Committed, SqliteFault> {
        self.commit_with(commit, now, handlers, |_| {
            faults::at(Step::Written);
            Ok(())
        })
    }

    /// The same; `last` runs just before the commit becomes durable. Tests look around there.
    pub(super) fn commit_with(
        &mut self,
        commit: &Commit,
        now: i64,
        handlers: &Handlers,
        last: impl FnOnce(&Connection) -> Result<(), SqliteFault>,
    ) -> Result<Committed, SqliteFault> {
        let (mut ledger, mut letters) = (self.ledger, self.letters);
        let records = encode(&commit.outbox)?;
        let (rows, added, letters_gone) = transact(&mut self.connection, |connection| {
            let mut ids = handlers.within(connection);
            let writer = StateWriter {
                connection,
                handlers: &mut ids,
                ledger: &mut ledger,
                now,
            };
            let rows = writer.write(&commit.states)?;
            write_progress(connection, &commit.progress, &mut ids, ledger.generation)?;
            write_attempts(connection, &commit.attempts, &mut ids)?;
            write_answers(connection, &commit.answers, now)?;
            add_batch(connection, records.as_deref(), now, &mut ledger)?;
            drop_published(connection, commit.published, &mut ledger)?;
            let gone = letters::write(connection, commit, &mut ids, &ledger, &mut letters)?;
            ledger.write(connection)?;
            last(connection)?;
            Ok((rows, ids.added(), gone))
        })?;
        handlers.add(added);
        self.ledger = ledger;
        self.letters = letters;
        let batch = records.map(|records| (ledger.last, records.len() as u64));
        if let Some((number, bytes)) = batch {
            self.waiting.insert(number, Waiting { bytes, committed: now });
            self.bytes += bytes;
        }
        self.forget_published();
        Ok(Committed {
            rows,
            batch,
            letters_gone,
        })
    }

    /// Has the connection leave the log as it is when it closes. Where a commit failed, the disk may have less of the log
    /// than can be read: copied into the file from there, and found shorter after a loss of power, it would turn back
    /// some pages of the file and not others.
    pub(super) fn leave_log(&self) {
        let leave = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        if let Err(error) = self.connection.set_db_config(leave, true) {
            tracing::warn!(%error, "the store's log may be written into its file at the end");
        }
    }

    /// A cursor names the store.
    pub(super) fn claimed(&mut self) -> Result<(), SqliteFault> {
        let ledger = Ledger {
            claimed: true,
            ..self.ledger
        };
        transact(&mut self.connection, |connection| ledger.write(connection))?;
        self.ledger = ledger;
        Ok(())
    }

    /// Forgets progress, attempts and outbox. Nothing of the store is on Kafka any more; numbers still go on.
    pub(super) fn forget_kafka(&mut self) -> Result<(), SqliteFault> {
        let ledger = Ledger {
            published: 0,
            claimed: false,
            ..self.ledger
        };
        transact(&mut self.connection, |connection| {
            connection.execute_batch(schema::FORGET)?;
            ledger.write(connection)
        })?;
        self.ledger = ledger;
        self.recount().map_err(SqliteFault::Sql)
    }

    /// Goes on above the batch `cursor` of another store; what waits is numbered anew if the cursor would cover it.
    pub(super) fn adopt(&mut self, cursor: BatchNo) -> Result<(), SqliteFault> {
        let mut ledger = self.ledger;
        ledger.last = ledger.last.max(cursor);
        ledger.published = ledger.published.max(cursor);
        let covered = self
            .waiting
            .keys()
            .next()
            .is_some_and(|first| *first <= ledger.published);
        let waiting: Vec<BatchNo> = self.waiting.keys().copied().filter(|_| covered).collect();
        transact(&mut self.connection, |connection| {
            // All new numbers lie above all old ones, so none is taken.
            let mut update = connection.prepare_cached(schema::MOVE_BATCH)?;
            let mut letters = connection.prepare_cached(schema::MOVE_LETTERS)?;
            let first = ledger.last + 1;
            for (number, to) in waiting.iter().zip(first..) {
                update.execute(params![to_sql(*number), to_sql(to)])?;
                letters.execute(params![to_sql(*number), to_sql(to)])?;
                ledger.last = to;
            }
            ledger.write(connection)
        })?;
        self.ledger = ledger;
        self.recount().map_err(SqliteFault::Sql)
    }

    /// A transaction of its own that changes nothing of what is kept in memory but the handlers' numbers.
    pub(super) fn aside<T>(
        &mut self,
        handlers: &Handlers,
        work: impl FnOnce(&Connection, &mut NewHandlers<'_>) -> Result<T, SqliteFault>,
    ) -> Result<T, SqliteFault> {
        let ledger = self.ledger;
        let (done, added) = transact(&mut self.connection, |connection| {
            let mut ids = handlers.within(connection);
            let done = work(connection, &mut ids)?;
            ledger.write(connection)?;
            Ok((done, ids.added()))
        })?;
        handlers.add(added);
        Ok(done)
    }

    /// Takes batches that are on Kafka out of the count.
    fn forget_published(&mut self) {
        while let Some(first) = self.waiting.first_entry()
            && *first.key() <= self.ledger.published
        {
            self.bytes -= first.remove().bytes;
        }
    }

    /// Counts the outbox anew.
    fn recount(&mut self) -> rusqlite::Result<()> {
        let mut query = self.connection.prepare_cached(schema::OUTBOX_SIZES)?;
        let rows = query.query_map([], |row| {
            let (bytes, committed) = (from_sql(row.get(1)?), row.get(2)?);
            Ok((from_sql(row.get(0)?), Waiting { bytes, committed }))
        })?;
        self.waiting = rows.collect::<Result<_, _>>()?;
        self.bytes = self.waiting.values().map(|batch| batch.bytes).sum();
        Ok(())
    }
}

/// Runs `work` in a transaction of its own. On any error it is rolled back, as it is when `work` panics.
fn transact<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> Result<T, SqliteFault>,
) -> Result<T, SqliteFault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match work(&transaction) {
        Ok(value) => match transaction.commit() {
            Ok(()) => Ok(value),
            // `commit` tried to roll back on its way out, unless SQLite had done so by itself.
            Err(error) if fault::undone(&error) && connection.is_autocommit() => Err(SqliteFault::Sql(error)),
            Err(error) => Err(SqliteFault::Unknown(error)),
        },
        // SQLite ends the transaction by itself when the disk is full.
        Err(fault) if transaction.is_autocommit() => Err(fault),
        Err(fault) => match transaction.rollback() {
            Ok(()) => Err(fault),
            Err(error) => Err(SqliteFault::Unknown(error)),
        },
    }
}

/// The records as the bytes of a batch; `None` if there are none.
fn encode(records: &[OutRecord]) -> Result<Option<Vec<u8>>, SqliteFault> {
    if records.is_empty() {
        return Ok(None);
    }
    let bytes = batch::encode(records).map_err(SqliteFault::Refused)?;
    if bytes.len() > BATCH_BYTES {
        return Err(SqliteFault::Refused(format!(
            "one commit wants to publish {} bytes, {BATCH_BYTES} are the most it holds; lower [host] batch",
            bytes.len()
        )));
    }
    Ok(Some(bytes))
}

fn write_progress(
    connection: &Connection,
    progress: &[ProgressWrite],
    handlers: &mut NewHandlers<'_>,
    generation: i64,
) -> Result<(), SqliteFault> {
    let mut upsert = connection.prepare_cached(schema::SET_PROGRESS)?;
    for write in progress {
        let done = batch::encode_progress(&write.progress).map_err(SqliteFault::Refused)?;
        let (handler, partition) = (handlers.id(&write.handler)?, &write.partition);
        let epoch = to_sql(write.epoch);
        let row = params![handler, partition.topic, partition.partition, generation, epoch, done];
        if upsert.execute(row)? == 0 {
            return Err(SqliteFault::Conflict {
                what: "progress",
                detail: format!(
                    "handler {}, {partition} was assigned anew after {}",
                    write.handler, write.epoch
                ),
            });
        }
    }
    Ok(())
}

/// Adds answers, and forgets those whose time is over.
fn write_answers(connection: &Connection, writes: &[AnswerWrite], now: i64) -> Result<(), SqliteFault> {
    if writes.is_empty() {
        return Ok(());
    }
    connection
        .prepare_cached(schema::DROP_ANSWERS)?
        .execute(params![now - ANSWER_MILLIS])?;
    let mut add = connection.prepare_cached(schema::ADD_ANSWER)?;
    for AnswerWrite {
        key,
        idempotency_key,
        answered,
    } in writes
    {
        let Answered { digest, status, body } = answered;
        add.execute(params![key, idempotency_key, digest, status, body, now])?;
    }
    Ok(())
}

fn write_attempts(
    connection: &Connection,
    attempts: &[AttemptWrite],
    handlers: &mut NewHandlers<'_>,
) -> Result<(), SqliteFault> {
    for write in attempts {
        let (handler, partition) = (handlers.id(&write.handler)?, &write.partition);
        match &write.attempts {
            Some(attempts) => connection.prepare_cached(schema::SET_ATTEMPTS)?.execute(params![
                handler,
                partition.topic,
                partition.partition,
                write.offset,
                attempts.failed,
                attempts.due_millis,
            ])?,
            None => connection.prepare_cached(schema::DROP_ATTEMPTS)?.execute(params![
                handler,
                partition.topic,
                partition.partition,
                write.offset,
            ])?,
        };
    }
    Ok(())
}

fn add_batch(
    connection: &Connection,
    records: Option<&[u8]>,
    now: i64,
    ledger: &mut Ledger,
) -> Result<(), SqliteFault> {
    if let Some(records) = records {
        ledger.last += 1;
        let mut insert = connection.prepare_cached(schema::ADD_BATCH)?;
        insert.execute(params![to_sql(ledger.last), now, records])?;
    }
    Ok(())
}

fn drop_published(connection: &Connection, published: Option<BatchNo>, ledger: &mut Ledger) -> Result<(), SqliteFault> {
    let Some(published) = published else {
        return Ok(());
    };
    if published > ledger.last {
        return Err(SqliteFault::Refused(format!(
            "batch {published} is said to be on Kafka, but the newest batch is {}: the file is older than what was \
             published",
            ledger.last
        )));
    }
    connection
        .prepare_cached(schema::DROP_BATCHES)?
        .execute(params![to_sql(published)])?;
    ledger.published = ledger.published.max(published);
    Ok(())
}
