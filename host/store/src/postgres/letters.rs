//! Dead letters: written by the commits that give up triggers, limited in size, and read by operators.

mod commit;

use std::sync::Arc;

use ::postgres::Row;
use ::postgres::types::ToSql;

use super::fault::{PgFault, from_sql, to_sql};
use super::{PostgresStore, schema};
use sandman_core::event::{Headers, Record, TopicPartition};
use sandman_core::reason::GivenUp;
use sandman_core::store::{
    DroppedLetters, HeldCount, HeldKey, HeldName, Hold, KeptLetter, LetterFilter, LetterHead, LetterId, LetterStore,
    LettersSize, OrderResult, Ordered, OrderedLetter, Pause, RedriveOrder, StoreError,
};

pub(super) use commit::{handlers, write};

/// The first six parameters of every statement that takes a filter.
struct LetterBound<'a> {
    filter: &'a LetterFilter,
    id: Option<i64>,
    key: Option<&'a [u8]>,
    job: Option<i64>,
}

impl<'a> LetterBound<'a> {
    fn of(filter: &'a LetterFilter) -> Self {
        Self {
            filter,
            id: filter.id.map(to_sql),
            key: filter.key.as_deref().map(str::as_bytes),
            job: filter.job.map(to_sql),
        }
    }

    fn with<'p>(&'p self, more: &[&'p (dyn ToSql + Sync)]) -> Vec<&'p (dyn ToSql + Sync)> {
        let filter = self.filter;
        let mut all: Vec<&'p (dyn ToSql + Sync)> = vec![
            &self.id,
            &filter.handler,
            &self.key,
            &filter.code,
            &filter.since_millis,
            &self.job,
        ];
        all.extend_from_slice(more);
        all
    }
}

impl LetterStore for PostgresStore {
    fn letters(&self, filter: &LetterFilter, after: LetterId, most: usize) -> Result<Vec<LetterHead>, StoreError> {
        let (after, most) = (to_sql(after), to_sql(most as u64));
        let bound = LetterBound::of(filter);
        self.read(|session| {
            let rows = session.query(schema::LETTERS, &bound.with(&[&after, &most]))?;
            rows.iter().map(|row| head(row, None)).collect()
        })
    }

    fn letter(&self, id: LetterId) -> Result<Option<KeptLetter>, StoreError> {
        self.read(|session| {
            let rows = session.query(schema::LETTER, &[&to_sql(id)])?;
            rows.first().map(whole).transpose()
        })
    }

    fn letters_size(&self) -> Result<LettersSize, StoreError> {
        self.read(|session| {
            let row = session.one(schema::LETTERS_SIZE, &[])?;
            Ok(LettersSize {
                count: from_sql(row.try_get(0)?),
                bytes: from_sql(row.try_get(1)?),
                held_bytes: from_sql(row.try_get(2)?),
            })
        })
    }

    fn order_redrive(&self, filter: &LetterFilter, order: &RedriveOrder) -> Result<(u64, Ordered), StoreError> {
        let bound = LetterBound::of(filter);
        let most_redriven = i64::from(order.most_redriven);
        let (from, through, kept) = (to_sql(order.from), order.through.map(to_sql), to_sql(order.kept));
        self.write(|session| {
            // Two hosts may create orders at once: without the lock they could get the same number, or a deadlock on
            // letters of both.
            session.query(schema::LOCK_ORDERS, &[&self.lock_class])?;
            let job: i64 = session.one(schema::NEXT_ORDER, &[&from])?.try_get(0)?;
            let left_out = session.one(schema::LEFT_OUT, &bound.with(&[&most_redriven]))?;
            let ordered = session.execute(schema::ORDER_LETTERS, &bound.with(&[&most_redriven, &job, &through]))?;
            let [refused, held, already]: [i64; 3] = [left_out.try_get(0)?, left_out.try_get(1)?, left_out.try_get(2)?];
            session.execute(schema::ADD_ORDER, &[&job, &to_sql(ordered), &refused, &held, &already])?;
            session.execute(schema::DROP_ORDERS, &[&kept])?;
            let ordered = Ordered {
                ordered,
                refused: from_sql(refused),
                held: from_sql(held),
                already: from_sql(already),
            };
            Ok((from_sql(job), ordered))
        })
    }

    fn ordered(&self, most: usize) -> Result<Vec<OrderedLetter>, StoreError> {
        self.read(|session| {
            let rows = session.query(schema::ORDERED_LETTERS, &[&to_sql(most as u64)])?;
            let one = |row: &Row| {
                let through: Option<i64> = row.try_get(2)?;
                Ok(OrderedLetter {
                    id: from_sql(row.try_get(0)?),
                    handler: row.try_get::<_, &str>(1)?.into(),
                    through: through.map(from_sql),
                })
            };
            rows.iter().map(one).collect()
        })
    }

    fn cancel_redrive(&self, letters: &[LetterId]) -> Result<u64, StoreError> {
        let ids: Vec<i64> = letters.iter().map(|id| to_sql(*id)).collect();
        self.write(|session| Ok(from_sql(session.one(schema::CANCEL_LETTERS, &[&ids])?.try_get(0)?)))
    }

    fn order_result(&self, job: u64) -> Result<Option<OrderResult>, StoreError> {
        self.read(|session| {
            let rows = session.query(schema::ORDER_RESULT, &[&to_sql(job)])?;
            let one = |row: &Row| {
                let count = |column: usize| -> Result<u64, PgFault> { Ok(from_sql(row.try_get(column)?)) };
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
            };
            rows.first().map(one).transpose()
        })
    }

    fn shrink_letters(&self, bound: u64) -> Result<u64, StoreError> {
        self.write(|session| Ok(session.execute(schema::SHRINK_LETTERS, &[&to_sql(bound)])?))
    }

    fn drop_held_letters(&self, filter: &LetterFilter) -> Result<u64, StoreError> {
        let bound = LetterBound::of(filter);
        self.write(|session| Ok(session.execute(schema::DROP_HELD_LETTERS, &bound.with(&[]))?))
    }

    fn drop_letters(&self, filter: &LetterFilter) -> Result<DroppedLetters, StoreError> {
        let bound = LetterBound::of(filter);
        self.write(|session| {
            let left_out = session.one(schema::LEFT_OUT, &bound.with(&[&0_i64]))?;
            Ok(DroppedLetters {
                held: from_sql(left_out.try_get(1)?),
                ordered: from_sql(left_out.try_get(2)?),
                dropped: session.execute(schema::DROP_LETTERS, &bound.with(&[]))?,
            })
        })
    }

    fn held_keys(&self) -> Result<Vec<HeldKey>, StoreError> {
        self.read(|session| {
            let rows = session.query(schema::HELD_KEYS, &[])?;
            let one = |row: &Row| {
                let name = HeldName {
                    handler: row.try_get::<_, &str>(0)?.into(),
                    key: text(row.try_get(1)?)?,
                };
                let held = held_count(row, 2)?.unwrap_or_default();
                Ok(HeldKey { name, held })
            };
            rows.iter().map(one).collect()
        })
    }

    fn held_letters(&self, name: &HeldName, most: usize) -> Result<Vec<LetterId>, StoreError> {
        self.read(|session| {
            let rows = session.query(
                schema::HELD_LETTERS,
                &[&&*name.handler, &name.key.as_bytes(), &to_sql(most as u64)],
            )?;
            rows.iter().map(|row| Ok(from_sql(row.try_get(0)?))).collect()
        })
    }

    fn pauses(&self) -> Result<Vec<(Arc<str>, Pause)>, StoreError> {
        self.read(|session| {
            let rows = session.query(schema::PAUSES, &[])?;
            let one = |row: &Row| {
                let pause = Pause {
                    at_millis: row.try_get(1)?,
                    by: row.try_get(2)?,
                    reason: row.try_get(3)?,
                };
                Ok((row.try_get::<_, &str>(0)?.into(), pause))
            };
            rows.iter().map(one).collect()
        })
    }
}

/// Reads the held letters of a key from three columns starting at `first`: letters, bytes, and whether they are released.
pub(super) fn held_count(row: &Row, first: usize) -> Result<Option<HeldCount>, PgFault> {
    let count: i64 = row.try_get(first)?;
    if count == 0 {
        return Ok(None);
    }
    Ok(Some(HeldCount {
        count: from_sql(count),
        bytes: from_sql(row.try_get(first + 1)?),
        released: row.try_get(first + 2)?,
    }))
}

fn text(bytes: &[u8]) -> Result<Arc<str>, PgFault> {
    std::str::from_utf8(bytes).map(Arc::from).map_err(damaged)
}

fn damaged(detail: impl std::fmt::Display) -> PgFault {
    PgFault::Damaged(format!("a dead letter: {detail}"))
}

fn head(row: &Row, state: Option<Arc<str>>) -> Result<LetterHead, PgFault> {
    let word = |column: &str| -> Result<Arc<str>, PgFault> { Ok(row.try_get::<_, &str>(column)?.into()) };
    let key: Option<&[u8]> = row.try_get("key")?;
    let key = key.map(text).transpose()?;
    let count = |column: &str| -> Result<u32, PgFault> {
        Ok(u32::try_from(row.try_get::<_, i32>(column)?).unwrap_or_default())
    };
    Ok(LetterHead {
        id: from_sql(row.try_get("id")?),
        handler: word("name")?,
        record_key: if key.is_none() {
            row.try_get("record_key")?
        } else {
            None
        },
        key,
        topic: word("topic")?,
        partition: row.try_get("partition")?,
        offset: row.try_get("record")?,
        given_up: GivenUp {
            code: word("code")?.parse().map_err(damaged)?,
            reason: row.try_get("reason")?,
            version: from_sql(row.try_get("version")?),
            digest: word("digest")?,
            attempts: count("attempts")?,
            state,
            at_millis: row.try_get("at")?,
        },
        redriven: count("redriven")?,
        hold: match row.try_get::<_, i32>("held")? {
            0 => Hold::No,
            1 => Hold::Head,
            _ => Hold::Behind,
        },
        ordered: row.try_get("ordered")?,
    })
}

fn whole(row: &Row) -> Result<KeptLetter, PgFault> {
    let state: Option<&str> = row.try_get("state")?;
    let head = head(row, state.map(Arc::from))?;
    let headers: &[u8] = row.try_get("headers")?;
    let record = Record {
        source: TopicPartition {
            topic: Arc::clone(&head.topic),
            partition: head.partition,
        },
        offset: head.offset,
        key: row.try_get("record_key")?,
        value: row.try_get("value")?,
        headers: Headers::from_bytes(headers).ok_or_else(|| damaged("its headers are invalid"))?,
        timestamp_millis: row.try_get("timestamp")?,
    };
    Ok(KeptLetter { head, record })
}
