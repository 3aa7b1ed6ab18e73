//! Dead letters: written by the commits that give triggers up, within a bound, and read by operators.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::fault::{SqliteFault, from_sql, to_sql};
use super::ledger::{Ledger, NewHandlers};
use super::{SqliteStore, schema};
use sandman_core::event::{Headers, Record, TopicPartition};
use sandman_core::store::{
    Commit, CommitConflict, GivenUp, HeldCount, HeldKey, HeldName, Hold, KeptLetter, LetterFilter, LetterHead,
    LetterId, LetterStore, LetterWrite, LettersSize, NewLetter, Ordered, OrderedLetter, Pause, RedriveOrder,
    StoreError,
};

/// Letters that are looked at in one step for what may go.
const STEP: i64 = 100;

/// Writes what a commit says of dead letters, and lets the oldest go that are beyond its bound and on Kafka. Returns how
/// many went. The batch of the commit's own records is added already: it is `ledger.last`.
pub(super) fn write(
    connection: &Connection,
    commit: &Commit,
    handlers: &mut NewHandlers<'_>,
    ledger: &Ledger,
    size: &mut LettersSize,
) -> Result<u64, SqliteFault> {
    let mut gone = Vec::new();
    for write in &commit.letters {
        match write {
            LetterWrite::Add(letter) => add(connection, letter, handlers, ledger, size)?,
            LetterWrite::Done(id) => {
                if !remove(connection, schema::DONE_LETTER, *id, size)? {
                    gone.push(*id);
                }
            }
            LetterWrite::Failed(id, given_up) => {
                if !failed(connection, *id, given_up, size)? {
                    gone.push(*id);
                }
            }
            LetterWrite::Release(name) => {
                let mut release = connection.prepare_cached(schema::RELEASE)?;
                release.execute(params![handlers.id(&name.handler)?, name.key])?;
            }
            LetterWrite::DropHead(name) => {
                let handler = handlers.id(&name.handler)?;
                let mut head = connection.prepare_cached(schema::HELD_LETTERS)?;
                let mut heads = head.query_map(params![name.handler, name.key, 1], |row| row.get(0))?;
                if let Some(id) = heads.next().transpose()? {
                    remove(connection, schema::DROP_LETTER, from_sql(id), size)?;
                }
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
    let adds = commit.letters.iter().any(|write| matches!(write, LetterWrite::Add(_)));
    match adds {
        false => Ok(0),
        true => shrink(connection, commit.letters_bound, ledger, size),
    }
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
    size.bytes += bytes;
    Ok(())
}

/// Removes a letter. Returns whether it was there.
fn remove(
    connection: &Connection,
    sql: &'static str,
    id: LetterId,
    size: &mut LettersSize,
) -> Result<bool, SqliteFault> {
    let mut drop = connection.prepare_cached(sql)?;
    let bytes = drop.query_row(params![to_sql(id)], |row| row.get(0)).optional()?;
    let Some(bytes) = bytes else { return Ok(false) };
    size.count = size.count.saturating_sub(1);
    size.bytes = size.bytes.saturating_sub(from_sql(bytes));
    Ok(true)
}

/// A letter that stays; what waits behind it is not to be redriven any more. Returns whether it was still to be redriven.
fn failed(
    connection: &Connection,
    id: LetterId,
    given_up: &GivenUp,
    size: &mut LettersSize,
) -> Result<bool, SqliteFault> {
    let mut query = connection.prepare_cached(schema::LETTER_TEXTS)?;
    let texts = query.query_row(params![to_sql(id)], |row| row.get(0)).optional()?;
    let Some(before) = texts.map(from_sql) else {
        return Ok(false);
    };
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
    size.bytes = (size.bytes + after).saturating_sub(before);
    Ok(true)
}

fn held(hold: Hold) -> i64 {
    match hold {
        Hold::No => 0,
        Hold::Head => 1,
        Hold::Behind => 2,
    }
}

/// Lets the oldest letters go until the rest is within the bound, or what is left may not go.
fn shrink(connection: &Connection, bound: u64, ledger: &Ledger, size: &mut LettersSize) -> Result<u64, SqliteFault> {
    let mut gone = 0;
    while size.bytes > bound {
        let mut query = connection.prepare_cached(schema::OLDEST_LETTERS)?;
        let rows = query.query_map(params![to_sql(ledger.published), STEP], |row| {
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
            let _: i64 = drop.query_row(params![id], |row| row.get(0))?;
            size.count = size.count.saturating_sub(1);
            size.bytes = size.bytes.saturating_sub(bytes);
            gone += 1;
        }
    }
    Ok(gone)
}

/// How many letters the file has.
pub(super) fn size(connection: &Connection) -> rusqlite::Result<LettersSize> {
    connection.query_row(schema::LETTERS_SIZE, [], |row| {
        Ok(LettersSize {
            count: from_sql(row.get(0)?),
            bytes: from_sql(row.get(1)?),
        })
    })
}

impl SqliteStore {
    /// Removes what a statement says of a filter; it returns the bytes of each.
    fn drop_by(&self, statement: &str, filter: &LetterFilter) -> Result<u64, StoreError> {
        self.write(|writer| {
            writer.letters_aside(&self.handlers, |connection, size| {
                let mut drop = connection.prepare_cached(statement)?;
                bind(&mut drop, filter)?;
                let (mut rows, mut gone) = (drop.raw_query(), 0);
                while let Some(row) = rows.next()? {
                    gone += 1;
                    size.count = size.count.saturating_sub(1);
                    size.bytes = size.bytes.saturating_sub(from_sql(row.get(0)?));
                }
                Ok(gone)
            })
        })
    }
}

impl LetterStore for SqliteStore {
    fn letters(&self, filter: &LetterFilter, after: LetterId, most: usize) -> Result<Vec<LetterHead>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::LETTERS)?;
            bind(&mut query, filter)?;
            query.raw_bind_parameter(7, to_sql(after))?;
            query.raw_bind_parameter(8, i64::try_from(most).unwrap_or(i64::MAX))?;
            let mut rows = query.raw_query();
            let mut heads = Vec::new();
            while let Some(row) = rows.next()? {
                heads.push(head(row, None)?);
            }
            Ok(heads)
        })
    }

    fn letter(&self, id: LetterId) -> Result<Option<KeptLetter>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::LETTER)?;
            let mut rows = query.query(params![to_sql(id)])?;
            rows.next()?.map(whole).transpose()
        })
    }

    fn letters_size(&self) -> Result<LettersSize, StoreError> {
        self.usable()?;
        Ok(*self.letters.lock())
    }

    fn order_redrive(&self, filter: &LetterFilter, order: &RedriveOrder) -> Result<Ordered, StoreError> {
        self.write(|writer| {
            writer.aside(&self.handlers, |connection, _| {
                let count = |statement: &str| -> Result<u64, SqliteFault> {
                    let mut query = connection.prepare_cached(statement)?;
                    bind(&mut query, filter)?;
                    if query.parameter_count() > 6 {
                        query.raw_bind_parameter(7, order.most_redriven)?;
                    }
                    let mut rows = query.raw_query();
                    let count = rows.next()?.map(|row| row.get(0)).transpose()?;
                    Ok(from_sql(count.unwrap_or_default()))
                };
                let (refused, held) = (count(schema::REDRIVEN_TOO_OFTEN)?, count(schema::HELD_COUNT)?);
                let mut update = connection.prepare_cached(schema::ORDER_LETTERS)?;
                bind(&mut update, filter)?;
                update.raw_bind_parameter(7, order.most_redriven)?;
                update.raw_bind_parameter(8, to_sql(order.job))?;
                update.raw_bind_parameter(9, order.through.map(to_sql))?;
                let ordered = update.raw_execute()? as u64;
                Ok(Ordered { ordered, refused, held })
            })
        })
    }

    fn ordered(&self, most: usize) -> Result<Vec<OrderedLetter>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::ORDERED_LETTERS)?;
            let rows = query.query_map(params![i64::try_from(most).unwrap_or(i64::MAX)], |row| {
                Ok(OrderedLetter {
                    id: from_sql(row.get(0)?),
                    handler: row.get_ref(1)?.as_str()?.into(),
                    through: row.get::<_, Option<i64>>(2)?.map(from_sql),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn cancel_redrive(&self, letters: &[LetterId]) -> Result<u64, StoreError> {
        self.write(|writer| {
            writer.aside(&self.handlers, |connection, _| {
                let mut cancel = connection.prepare_cached(schema::CANCEL_LETTER)?;
                let mut count = 0;
                for id in letters {
                    count += cancel.execute(params![to_sql(*id)])? as u64;
                }
                Ok(count)
            })
        })
    }

    fn drop_held_letters(&self, filter: &LetterFilter) -> Result<u64, StoreError> {
        self.drop_by(schema::DROP_HELD_LETTERS, filter)
    }

    fn drop_letters(&self, filter: &LetterFilter) -> Result<u64, StoreError> {
        self.drop_by(schema::DROP_LETTERS, filter)
    }

    fn held_keys(&self) -> Result<Vec<HeldKey>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::HELD_KEYS)?;
            let rows = query.query_map([], |row| {
                Ok(HeldKey {
                    name: HeldName {
                        handler: row.get_ref(0)?.as_str()?.into(),
                        key: row.get_ref(1)?.as_str()?.into(),
                    },
                    held: HeldCount {
                        count: from_sql(row.get(2)?),
                        bytes: from_sql(row.get(3)?),
                        released: row.get(4)?,
                    },
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn held_letters(&self, name: &HeldName, most: usize) -> Result<Vec<LetterId>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::HELD_LETTERS)?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let rows = query.query_map(params![name.handler, name.key, most], |row| Ok(from_sql(row.get(0)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn pauses(&self) -> Result<Vec<(Arc<str>, Pause)>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::PAUSES)?;
            let rows = query.query_map([], |row| {
                let pause = Pause {
                    at_millis: row.get(1)?,
                    by: row.get(2)?,
                    reason: row.get(3)?,
                };
                Ok((row.get_ref(0)?.as_str()?.into(), pause))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

/// The first six parameters of every statement that takes a filter.
fn bind(statement: &mut rusqlite::Statement<'_>, filter: &LetterFilter) -> rusqlite::Result<()> {
    let LetterFilter {
        id,
        handler,
        key,
        code,
        since_millis,
        job,
    } = filter;
    statement.raw_bind_parameter(1, id.map(to_sql))?;
    statement.raw_bind_parameter(2, handler)?;
    statement.raw_bind_parameter(3, key)?;
    statement.raw_bind_parameter(4, code)?;
    statement.raw_bind_parameter(5, since_millis)?;
    statement.raw_bind_parameter(6, job.map(to_sql))
}

fn damaged(detail: impl std::fmt::Display) -> SqliteFault {
    SqliteFault::Damaged(format!("a dead letter: {detail}"))
}

fn head(row: &Row<'_>, state: Option<Arc<str>>) -> Result<LetterHead, SqliteFault> {
    let text = |column: &str| -> rusqlite::Result<Arc<str>> { Ok(row.get_ref(column)?.as_str()?.into()) };
    Ok(LetterHead {
        id: from_sql(row.get("id")?),
        handler: text("name")?,
        key: row.get::<_, Option<String>>("key")?.map(Arc::from),
        topic: text("topic")?,
        partition: row.get("partition")?,
        offset: row.get("record")?,
        given_up: GivenUp {
            code: text("code")?.parse().map_err(damaged)?,
            reason: row.get("reason")?,
            version: from_sql(row.get("version")?),
            digest: text("digest")?,
            attempts: row.get("attempts")?,
            state,
            at_millis: row.get("at")?,
        },
        redriven: row.get("redriven")?,
        hold: match row.get::<_, i64>("held")? {
            0 => Hold::No,
            1 => Hold::Head,
            _ => Hold::Behind,
        },
        ordered: row.get("ordered")?,
    })
}

fn whole(row: &Row<'_>) -> Result<KeptLetter, SqliteFault> {
    let head = head(row, row.get::<_, Option<String>>("state")?.map(Arc::from))?;
    let headers: Vec<u8> = row.get("headers")?;
    let record = Record {
        source: TopicPartition {
            topic: Arc::clone(&head.topic),
            partition: head.partition,
        },
        offset: head.offset,
        key: row.get("record_key")?,
        value: row.get("value")?,
        headers: Headers::from_bytes(&headers).ok_or_else(|| damaged("its headers are torn"))?,
        timestamp_millis: row.get("timestamp")?,
    };
    Ok(KeptLetter { head, record })
}
