//! Dead letters: written by the commits that give triggers up, within a bound, and read by operators.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use super::fault::{SqliteFault, from_sql, to_sql};
use super::ledger::{Ledger, NewHandlers};
use super::{SqliteStore, schema};
use sandman_core::event::{Headers, Record, TopicPartition};
use sandman_core::store::{
    Commit, GivenUp, KeptLetter, LetterFilter, LetterHead, LetterId, LetterStore, LetterWrite, LettersSize, NewLetter,
    StoreError,
};

/// Letters that are looked at in one step for what may go.
const STEP: i64 = 100;

/// What a letter takes beside its bytes: columns, cells and indexes, rounded up.
const AROUND: usize = 256;

/// Writes what a commit says of dead letters, and lets the oldest go that are beyond its bound and on Kafka. Returns how
/// many went. The batch of the commit's own records is added already: it is `ledger.last`.
pub(super) fn write(
    connection: &Connection,
    commit: &Commit,
    handlers: &mut NewHandlers<'_>,
    ledger: &Ledger,
    size: &mut LettersSize,
) -> Result<u64, SqliteFault> {
    for write in &commit.letters {
        match write {
            LetterWrite::Add(letter) => add(connection, letter, handlers, ledger, size)?,
        }
    }
    match commit.letters.is_empty() {
        true => Ok(0),
        false => shrink(connection, commit.letters_bound, ledger, size),
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
    } = letter;
    let bytes = weight(key.as_deref(), record, given_up) as u64;
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
    ])?;
    size.count += 1;
    size.bytes += bytes;
    Ok(())
}

fn weight(key: Option<&str>, record: &Record, given_up: &GivenUp) -> usize {
    let state = given_up.state.as_deref().map_or(0, str::len);
    AROUND + key.map_or(0, str::len) + record.weight() + given_up.reason.len() + state
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
            drop.execute(params![id])?;
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

impl LetterStore for SqliteStore {
    fn letters(&self, filter: &LetterFilter, after: LetterId, most: usize) -> Result<Vec<LetterHead>, StoreError> {
        let LetterFilter {
            id,
            handler,
            key,
            code,
            since_millis,
        } = filter;
        self.read(|connection| {
            let mut query = connection.prepare_cached(schema::LETTERS)?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let meant = params![to_sql(after), most, id.map(to_sql), handler, key, code, since_millis];
            let mut rows = query.query(meant)?;
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
