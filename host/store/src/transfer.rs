//! A deployment that is stopped moves from a store in a file to PostgreSQL, or back: all of it, checked. A move that was broken
//! off is continued by the same move.

use crate::moving::{MoveError, MoveProgress, Moved, copy};
use crate::{PostgresStore, SqliteStore};
use sandman_core::store::{HostStore, Shard, Store};

fn is_published(store: &dyn Store) -> Result<(), MoveError> {
    let mut waiting = 0;
    for shard in 0..store.shards() {
        waiting += store.outbox_size(Shard(shard))?.batches;
    }
    match waiting {
        0 => Ok(()),
        waiting => Err(MoveError::Unpublished(waiting)),
    }
}

fn is_stopped(store: &PostgresStore) -> Result<(), MoveError> {
    let live = store.hosts()?.into_iter().find(|host| host.live);
    live.map_or(Ok(()), |host| Err(MoveError::Running(host.name.to_string())))
}

/// Moves a deployment from a file to PostgreSQL. The file is not changed.
///
/// # Errors
/// [`MoveError`]. What was copied stays in the target, which no host can open until the move is done.
pub fn move_to_postgres(
    from: &SqliteStore,
    to: &PostgresStore,
    tell: &mut dyn FnMut(MoveProgress),
) -> Result<Vec<Moved>, MoveError> {
    is_published(from)?;
    is_stopped(to)?;
    from.moving_out(|side| copy((from.id(), side), &mut to.moving_in(), tell))
}

/// Moves a deployment from PostgreSQL to a file. PostgreSQL is not changed.
///
/// # Errors
/// [`MoveError`]. What was copied stays in the target, which no host can open until the move is done.
pub fn move_to_sqlite(
    from: &PostgresStore,
    to: &SqliteStore,
    tell: &mut dyn FnMut(MoveProgress),
) -> Result<Vec<Moved>, MoveError> {
    is_published(from)?;
    is_stopped(from)?;
    from.moving_out(|side| copy((from.id(), side), &mut to.moving_in(), tell))
}
