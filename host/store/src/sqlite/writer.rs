//! The only connection that writes: a commit is one transaction, and the copy in memory is updated after it.

use std::collections::BTreeMap;

use rusqlite::blob::ZeroBlob;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OptionalExtension, TransactionBehavior, params};

use super::changes::{Changes, Epochs};
use super::fault::{self, SqliteFault, from_sql, to_sql};
use super::ledger::{Handlers, Ledger, NewHandlers};
use super::letters;
use super::recordings::Rings;
use super::schema;
use crate::{batch, numbers};
use sandman_core::event::OutRecord;
use sandman_core::faults::{self, Step};
use sandman_core::store::{
    BatchNo, Commit, CommitConflict, CommitResult, Committed, CommittedBatch, LettersSize, OutboxSize, Shard,
    ShardPublished,
};

/// The most bytes of records in one batch; SQLite's limit for a value is a thousand million.
const BATCH_BYTES: usize = 900_000_000;

/// Bytes of the batch buffer that stay allocated: more than a commit of ordinary events takes.
const KEPT: usize = 32 << 20;

/// The connection that writes.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    ledger: Ledger,
    /// The last assignment of each partition to this process.
    epochs: Epochs,
    /// Every batch in the outbox.
    waiting: BTreeMap<BatchNo, Waiting>,
    /// The bytes of `waiting`.
    bytes: u64,
    /// The dead letters.
    letters: LettersSize,
    /// The batches of recordings.
    rings: Rings,
    /// The buffer in which batches are encoded.
    buffer: Vec<u8>,
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
        let rings = Rings::load(&connection)?;
        let mut writer = Self {
            rings,
            buffer: Vec::new(),
            connection,
            epochs: Epochs::new(ledger.generation),
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

    /// How many dead letters there are, as of the last commit. The last batch that is in Kafka.
    pub(super) fn published(&self) -> BatchNo {
        self.ledger.published
    }

    pub(super) fn letters(&self) -> LettersSize {
        self.letters
    }

    /// The assignments of this process.
    pub(super) fn epochs(&mut self) -> &mut Epochs {
        &mut self.epochs
    }

    /// Commits everything in `commit`, or nothing.
    pub(super) fn commit(
        &mut self,
        commit: &Commit,
        now: i64,
        handlers: &Handlers,
    ) -> Result<CommitResult, SqliteFault> {
        self.commit_with(commit, now, handlers, |_| {
            faults::at(Step::Written);
            Ok(())
        })
    }

    /// The same; `last` runs just before the commit becomes durable, for tests.
    pub(super) fn commit_with(
        &mut self,
        commit: &Commit,
        now: i64,
        handlers: &Handlers,
        last: impl FnOnce(&Connection) -> Result<(), SqliteFault>,
    ) -> Result<CommitResult, SqliteFault> {
        let (mut ledger, mut letters) = (self.ledger, self.letters);
        let mut buffer = std::mem::take(&mut self.buffer);
        let records = encode(&mut buffer, &commit.outbox)?;
        let (epochs, rings) = (&self.epochs, &self.rings);
        let written = transact(&mut self.connection, |connection| {
            let mut changes = Changes {
                connection,
                ids: handlers.within(connection),
                epochs,
                conflict: CommitConflict::default(),
            };
            let revisions = changes.write(commit, now, &mut ledger)?;
            if !changes.conflict.is_empty() {
                return Err(SqliteFault::Overtaken(changes.conflict));
            }
            let mut ids = changes.ids;
            let recorded = rings.write(connection, &commit.recordings, &mut ids, now)?;
            add_batch(connection, records, now, &mut ledger)?;
            drop_published(connection, &commit.published, &mut ledger)?;
            let gone = letters::write(connection, commit, &mut ids, &ledger, &mut letters)?;
            ledger.write(connection)?;
            last(connection)?;
            Ok((revisions, recorded, ids.added(), gone))
        });
        let (revisions, recorded, added, letters_gone) = match written {
            Err(SqliteFault::Overtaken(conflict)) => return Ok(CommitResult::Conflict(conflict)),
            written => written?,
        };
        handlers.add(added);
        let recordings = self.rings.follow(recorded);
        self.ledger = ledger;
        self.letters = letters;
        let batch = records.map(|records| (ledger.last, records.len() as u64));
        if buffer.capacity() <= KEPT {
            self.buffer = buffer;
        }
        if let Some((number, bytes)) = batch {
            self.waiting.insert(number, Waiting { bytes, committed: now });
            self.bytes += bytes;
        }
        self.forget_published();
        let batches = batch.map(|(number, bytes)| CommittedBatch {
            shard: Shard::default(),
            number,
            bytes,
        });
        Ok(CommitResult::Committed(Committed {
            revisions,
            batches: batches.into_iter().collect(),
            letters_gone,
            recordings,
        }))
    }

    /// Makes the connection keep the log when it closes. After a failed commit, the disk may have less of the log than
    /// can be read: if the log were copied into the file and then found shorter after a power failure, some pages of
    /// the file would be reverted and others not.
    pub(super) fn leave_log(&self) {
        let leave = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        if let Err(error) = self.connection.set_db_config(leave, true) {
            tracing::warn!(%error, "the store's log may be written into its file at the end");
        }
    }

    /// Stores that a cursor names the store.
    pub(super) fn claimed(&mut self) -> Result<(), SqliteFault> {
        let ledger = Ledger {
            claimed: true,
            ..self.ledger
        };
        transact(&mut self.connection, |connection| ledger.write(connection))?;
        self.ledger = ledger;
        Ok(())
    }

    /// Continues the numbers of batches far above the last one, and keeps which are skipped until the relay is past them.
    pub(super) fn skip_numbers(&mut self) -> Result<(), SqliteFault> {
        let before = self.ledger;
        let ledger = Ledger {
            last: before.last + numbers::to_skip(),
            ..before
        };
        transact(&mut self.connection, |connection| {
            connection.execute(schema::DROP_SKIPPED, params![to_sql(before.published)])?;
            let range = params![to_sql(before.last), to_sql(ledger.last)];
            // Nothing was committed since the last start.
            if connection.execute(schema::EXTEND_SKIPPED, range)? == 0 {
                connection.execute(schema::ADD_SKIPPED, range)?;
            }
            ledger.write(connection)
        })?;
        self.ledger = ledger;
        Ok(())
    }

    /// The last number before the skipped ones, if this is one of them.
    pub(super) fn skipped(&self, number: BatchNo) -> Result<Option<BatchNo>, SqliteFault> {
        let mut query = self.connection.prepare_cached(schema::SKIPPED)?;
        let before: Option<i64> = query.query_row([to_sql(number)], |row| row.get(0)).optional()?;
        Ok(before.map(from_sql))
    }

    /// Forgets progress, attempts and outbox. Kafka has no records of the store any more, but the numbers continue.
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

    /// Continues above the batch `cursor` of another store; waiting batches are renumbered if the cursor would cover them.
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
            // All new numbers are above all old ones, so none is taken.
            let mut update = connection.prepare_cached(schema::MOVE_BATCH)?;
            let mut letters = connection.prepare_cached(schema::MOVE_LETTERS)?;
            let first = ledger.last + 1;
            for (number, to) in waiting.iter().zip(first..) {
                update.execute(params![to_sql(*number), to_sql(to)])?;
                letters.execute(params![to_sql(*number), to_sql(to)])?;
                ledger.last = to;
            }
            connection.execute(schema::FORGET_SKIPPED, [])?;
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

    /// The same, for what changes how many dead letters there are.
    pub(super) fn letters_aside<T>(
        &mut self,
        handlers: &Handlers,
        work: impl FnOnce(&Connection, &mut LettersSize) -> Result<T, SqliteFault>,
    ) -> Result<T, SqliteFault> {
        let mut letters = self.letters;
        let done = self.aside(handlers, |connection, _| work(connection, &mut letters))?;
        self.letters = letters;
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
fn encode<'b>(bytes: &'b mut Vec<u8>, records: &[OutRecord]) -> Result<Option<&'b [u8]>, SqliteFault> {
    if records.is_empty() {
        return Ok(None);
    }
    batch::encode_into(bytes, records).map_err(SqliteFault::Refused)?;
    if bytes.len() > BATCH_BYTES {
        return Err(SqliteFault::Refused(format!(
            "one commit wants to publish {} bytes, {BATCH_BYTES} are the most it holds; lower [host] batch",
            bytes.len()
        )));
    }
    Ok(Some(bytes))
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
        let number = to_sql(ledger.last);
        let length = records.len() as u64;
        insert.execute(params![number, now, ZeroBlob(length)])?;
        // Bound to the statement, the bytes would be copied twice on their way to the pages.
        let mut blob = connection.blob_open(MAIN_DB, c"outbox", c"records", number, false)?;
        blob.write_at(records, 0)?;
        blob.close()?;
    }
    Ok(())
}

fn drop_published(connection: &Connection, news: &[ShardPublished], ledger: &mut Ledger) -> Result<(), SqliteFault> {
    let Some(published) = news.iter().map(|news| news.batch).max() else {
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
