//! The store of a fleet: one PostgreSQL schema, and any number of hosts.
//!
//! Nothing that this process remembers is trusted: a commit checks, in its own transaction, the revision of every state
//! on which it depends and the epoch of every partition. Locks are held for a transaction and no longer. If the
//! response to a commit is lost, the store asks for the commit's number, which the commit itself has written.

mod aside;
mod changes;
mod commit;
mod fault;
mod files;
mod fleet;
mod letters;
mod link;
mod moving;
mod open;
mod open_error;
mod outbox;
mod passfile;
mod places;
mod plan;
mod recordings;
mod schema;
mod session;
mod target;
mod tls;
mod versions;

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};

use crate::{batch, numbers};
use aside::aside;
use fault::{PgFault, from_sql};
use link::Link;
use places::RowPlaces;
use sandman_core::event::{TopicId, TopicPartition};
use sandman_core::progress::Progress;
use sandman_core::recent::RecentEvents;
use sandman_core::store::{
    ANSWER_MILLIS, Answered, Assigned, Attempts, BatchNo, Commit, CommitResult, Epoch, OutboxBatch, OutboxSize,
    Revision, Shard, ShardLease, Store, StoreError, StoreId, Stored,
};
use session::Session;
use target::ConnectTarget;

pub use fleet::JoinError;
pub use open_error::PgOpenError;
pub use target::PgOptions;

/// Connections for reads, besides the one for commits.
const READERS: usize = 3;

/// A deployment's store, for one of its hosts. Threads share it freely.
pub struct PostgresStore {
    id: StoreId,
    target: Arc<ConnectTarget>,
    shards: u16,
    /// The first half of the keys of our advisory locks.
    lock_class: i32,
    writer: Mutex<Link>,
    /// Where commits have found the rows that all of them change.
    places: Mutex<RowPlaces>,
    readers: Vec<Mutex<Link>>,
    /// Statements that were sent on the connection that commits.
    round_trips: Arc<AtomicU64>,
    /// Why it is not known whether the last commit took effect, while that is being found out.
    doubt: Arc<Mutex<Option<String>>>,
    /// The ids of handlers' names.
    handlers: RwLock<HashMap<Arc<str>, i32>>,
    /// Why the store refuses all work, after the result of a commit could not be found out.
    failed: Arc<OnceLock<String>>,
    fleet: fleet::Fleet,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore")
            .field("target", &self.target.name)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens the deployment's store; creates its tables if they are missing.
    ///
    /// # Errors
    /// [`PgOpenError`], which names the server and says what to do.
    pub fn open(options: &PgOptions) -> Result<Self, PgOpenError> {
        open::open(options, false)
    }

    /// The same as the target of a move, which may have been begun before.
    ///
    /// # Errors
    /// As for [`PostgresStore::open`].
    pub fn open_target(options: &PgOptions) -> Result<Self, PgOpenError> {
        open::open(options, true)
    }

    /// Runs a query outside of any transaction. It may run twice if a connection turns out to be gone.
    fn read<T: Send>(&self, query: impl FnMut(&mut Session) -> Result<T, PgFault> + Send) -> Result<T, StoreError> {
        self.usable()?;
        self.look(query).map_err(|fault| fault.named(&self.target.name))
    }

    fn look<T: Send>(&self, query: impl FnMut(&mut Session) -> Result<T, PgFault> + Send) -> Result<T, PgFault> {
        let read = || {
            let idle = self.readers.iter().find_map(Mutex::try_lock);
            let mut link = match (idle, self.readers.first()) {
                (Some(idle), _) => idle,
                (None, Some(first)) => first.lock(),
                (None, None) => self.writer.lock(),
            };
            link.read(query)
        };
        aside(read, PgFault::Away)
    }

    /// Runs a separate transaction, on another connection than the commits.
    fn write<T: Send>(&self, work: impl FnMut(&mut Session) -> Result<T, PgFault> + Send) -> Result<T, StoreError> {
        self.usable()?;
        let done = self.transact(work).map_err(|fault| fault.named(&self.target.name));
        self.note_failure(&done);
        done
    }

    /// Runs a transaction on the connection of the commits.
    fn transact<T: Send>(&self, work: impl FnMut(&mut Session) -> Result<T, PgFault> + Send) -> Result<T, PgFault> {
        aside(|| self.writer.lock().transact(work), PgFault::Away)
    }

    fn note_failure<T>(&self, result: &Result<T, StoreError>) {
        if let Err(StoreError::Failed(why)) = result {
            // Only the first reason is kept.
            let _ = self.failed.set(why.clone());
        }
    }

    fn usable(&self) -> Result<(), StoreError> {
        match self.failed.get() {
            None => Ok(()),
            Some(why) => Err(StoreError::Failed(why.clone())),
        }
    }

    /// The id of a handler, if it has one.
    fn known_handler(&self, name: &str) -> Result<Option<i32>, StoreError> {
        if let Some(id) = self.handlers.read().get(name) {
            return Ok(Some(*id));
        }
        let found = self.read(|session| {
            let rows = session.query(schema::HANDLER, &[&name])?;
            rows.first().map(|row| Ok(row.try_get(0)?)).transpose()
        })?;
        if let Some(id) = found {
            self.handlers.write().insert(name.into(), id);
        }
        Ok(found)
    }

    /// The id of a handler, created if it has none.
    fn handler(&self, name: &Arc<str>) -> Result<i32, StoreError> {
        if let Some(id) = self.known_handler(name)? {
            return Ok(id);
        }
        self.read(|session| {
            session.execute(schema::ADD_HANDLER, &[&&**name])?;
            Ok(())
        })?;
        let unknown = || StoreError::Unavailable(format!("handler {name} has no number yet"));
        self.known_handler(name)?.ok_or_else(unknown)
    }
}

impl Store for PostgresStore {
    fn id(&self) -> &StoreId {
        &self.id
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn in_doubt(&self) -> Option<String> {
        self.doubt.lock().clone()
    }

    fn shards(&self) -> u16 {
        self.shards
    }

    fn leases(&self) -> Vec<ShardLease> {
        self.fleet.leases()
    }

    fn state(&self, handler: &str, key: &str) -> Result<Option<Stored>, StoreError> {
        let Some(handler) = self.known_handler(handler)? else {
            return Ok(None);
        };
        self.read(|session| {
            let rows = session.query(schema::STATE, &[&handler, &key.as_bytes()])?;
            let stored = rows.first().map(|row| {
                let document: Option<&str> = row.try_get(2)?;
                let recent: Option<&[u8]> = row.try_get(3)?;
                Ok(Stored {
                    revision: Revision::new(from_sql(row.try_get(0)?), from_sql(row.try_get(1)?)),
                    document: document.map(Arc::from),
                    recent: RecentEvents::from_bytes(recent.unwrap_or_default()),
                    since_millis: row.try_get(4)?,
                    held: letters::held_count(row, 5)?,
                })
            });
            stored.transpose()
        })
    }

    fn assign(&self, handler: &Arc<str>, partitions: &[TopicPartition]) -> Result<Vec<Assigned>, StoreError> {
        let handler = self.handler(handler)?;
        // Always in the same order, to avoid deadlocks.
        let mut order: Vec<(usize, &TopicPartition)> = partitions.iter().enumerate().collect();
        order.sort_by(|one, other| one.1.cmp(other.1));
        self.write(|session| {
            let mut assigned = vec![Assigned::default(); partitions.len()];
            for (at, partition) in &order {
                if let Some(slot) = assigned.get_mut(*at) {
                    *slot = assign(session, handler, partition)?;
                }
            }
            Ok(assigned)
        })
    }

    fn progress(&self, handler: &str) -> Result<Vec<(TopicPartition, Progress)>, StoreError> {
        let Some(handler) = self.known_handler(handler)? else {
            return Ok(Vec::new());
        };
        self.read(|session| {
            let rows = session.query(schema::PROGRESS, &[&handler])?;
            let one = |row: &::postgres::Row| {
                let topic: &str = row.try_get(0)?;
                let partition = TopicPartition {
                    topic: topic.into(),
                    partition: row.try_get(1)?,
                };
                let progress = decode_progress(row.try_get(2)?, &partition)?;
                Ok((partition, progress))
            };
            rows.iter().map(one).collect()
        })
    }

    fn topic_id(&self, handler: &str, topic: &str) -> Result<Option<TopicId>, StoreError> {
        let Some(handler) = self.known_handler(handler)? else {
            return Ok(None);
        };
        self.read(|session| {
            let rows = session.query(schema::TOPIC_ID, &[&handler, &topic])?;
            let id = rows.first().map(|row| {
                let id: &str = row.try_get(0)?;
                Ok(TopicId(id.into()))
            });
            id.transpose()
        })
    }

    fn adopt_topic(&self, handler: &Arc<str>, topic: &str, id: &TopicId) -> Result<(), StoreError> {
        let handler = self.handler(handler)?;
        self.write(|session| {
            session.execute(schema::SET_TOPIC_ID, &[&handler, &topic, &&*id.0])?;
            Ok(())
        })
    }

    fn restart_topic(&self, handler: &Arc<str>, topic: &str, id: &TopicId) -> Result<(), StoreError> {
        let handler = self.handler(handler)?;
        self.write(|session| {
            session.execute(schema::FORGET_TOPIC_PROGRESS, &[&handler, &topic])?;
            session.execute(schema::FORGET_TOPIC_ATTEMPTS, &[&handler, &topic])?;
            session.execute(schema::SET_TOPIC_ID, &[&handler, &topic, &&*id.0])?;
            Ok(())
        })
    }

    fn answered(&self, key: &str, idempotency_key: &str, now_millis: i64) -> Result<Option<Answered>, StoreError> {
        let oldest = now_millis - ANSWER_MILLIS;
        self.read(|session| {
            let rows = session.query(schema::ANSWER, &[&key.as_bytes(), &idempotency_key.as_bytes(), &oldest])?;
            let answered = rows.first().map(|row| {
                let status: i32 = row.try_get(1)?;
                Ok(Answered {
                    digest: row.try_get(0)?,
                    status: u16::try_from(status).unwrap_or_default(),
                    body: row.try_get(2)?,
                })
            });
            answered.transpose()
        })
    }

    fn commit(&self, commit: &Commit, now_millis: i64) -> Result<CommitResult, StoreError> {
        self.usable()?;
        let result = self.commit_plan(commit, now_millis);
        self.note_failure(&result);
        result
    }

    fn outbox(&self, shard: Shard, after: BatchNo, max_bytes: u64) -> Result<Vec<OutboxBatch>, StoreError> {
        self.read(|session| outbox::batches(session, shard, (after, max_bytes)))
    }

    fn outbox_size(&self, shard: Shard) -> Result<OutboxSize, StoreError> {
        self.read(|session| outbox::size(session, shard))
    }

    fn backlog(&self) -> Result<OutboxSize, StoreError> {
        self.usable()?;
        Ok(self.fleet.backlog())
    }

    fn skip_numbers(&self) -> Result<(), StoreError> {
        let (many, class, shards) = (numbers::to_skip(), self.lock_class, self.shards);
        self.write(|session| outbox::skip_numbers(session, (class, shards), many))
    }

    fn skipped(&self, shard: Shard, number: BatchNo) -> Result<Option<BatchNo>, StoreError> {
        self.read(|session| outbox::skipped(session, shard, number))
    }

    fn forget_kafka(&self) -> Result<(), StoreError> {
        self.write(|session| Ok(session.batch(schema::FORGET)?))
    }

    fn claimed(&self, shard: Shard) -> Result<(), StoreError> {
        self.write(|session| {
            session.execute(schema::CLAIMED, &[&i32::from(shard.0)])?;
            Ok(())
        })
    }

    fn adopt(&self, shard: Shard, batch: BatchNo) -> Result<(), StoreError> {
        self.write(|session| outbox::adopt(session, (self.lock_class, shard), batch))
    }
}

fn assign(session: &mut Session, handler: i32, partition: &TopicPartition) -> Result<Assigned, PgFault> {
    let (topic, number) = (&*partition.topic, partition.partition);
    let row = session.one(schema::ASSIGN, &[&handler, &topic, &number])?;
    let done: Option<&[u8]> = row.try_get(1)?;
    let progress = done.map(|done| decode_progress(done, partition)).transpose()?;
    let epoch = Epoch(from_sql(row.try_get(0)?));
    let attempts = session.query(schema::ATTEMPTS, &[&handler, &topic, &number])?;
    let one = |row: &::postgres::Row| {
        let failed: i32 = row.try_get(1)?;
        Ok(Attempts {
            offset: row.try_get(0)?,
            failed: u32::try_from(failed).unwrap_or_default(),
            due_millis: row.try_get(2)?,
        })
    };
    Ok(Assigned {
        epoch,
        progress,
        attempts: attempts.iter().map(one).collect::<Result<_, PgFault>>()?,
    })
}

fn decode_progress(done: &[u8], partition: &TopicPartition) -> Result<Progress, PgFault> {
    batch::decode_progress(done).map_err(|detail| PgFault::Damaged(format!("the progress in {partition}: {detail}")))
}
