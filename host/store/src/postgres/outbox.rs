//! The outbox of a shard.

use super::fault::{PgFault, from_sql, to_sql};
use super::link::Session;
use super::schema;
use crate::batch;
use sandman_core::store::{BatchNo, OutboxBatch, OutboxSize, Shard};

/// Batches after a number, up to so many bytes.
pub(super) fn batches(
    session: &mut Session,
    shard: Shard,
    (after, max_bytes): (BatchNo, u64),
) -> Result<Vec<OutboxBatch>, PgFault> {
    let shard_number = i32::from(shard.0);
    let rows = session.query(schema::OUTBOX, &[&shard_number, &to_sql(after), &to_sql(max_bytes)])?;
    let one = |row: &::postgres::Row| {
        let number = from_sql(row.try_get(0)?);
        let damaged = |detail| PgFault::Damaged(format!("batch {number} of shard {shard}: {detail}"));
        Ok(OutboxBatch {
            number,
            committed_millis: row.try_get(1)?,
            bytes: from_sql(row.try_get(2)?),
            records: batch::decode(row.try_get(3)?).map_err(damaged)?,
        })
    };
    rows.iter().map(one).collect()
}

/// How much of a shard waits.
pub(super) fn size(session: &mut Session, shard: Shard) -> Result<OutboxSize, PgFault> {
    sized(&session.one(schema::OUTBOX_SIZE, &[&i32::from(shard.0)])?)
}

/// How much of all shards waits.
pub(super) fn backlog(session: &mut Session) -> Result<OutboxSize, PgFault> {
    sized(&session.one(schema::BACKLOG, &[])?)
}

fn sized(row: &::postgres::Row) -> Result<OutboxSize, PgFault> {
    Ok(OutboxSize {
        last: from_sql(row.try_get(0)?),
        published: from_sql(row.try_get(1)?),
        claimed: row.try_get(2)?,
        batches: from_sql(row.try_get(3)?),
        bytes: from_sql(row.try_get(4)?),
        oldest_millis: row.try_get(5)?,
    })
}

/// Goes on above a cursor; what waits is numbered anew if the cursor would cover it.
pub(super) fn adopt(session: &mut Session, (class, shard): (i32, Shard), cursor: BatchNo) -> Result<(), PgFault> {
    let number = i32::from(shard.0);
    session.query(schema::LOCK_SHARDS, &[&class, &vec![number]])?;
    let row = session.one(schema::RAISE_LAST, &[&number, &to_sql(cursor)])?;
    let mut last: i64 = row.try_get(0)?;
    let row = session.one(schema::RAISE_PUBLISHED, &[&number, &to_sql(cursor)])?;
    let published: i64 = row.try_get(0)?;
    let rows = session.query(schema::WAITING, &[&number])?;
    let waiting = rows
        .iter()
        .map(|row| Ok(row.try_get(0)?))
        .collect::<Result<Vec<i64>, PgFault>>()?;
    if waiting.first().is_some_and(|first| *first <= published) {
        // All new numbers lie above all old ones, so none is taken.
        for old in waiting {
            last += 1;
            session.execute(schema::MOVE_BATCH, &[&number, &old, &last])?;
            session.execute(schema::MOVE_LETTERS, &[&number, &old, &last])?;
        }
        session.query(schema::RAISE_LAST, &[&number, &last])?;
    }
    Ok(())
}
