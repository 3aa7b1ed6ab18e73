//! The outbox of a shard.

use super::fault::{PgFault, from_sql, to_sql};
use super::link::Link;
use super::schema;
use super::session::Session;
use crate::batch;
use sandman_core::store::{BatchNo, OutboxBatch, OutboxSize, Shard};

/// The batches after a number, up to a limit of bytes.
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

/// If a table of the outbox is larger than this, 8 MiB, the next one is emptied and used.
const FULL: i64 = 8 << 20;
/// How many tables are used in turn.
const SLOTS: i32 = 3;

/// Switches to the next table of the outbox if the current one is full, and empties it, provided that all of it is in
/// Kafka. Nothing depends on which table a batch is in. Returns whether it switched.
pub(super) fn rotate(link: &mut Link) -> Result<bool, PgFault> {
    let (slot, bytes) = link.read(|session| {
        let row = session.one(schema::OUTBOX_SLOT, &[])?;
        Ok((row.try_get::<_, i32>(0)?, row.try_get::<_, i64>(1)?))
    })?;
    if bytes < FULL {
        return Ok(false);
    }
    let next = (slot + 1).rem_euclid(SLOTS);
    let turned = link.transact(|session| {
        // The lock waits only briefly for current users of the table, because all others queue behind it.
        session.batch("SET LOCAL lock_timeout = '200ms'")?;
        session.batch(&format!("LOCK TABLE outbox_{next} IN ACCESS EXCLUSIVE MODE"))?;
        if session.one(schema::SLOT_WAITS, &[&next])?.try_get(0)? {
            return Ok(false);
        }
        session.batch(&format!("TRUNCATE outbox_{next}"))?;
        session.execute(schema::SET_SLOT, &[&next])?;
        Ok(true)
    });
    match turned {
        Err(fault) if fault.is_lock_timeout() => Ok(false),
        turned => turned,
    }
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

/// Continues the numbers of all shards far above the last ones, and keeps which are skipped until their relays are past them.
pub(super) fn skip_numbers(session: &mut Session, (class, shards): (i32, u16), many: BatchNo) -> Result<(), PgFault> {
    let all: Vec<i32> = (0..i32::from(shards)).collect();
    session.query(schema::LOCK_SHARDS, &[&class, &all])?;
    session.execute(schema::DROP_SKIPPED, &[])?;
    session.execute(schema::EXTEND_SKIPPED, &[&to_sql(many)])?;
    session.execute(schema::ADD_SKIPPED, &[&to_sql(many)])?;
    session.execute(schema::SKIP, &[&to_sql(many)])?;
    Ok(())
}

/// The last number of the shard before the skipped ones, if this is one of them.
pub(super) fn skipped(session: &mut Session, shard: Shard, number: BatchNo) -> Result<Option<BatchNo>, PgFault> {
    let rows = session.query(schema::SKIPPED, &[&i32::from(shard.0), &to_sql(number)])?;
    let before = rows.first().map(|row| Ok(from_sql(row.try_get(0)?)));
    before.transpose()
}

/// Continues above a cursor; waiting batches are renumbered if the cursor would cover them.
pub(super) fn adopt(session: &mut Session, (class, shard): (i32, Shard), cursor: BatchNo) -> Result<(), PgFault> {
    let number = i32::from(shard.0);
    session.query(schema::LOCK_SHARDS, &[&class, &vec![number]])?;
    let before: i64 = session.one(schema::PUBLISHED, &[&number])?.try_get(0)?;
    let row = session.one(schema::RAISE_LAST, &[&number, &to_sql(cursor)])?;
    let mut last: i64 = row.try_get(0)?;
    let row = session.one(schema::RAISE_PUBLISHED, &[&number, &to_sql(cursor)])?;
    let published: i64 = row.try_get(0)?;
    let rows = session.query(schema::WAITING, &[&number, &before])?;
    let waiting = rows
        .iter()
        .map(|row| Ok(row.try_get(0)?))
        .collect::<Result<Vec<i64>, PgFault>>()?;
    if waiting.first().is_some_and(|first| *first <= published) {
        // All new numbers are above all old ones, so none is taken.
        for old in waiting {
            last += 1;
            session.execute(schema::MOVE_BATCH, &[&number, &old, &last])?;
            session.execute(schema::MOVE_LETTERS, &[&number, &old, &last])?;
        }
        session.query(schema::RAISE_LAST, &[&number, &last])?;
    }
    session.execute(schema::FORGET_SKIPPED, &[&number])?;
    Ok(())
}
