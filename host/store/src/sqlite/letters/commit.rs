//! What commits write of dead letters, within a bound; and what becomes of the orders to redrive them, counted with it.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use crate::sqlite::fault::{SqliteFault, from_sql, to_sql};
use crate::sqlite::ledger::{Ledger, NewHandlers};
use crate::sqlite::schema;
use sandman_core::reason::GivenUp;
use sandman_core::store::{
    Commit, CommitConflict, HeldName, Hold, LetterId, LetterWrite, LettersSize, NewLetter, OrderResult, Pause,
};

/// Letters that are looked at in one step for what may go.
const STEP: i64 = 100;

/// Writes what a commit says of dead letters, and lets the oldest go that are beyond its bound and on Kafka. Returns how
/// many went. The batch of the commit's own records is added already: it is `ledger.last`.
pub(in crate::sqlite) fn write(
    connection: &Connection,
    commit: &Commit,
    handlers: &mut NewHandlers<'_>,
    ledger: &Ledger,
    size: &mut LettersSize,
) -> Result<u64, SqliteFault> {
    let (mut gone, mut orders) = (Vec::new(), OrderTally::default());
    for write in &commit.letters {
        match write {
            LetterWrite::Add(letter) => add(connection, letter, handlers, ledger, size)?,
            LetterWrite::Done(id) => match remove(connection, schema::DONE_LETTER, *id, size)? {
                Some(job) => orders.add(job, |order| &mut order.handled),
                None => gone.push(*id),
            },
            LetterWrite::Duplicate(id) => match remove(connection, schema::DONE_LETTER, *id, size)? {
                Some(job) => orders.add(job, |order| &mut order.duplicates),
                None => gone.push(*id),
            },
            LetterWrite::Failed(id, given_up) => match failed(connection, *id, given_up, size)? {
                Some(job) => orders.add(job, |order| &mut order.failed),
                None => gone.push(*id),
            },
            LetterWrite::Release(name) => {
                let mut release = connection.prepare_cached(schema::RELEASE)?;
                release.execute(params![handlers.id(&name.handler)?, name.key])?;
            }
            LetterWrite::DropHead(name) => {
                let handler = handlers.id(&name.handler)?;
                drop_head(connection, name, size)?;
                connection
                    .prepare_cached(schema::RELEASE)?
                    .execute(params![handler, name.key])?;
            }
            LetterWrite::Pause(handler, Some(Pause { at_millis, by, reason })) => {
                let mut pause = connection.prepare_cached(schema::SET_PAUSE)?;
                pause.execute(params![handlers.id(handler)?, at_millis, by, reason])?;
            }
            LetterWrite::Pause(handler, None) => {
                let mut resume = connection.prepare_cached(schema::DROP_PAUSE)?;
                resume.execute(params![handlers.id(handler)?])?;
            }
        }
    }
    if !gone.is_empty() {
        return Err(SqliteFault::Overtaken(CommitConflict {
            letters: gone,
            ..CommitConflict::default()
        }));
    }
    orders.write(connection)?;
    let adds = commit.letters.iter().any(|write| matches!(write, LetterWrite::Add(_)));
    match adds {
        false => Ok(0),
        true => shrink(connection, commit.letters_bound, ledger.published, size),
    }
}

/// Removes the letter that holds a key.
fn drop_head(connection: &Connection, name: &HeldName, size: &mut LettersSize) -> Result<(), SqliteFault> {
    let mut head = connection.prepare_cached(schema::HELD_LETTERS)?;
    let mut heads = head.query_map(params![name.handler, name.key, 1], |row| row.get(0))?;
    if let Some(id) = heads.next().transpose()? {
        remove(connection, schema::DROP_LETTER, from_sql(id), size)?;
    }
    Ok(())
}

fn add(
    connection: &Connection,
    letter: &NewLetter,
    handlers: &mut NewHandlers<'_>,
    ledger: &Ledger,
    size: &mut LettersSize,
) -> Result<(), SqliteFault> {
    let NewLetter {
        handler,
        key,
        record,
        given_up,
        hold,
    } = letter;
    let bytes = letter.bytes();
    let mut insert = connection.prepare_cached(schema::ADD_LETTER)?;
    insert.execute(params![
        handlers.id(handler)?,
        key,
        record.source.topic,
        record.source.partition,
        record.offset,
        given_up.at_millis,
        given_up.code.word(),
        given_up.reason,
        to_sql(given_up.version),
        given_up.digest,
        given_up.attempts,
        to_sql(ledger.last),
        to_sql(bytes),
        record.timestamp_millis,
        record.headers.as_bytes(),
        record.key,
        given_up.state,
        record.value,
        held(*hold),
    ])?;
    size.count += 1;
    *bytes_of(size, held(*hold)) += bytes;
    Ok(())
}

/// The bytes that letters count among, by their `held`.
fn bytes_of(size: &mut LettersSize, held: i64) -> &mut u64 {
    match held {
        0 => &mut size.bytes,
        _ => &mut size.held_bytes,
    }
}

/// A letter of so many bytes is gone.
pub(super) fn subtract(size: &mut LettersSize, bytes: i64, held: i64) {
    size.count = size.count.saturating_sub(1);
    let of = bytes_of(size, held);
    *of = of.saturating_sub(from_sql(bytes));
}

/// The order that includes a letter, if any.
pub(super) type NamingOrder = Option<i64>;

/// What becomes of orders in one transaction.
#[derive(Default)]
pub(super) struct OrderTally(BTreeMap<i64, OrderResult>);

impl OrderTally {
    pub(super) fn add(&mut self, job: NamingOrder, what: impl FnOnce(&mut OrderResult) -> &mut u64) {
        if let Some(job) = job {
            *what(self.0.entry(job).or_default()) += 1;
        }
    }

    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        for (job, order) in &self.0 {
            connection.prepare_cached(schema::COUNT_ORDER)?.execute(params![
                job,
                to_sql(order.handled),
                to_sql(order.duplicates),
                to_sql(order.failed),
                to_sql(order.cancelled)
            ])?;
        }
        Ok(())
    }
}

/// What a statement on one letter tells of it: bytes, its `held`, and its order; nothing if the letter was not there.
fn found(
    connection: &Connection,
    sql: &'static str,
    id: LetterId,
) -> rusqlite::Result<Option<(i64, i64, NamingOrder)>> {
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row(params![to_sql(id)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    found.optional()
}

/// Removes a letter. Returns its order; nothing if the letter was not there.
fn remove(
    connection: &Connection,
    sql: &'static str,
    id: LetterId,
    size: &mut LettersSize,
) -> Result<Option<NamingOrder>, SqliteFault> {
    let Some((bytes, held, job)) = found(connection, sql, id)? else {
        return Ok(None);
    };
    subtract(size, bytes, held);
    Ok(Some(job))
}

/// A letter that stays; what waits behind it is not to be redriven any more. Returns its order; nothing if the letter was not
/// there.
fn failed(
    connection: &Connection,
    id: LetterId,
    given_up: &GivenUp,
    size: &mut LettersSize,
) -> Result<Option<NamingOrder>, SqliteFault> {
    let Some((before, held, job)) = found(connection, schema::LETTER_TEXTS, id)? else {
        return Ok(None);
    };
    let before = from_sql(before);
    let after = (given_up.reason.len() + given_up.state.as_deref().map_or(0, str::len)) as u64;
    let mut update = connection.prepare_cached(schema::FAIL_LETTER)?;
    update.execute(params![
        to_sql(id),
        given_up.at_millis,
        given_up.code.word(),
        given_up.reason,
        to_sql(given_up.version),
        given_up.digest,
        given_up.attempts,
        given_up.state,
        to_sql(after) - to_sql(before),
    ])?;
    connection
        .prepare_cached(schema::STALL_KEY)?
        .execute(params![to_sql(id)])?;
    let bytes = bytes_of(size, held);
    *bytes = (*bytes + after).saturating_sub(before);
    Ok(Some(job))
}

fn held(hold: Hold) -> i64 {
    match hold {
        Hold::No => 0,
        Hold::Head => 1,
        Hold::Behind => 2,
    }
}

/// Lets the oldest letters go until the rest is within the bound, or what is left may not go.
pub(super) fn shrink(
    connection: &Connection,
    bound: u64,
    published: u64,
    size: &mut LettersSize,
) -> Result<u64, SqliteFault> {
    let mut gone = 0;
    while size.bytes > bound {
        let mut query = connection.prepare_cached(schema::OLDEST_LETTERS)?;
        let rows = query.query_map(params![to_sql(published), STEP], |row| {
            Ok((row.get::<_, i64>(0)?, from_sql(row.get(1)?)))
        })?;
        let oldest: Vec<(i64, u64)> = rows.collect::<Result<_, _>>()?;
        if oldest.is_empty() {
            break;
        }
        let mut drop = connection.prepare_cached(schema::DROP_LETTER)?;
        for (id, bytes) in oldest {
            if size.bytes <= bound {
                break;
            }
            let held = drop.query_row(params![id], |row| row.get(1))?;
            subtract(size, to_sql(bytes), held);
            gone += 1;
        }
    }
    Ok(gone)
}
