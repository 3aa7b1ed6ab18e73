//! This host in the fleet: its heartbeat, and the shards whose relays it runs.
//!
//! A lease expires by the server's clock, so that another host can continue. The previous holder can do no harm because
//! of the lease's epoch, which the store compares, and Kafka's transactional id, which belongs to the shard.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;
use thiserror::Error;

use super::fault::{PgFault, from_sql};
use super::link::{Link, pause};
use super::session::Session;
use super::target::ConnectTarget;
use super::{PostgresStore, outbox, schema};
use sandman_core::store::{Epoch, HostEntry, HostStore, OutboxSize, Shard, ShardLease, StoreError, StoreStatistics};

/// How often the host sends a heartbeat and renews its leases.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The host reads the sizes of the tables once in this many heartbeats.
const TABLES: u64 = 10;

/// A host without a heartbeat for this time is gone, and its name is free.
const SILENT: Duration = Duration::from_secs(4);

/// Without a renewal for this time the leases count as lost; a little less than the time after which the store gives
/// them to another host.
const LOST: Duration = Duration::from_secs(8);

/// Why the host cannot join the fleet.
#[derive(Debug, Error)]
pub enum JoinError {
    /// Another process has the name.
    #[error(
        "another host named `{0}` runs in this deployment; give each host its own [host] name (SANDMAN_HOST__NAME)"
    )]
    Taken(String),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread cannot be started.
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

#[derive(Debug, Default)]
struct View {
    leases: BTreeMap<Shard, Epoch>,
    /// Leases that are being given up: the relay has until the next heartbeat to end.
    leaving: Vec<Shard>,
    backlog: OutboxSize,
    /// This host's report about itself.
    report: String,
    /// The statistics of the store, without those that are counted elsewhere.
    statistics: StoreStatistics,
}

/// This host in the fleet.
pub(super) struct Fleet {
    target: Arc<ConnectTarget>,
    instance: String,
    view: Arc<Mutex<View>>,
    running: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
    /// Shared with the store: why it refuses all work.
    failed: Arc<OnceLock<String>>,
}

impl Fleet {
    pub(super) fn new(target: &Arc<ConnectTarget>, failed: &Arc<OnceLock<String>>) -> Self {
        Self {
            failed: Arc::clone(failed),
            target: Arc::clone(target),
            instance: target.instance.clone(),
            view: Arc::default(),
            running: Mutex::default(),
        }
    }

    pub(super) fn leases(&self) -> Vec<ShardLease> {
        let view = self.view.lock();
        let one = |(shard, epoch): (&Shard, &Epoch)| ShardLease {
            shard: *shard,
            epoch: *epoch,
        };
        view.leases.iter().map(one).collect()
    }

    pub(super) fn backlog(&self) -> OutboxSize {
        self.view.lock().backlog
    }

    fn join(&self, name: &str, shards: u16) -> Result<(), JoinError> {
        let mut host = HeartbeatThread {
            link: Link::new(&self.target),
            beats: 0,
            name: name.to_owned(),
            instance: self.instance.clone(),
            shards,
            view: Arc::clone(&self.view),
            renewed: Instant::now(),
            failed: Arc::clone(&self.failed),
        };
        let named = |fault: PgFault| JoinError::Store(fault.named(&self.target.name));
        if host.is_named_like_another().map_err(named)? {
            return Err(JoinError::Taken(name.to_owned()));
        }
        host.enter().map_err(named)?;
        host.heartbeat().map_err(named)?;
        let (stop, stopped) = bounded(1);
        let thread = std::thread::Builder::new().name("fleet".to_owned()).spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(HEARTBEAT) {
                host.live();
            }
            host.leave();
        })?;
        *self.running.lock() = Some((stop, thread));
        Ok(())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.lock().take() {
            drop(stop);
            // The thread gives up its name and leases, within the timeouts of its connection.
            thread.join().ok();
        }
    }
}

/// The data of the heartbeat thread.
struct HeartbeatThread {
    link: Link,
    beats: u64,
    name: String,
    instance: String,
    shards: u16,
    view: Arc<Mutex<View>>,
    renewed: Instant,
    failed: Arc<OnceLock<String>>,
}

impl HeartbeatThread {
    /// Whether another host of this name is alive: its row changes while it is watched. The row of a killed host does
    /// not change, and its successor need not wait until the leases expire.
    fn is_named_like_another(&mut self) -> Result<bool, PgFault> {
        let (name, instance) = (&self.name, &self.instance);
        let mut sign = || {
            self.link.read(|session| {
                let rows = session.query(schema::OTHER_HOST, &[name, instance])?;
                let sign = rows.first().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
                sign.transpose()
            })
        };
        let first: Option<(String, String)> = sign()?;
        let until = Instant::now() + SILENT;
        while first.is_some() && Instant::now() < until {
            pause(HEARTBEAT / 4);
            match sign()? {
                None => return Ok(false),
                again if again != first => return Ok(true),
                _ => {}
            }
        }
        Ok(false)
    }

    /// Takes the name.
    fn enter(&mut self) -> Result<(), PgFault> {
        let (name, instance) = (&self.name, &self.instance);
        self.link.transact(|session| {
            session.execute(schema::RELEASE_PREDECESSOR, &[name, instance])?;
            session.execute(schema::ENTER, &[name, instance])?;
            session.execute(schema::DROP_LINKS, &[])?;
            Ok(())
        })
    }

    fn live(&mut self) {
        match self.heartbeat() {
            Ok(()) => return,
            Err(PgFault::Replaced) => return self.end(),
            Err(fault) => {
                tracing::warn!(error = %fault.named("the store"), "this host cannot send its heartbeat");
            }
        }
        let over = self.renewed.elapsed() >= LOST;
        let mut view = self.view.lock();
        if over && !view.leases.is_empty() {
            tracing::warn!("the leases of this host's shards have expired; another host may publish them");
            view.statistics.lease_changes += view.leases.len() as u64;
            view.leases.clear();
        }
    }

    /// Reads the statistics of the server for operators once in a while.
    fn look_at_tables(&mut self) -> Result<(), PgFault> {
        self.beats += 1;
        if self.beats % TABLES != 1 {
            return Ok(());
        }
        let (snapshot, transaction, tables) = self.link.read(|session| {
            let oldest = session.one(schema::OLDEST, &[])?;
            let rows = session.query(schema::TABLE_BYTES, &[])?;
            let table = |row: &::postgres::Row| Ok((row.try_get::<_, &str>(0)?.into(), from_sql(row.try_get(1)?)));
            let tables = rows.iter().map(table).collect::<Result<Vec<_>, PgFault>>()?;
            Ok((from_sql(oldest.try_get(0)?), from_sql(oldest.try_get(1)?), tables))
        })?;
        let statistics = &mut self.view.lock().statistics;
        statistics.oldest_snapshot = snapshot;
        statistics.oldest_transaction_millis = transaction;
        statistics.tables = tables;
        Ok(())
    }

    /// Another host has taken the name while this one was silent: stops this host.
    fn end(&mut self) {
        self.view.lock().leases.clear();
        let reason = format!(
            "another host named `{}` has taken this one's place while it was silent",
            self.name
        );
        // Only the first reason is kept.
        let _ = self.failed.set(reason);
    }

    /// Sends a heartbeat, renews the leases, and takes or gives up shards so that every host has about as many.
    fn heartbeat(&mut self) -> Result<(), PgFault> {
        let began = Instant::now();
        let (leaving, report) = {
            let mut view = self.view.lock();
            (std::mem::take(&mut view.leaving), view.report.clone())
        };
        let (name, instance, shards) = (&self.name, &self.instance, self.shards);
        let found = self.link.transact(|session| {
            if session.execute(schema::SEEN, &[name, instance, &report])? == 0 {
                return Err(PgFault::Replaced);
            }
            release(session, instance, &leaving)?;
            let mut held = leases(session, schema::RENEW, &[instance])?;
            let live: i64 = session.one(schema::LIVE_HOSTS, &[])?.try_get(0)?;
            let fair = i64::from(shards).div_euclid(live.max(1)) + i64::from(i64::from(shards) % live.max(1) > 0);
            let wanted = fair - i64::try_from(held.len()).unwrap_or(i64::MAX);
            if wanted > 0 {
                held.extend(leases(session, schema::TAKE_SHARDS, &[instance, &wanted])?);
            }
            let fair = usize::try_from(fair).unwrap_or(usize::MAX);
            Ok((held, fair, outbox::backlog(session)?, from_sql(live)))
        });
        let (mut held, fair, backlog, live) = found?;
        self.renewed = began;
        self.look_at_tables()?;
        // One host is enough.
        if held.contains_key(&Shard::default()) {
            outbox::rotate(&mut self.link)?;
        }
        let mut view = self.view.lock();
        view.statistics.live_hosts = live;
        while held.len() > fair {
            // Not those that are already being given up: these are not renewed any more.
            view.leaving.extend(held.pop_last().map(|(shard, _)| shard));
        }
        if held != view.leases {
            let shards: Vec<String> = held.keys().map(ToString::to_string).collect();
            tracing::info!(shards = shards.join(","), "the shards that this host publishes");
            view.statistics.lease_changes += lease_changes(&view.leases, &held);
        }
        (view.leases, view.backlog) = (held, backlog);
        Ok(())
    }

    /// The host ends: others need not wait until its leases expire.
    fn leave(&mut self) {
        let instance = &self.instance;
        let left = self.link.transact(|session| {
            session.execute(schema::LEAVE_SHARDS, &[instance])?;
            session.execute(schema::LEAVE, &[instance])?;
            Ok(())
        });
        if let Err(fault) = left {
            tracing::warn!(error = %fault.named("the store"), "the other hosts wait until this one's leases expire");
        }
    }
}

/// How many shards were added or removed.
fn lease_changes(before: &BTreeMap<Shard, Epoch>, after: &BTreeMap<Shard, Epoch>) -> u64 {
    let gone = before.keys().filter(|shard| !after.contains_key(shard));
    let new = after.iter().filter(|(shard, epoch)| before.get(shard) != Some(epoch));
    (gone.count() + new.count()) as u64
}

fn release(session: &mut Session, instance: &String, shards: &[Shard]) -> Result<(), PgFault> {
    if !shards.is_empty() {
        let shards: Vec<i32> = shards.iter().map(|shard| i32::from(shard.0)).collect();
        session.execute(schema::RELEASE, &[instance, &shards])?;
    }
    Ok(())
}

fn leases(
    session: &mut Session,
    sql: &'static str,
    params: super::session::SqlParams<'_>,
) -> Result<BTreeMap<Shard, Epoch>, PgFault> {
    let rows = session.query(sql, params)?;
    let one = |row: &::postgres::Row| {
        let shard: i32 = row.try_get(0)?;
        Ok((
            Shard(u16::try_from(shard).unwrap_or_default()),
            Epoch(from_sql(row.try_get(1)?)),
        ))
    };
    rows.iter().map(one).collect()
}

impl PostgresStore {
    /// Joins the fleet, under a name that no other live host has.
    ///
    /// # Errors
    /// [`JoinError`] if the name is taken, or the store cannot be written.
    pub fn join(&self, name: &str) -> Result<(), JoinError> {
        self.fleet.join(name, self.shards)
    }
}

impl HostStore for PostgresStore {
    fn hosts(&self) -> Result<Vec<HostEntry>, StoreError> {
        self.read(|session| {
            let rows = session.query(schema::HOSTS, &[&self.fleet.instance])?;
            let one = |row: &::postgres::Row| {
                let shards: Vec<i32> = row.try_get(4)?;
                let shards = shards
                    .into_iter()
                    .map(|shard| Shard(u16::try_from(shard).unwrap_or_default()));
                Ok(HostEntry {
                    name: row.try_get::<_, &str>(0)?.into(),
                    silent_millis: from_sql(row.try_get(1)?),
                    live: row.try_get(2)?,
                    own: row.try_get(3)?,
                    shards: shards.collect(),
                    report: row.try_get(5)?,
                })
            };
            rows.iter().map(one).collect()
        })
    }

    fn tell(&self, _: &str, report: String) {
        self.fleet.view.lock().report = report;
    }

    fn statistics(&self) -> StoreStatistics {
        StoreStatistics {
            round_trips: self.round_trips.load(Ordering::Relaxed),
            ..self.fleet.view.lock().statistics.clone()
        }
    }
}
