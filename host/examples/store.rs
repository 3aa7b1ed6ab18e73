//! What the store costs: CPU microseconds per event, by number of users and size of a commit.
//!
//!     cargo run --release -p sandman --example store [EVENTS]
//!
//! An event changes a state of 300 bytes and publishes two records of 400 bytes. Counted is the store's own work alone:
//! the commit, the relay's read of the outbox, and its removal with the next commit; not making the records. `worst ms` is the longest commit, which is one that
//! also wrote the log back into the file.

use std::collections::HashSet;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sandman::event::{Header, Headers, OutRecord, TopicPartition};
use sandman::progress::Progress;
use sandman::store::{BatchNo, Commit, ProgressWrite, RowId, SqliteStore, StateWrite, Store};

fn main() -> anyhow::Result<()> {
    let events = std::env::args()
        .nth(1)
        .map_or(Ok(200_000), |text| text.parse())
        .context("EVENTS is a number")?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:>9} {:>6} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "users", "batch", "cpu us", "commit", "outbox", "wall us", "worst ms", "MB"
    )?;
    for users in [20_000, 200_000] {
        for batch in [200, 1_000, 5_000] {
            let cost = measure(users, batch, events)?;
            let per_event = |time: Duration| time.as_secs_f64() * 1e6 / events as f64;
            writeln!(
                out,
                "{users:>9} {batch:>6} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.0} {:>9.0}",
                per_event(cost.commit + cost.outbox),
                per_event(cost.commit),
                per_event(cost.outbox),
                per_event(cost.wall),
                cost.longest.as_secs_f64() * 1e3,
                cost.bytes as f64 / 1e6,
            )?;
        }
    }
    Ok(())
}

/// What a run took.
#[derive(Default)]
struct Cost {
    commit: Duration,
    outbox: Duration,
    wall: Duration,
    longest: Duration,
    bytes: u64,
}

fn measure(users: usize, batch: usize, events: usize) -> anyhow::Result<Cost> {
    let folder = tempfile::tempdir()?;
    let store = SqliteStore::open(&folder.path().join("sandman.db"))?;
    let mut load = Load::new(users);
    let everyone: Vec<usize> = (0..users).collect();
    for some in everyone.chunks(5_000) {
        load.commit(&store, some, 0)?;
    }
    store.forget_kafka()?;

    let mut cost = Cost::default();
    let mut published = None;
    for _ in 0..events / batch {
        let some = load.some(batch);
        let mut commit = load.make(&some, 2);
        commit.published = published;
        let (start, cpu) = (Instant::now(), cpu_time());
        let committed = store.commit(&commit, 0)?;
        cost.commit += cpu_time() - cpu;
        cost.longest = cost.longest.max(start.elapsed());
        load.learn(&some, &committed.rows);
        let cpu = cpu_time();
        let batches = store.outbox(published.unwrap_or(0), u64::MAX)?;
        cost.outbox += cpu_time() - cpu;
        cost.wall += start.elapsed();
        published = batches.last().map(|batch| batch.number);
    }
    for file in std::fs::read_dir(folder.path())? {
        cost.bytes += file?.metadata()?.len();
    }
    Ok(cost)
}

/// Users in random order, and what the store said of them.
struct Load {
    keys: Vec<Arc<str>>,
    rows: Vec<Option<(RowId, u64)>>,
    random: u64,
    handler: Arc<str>,
    topic: Arc<str>,
    done: i64,
}

impl Load {
    fn new(users: usize) -> Self {
        Self {
            keys: (0..users).map(|user| format!("6571a5{user:018x}").into()).collect(),
            rows: vec![None; users],
            random: 0x9e37_79b9_7f4a_7c15,
            handler: "profile".into(),
            topic: "dreamscape.user.updated".into(),
            done: 0,
        }
    }

    /// Different users, random ones.
    fn some(&mut self, count: usize) -> Vec<usize> {
        let (mut some, mut seen) = (Vec::with_capacity(count), HashSet::new());
        while some.len() < count {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            let user = (self.random % self.keys.len() as u64) as usize;
            if seen.insert(user) {
                some.push(user);
            }
        }
        some
    }

    fn commit(&mut self, store: &SqliteStore, some: &[usize], events: usize) -> anyhow::Result<Option<BatchNo>> {
        let committed = store.commit(&self.make(some, events), 0)?;
        self.learn(some, &committed.rows);
        Ok(committed.batch.map(|(number, _)| number))
    }

    fn learn(&mut self, some: &[usize], rows: &[Option<(RowId, u64)>]) {
        for (user, row) in some.iter().zip(rows) {
            if let Some(slot) = self.rows.get_mut(*user) {
                *slot = *row;
            }
        }
    }

    fn make(&mut self, some: &[usize], events: usize) -> Commit {
        let mut commit = Commit::default();
        for user in some {
            let (Some(key), Some(base)) = (self.keys.get(*user), self.rows.get(*user)) else {
                continue;
            };
            self.done += 1;
            commit.states.push(StateWrite {
                handler: Arc::clone(&self.handler),
                key: Arc::clone(key),
                base: *base,
                document: Some(format!("{{\"changes\":{},\"name\":\"{}\"}}", self.done, "x".repeat(270)).into()),
            });
            commit.outbox.extend((0..events).map(|_| self.record(key)));
        }
        commit.progress.push(ProgressWrite {
            handler: Arc::clone(&self.handler),
            partition: TopicPartition {
                topic: Arc::clone(&self.topic),
                partition: 0,
            },
            progress: Progress::starting_at(self.done),
            epoch: 1,
        });
        commit
    }

    fn record(&self, key: &str) -> OutRecord {
        OutRecord {
            topic: Arc::clone(&self.topic),
            key: Some(key.into()),
            value: Some(vec![b'v'; 400]),
            headers: Headers::from_iter(
                [
                    ("eventType", "user.updated"),
                    ("source", "user-service"),
                    ("version", "1.0"),
                    ("correlationId", "0b7e7b7e-6c5f-4a43-9d0d-2f2b8d0f4a11"),
                    ("timestamp", "2025-12-12T10:30:00.000Z"),
                    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
                ]
                .map(|(name, value)| Header::text(name, value)),
            ),
        }
    }
}

/// CPU time of this thread, user and system.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}
