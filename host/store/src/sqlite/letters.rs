//! Dead letters: written by the commits that give up triggers, limited in size, and read and redriven by operators.

mod commit;

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::fault::{SqliteFault, from_sql, to_sql};
use super::{SqliteStore, schema};
pub(super) use commit::write;

use commit::{NamingOrder, OrderTally, shrink, subtract};
use sandman_core::event::{Headers, Record, TopicPartition};
use sandman_core::reason::GivenUp;
use sandman_core::store::{
    DroppedLetters, HeldCount, HeldKey, HeldName, Hold, KeptLetter, LetterFilter, LetterHead, LetterId, LetterStore,
    LettersSize, OrderResult, Ordered, OrderedLetter, Pause, RedriveOrder, StoreError,
};

/// How many letters the file has.
pub(super) fn size(connection: &Connection) -> rusqlite::Result<LettersSize> {
    connection.query_row(schema::LETTERS_SIZE, [], |row| {
        Ok(LettersSize {
            count: from_sql(row.get(0)?),
            bytes: from_sql(row.get(1)?),
            held_bytes: from_sql(row.get(2)?),
        })
    })
}

/// Removes the letters that a statement selects with a filter; the statement returns the bytes of each, and its `held`.
fn drop_meant(
    connection: &Connection,
    statement: &str,
    filter: &LetterFilter,
    size: &mut LettersSize,
) -> rusqlite::Result<u64> {
    let mut drop = connection.prepare_cached(statement)?;
    bind(&mut drop, filter)?;
    let (mut rows, mut gone) = (drop.raw_query(), 0);
    while let Some(row) = rows.next()? {
        gone += 1;
        subtract(size, row.get(0)?, row.get(1)?);
    }
    Ok(gone)
}

/// How many letters a statement selects with a filter.
fn count(connection: &Connection, statement: &str, filter: &LetterFilter) -> rusqlite::Result<u64> {
    let mut query = connection.prepare_cached(statement)?;
    bind(&mut query, filter)?;
    let mut rows = query.raw_query();
    let count = rows.next()?.map(|row| row.get(0)).transpose()?;
    Ok(from_sql(count.unwrap_or_default()))
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

    fn order_redrive(&self, filter: &LetterFilter, order: &RedriveOrder) -> Result<(u64, Ordered), StoreError> {
        self.write(|writer| {
            writer.aside(&self.handlers, |connection, _| {
                let next = &mut connection.prepare_cached(schema::NEXT_ORDER)?;
                let job = from_sql(next.query_row(params![to_sql(order.from)], |row| row.get(0))?);
                let held = count(connection, schema::HELD_COUNT, filter)?;
                let already = count(connection, schema::ORDERED_ALREADY, filter)?;
                let mut update = connection.prepare_cached(schema::ORDER_LETTERS)?;
                bind(&mut update, filter)?;
                update.raw_bind_parameter(7, order.most_redriven)?;
                update.raw_bind_parameter(8, to_sql(job))?;
                update.raw_bind_parameter(9, order.through.map(to_sql))?;
                let ordered = update.raw_execute()? as u64;
                // The rest of them was redriven too often.
                let waiting = count(connection, schema::ORDERED_ALREADY, filter)?;
                let refused = count(connection, schema::NOT_HELD_COUNT, filter)?.saturating_sub(waiting);
                let counts = [job, ordered, refused, held, already].map(to_sql);
                connection
                    .prepare_cached(schema::ADD_ORDER)?
                    .execute(rusqlite::params_from_iter(counts))?;
                connection
                    .prepare_cached(schema::DROP_ORDERS)?
                    .execute(params![to_sql(order.kept)])?;
                let ordered = Ordered {
                    ordered,
                    refused,
                    held,
                    already,
                };
                Ok((job, ordered))
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

    fn order_result(&self, job: u64) -> Result<Option<OrderResult>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::ORDER_RESULT)?;
            let found = query.query_row(params![to_sql(job)], |row| {
                let count = |column: usize| -> rusqlite::Result<u64> { Ok(from_sql(row.get(column)?)) };
                Ok(OrderResult {
                    ordered: Ordered {
                        ordered: count(0)?,
                        refused: count(1)?,
                        held: count(2)?,
                        already: count(3)?,
                    },
                    handled: count(4)?,
                    duplicates: count(5)?,
                    failed: count(6)?,
                    cancelled: count(7)?,
                })
            });
            Ok(found.optional()?)
        })
    }

    fn shrink_letters(&self, bound: u64) -> Result<u64, StoreError> {
        if self.letters_size()?.bytes <= bound {
            return Ok(0);
        }
        self.write(|writer| {
            let published = writer.published();
            writer.letters_aside(&self.handlers, |connection, size| {
                shrink(connection, bound, published, size)
            })
        })
    }

    fn cancel_redrive(&self, letters: &[LetterId]) -> Result<u64, StoreError> {
        self.write(|writer| {
            writer.aside(&self.handlers, |connection, _| {
                let mut order_of = connection.prepare_cached(schema::ORDER_OF)?;
                let mut cancel = connection.prepare_cached(schema::CANCEL_LETTER)?;
                let (mut count, mut orders) = (0, OrderTally::default());
                for id in letters {
                    let job: Option<NamingOrder> =
                        order_of.query_row(params![to_sql(*id)], |row| row.get(0)).optional()?;
                    let Some(job) = job else { continue };
                    count += cancel.execute(params![to_sql(*id)])? as u64;
                    orders.add(job, |order| &mut order.cancelled);
                }
                orders.write(connection)?;
                Ok(count)
            })
        })
    }

    fn drop_held_letters(&self, filter: &LetterFilter) -> Result<u64, StoreError> {
        self.write(|writer| {
            writer.letters_aside(&self.handlers, |connection, size| {
                Ok(drop_meant(connection, schema::DROP_HELD_LETTERS, filter, size)?)
            })
        })
    }

    fn drop_letters(&self, filter: &LetterFilter) -> Result<DroppedLetters, StoreError> {
        self.write(|writer| {
            writer.letters_aside(&self.handlers, |connection, size| {
                Ok(DroppedLetters {
                    ordered: count(connection, schema::ORDERED_ALREADY, filter)?,
                    held: count(connection, schema::HELD_COUNT, filter)?,
                    dropped: drop_meant(connection, schema::DROP_LETTERS, filter, size)?,
                })
            })
        })
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
    let key = row.get::<_, Option<String>>("key")?.map(Arc::from);
    Ok(LetterHead {
        id: from_sql(row.get("id")?),
        handler: text("name")?,
        record_key: if key.is_none() { row.get("record_key")? } else { None },
        key,
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
        headers: Headers::from_bytes(&headers).ok_or_else(|| damaged("its headers are invalid"))?,
        timestamp_millis: row.get("timestamp")?,
    };
    Ok(KeptLetter { head, record })
}
