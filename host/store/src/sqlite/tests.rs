//! The store's promises, each on a file of its own.

mod commit;
mod crash;
mod letters;
mod model;
mod opening;
mod outbox;
mod versions;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use sandman_core::event::{Header, Headers, OutRecord};
use sandman_core::outcome::StateChange;
use sandman_core::recent::EventHash;
use sandman_core::store::{
    AttemptWrite, CommitConflict, Committed, CommittedBatch, FileStore, ProgressWrite, RECENT_MILLIS, Revision,
    ShardPublished, StateWrite, VersionStore,
};

/// A store in a folder that goes with it.
struct Scene {
    folder: TempDir,
    store: Option<SqliteStore>,
}

impl Scene {
    fn new() -> Self {
        let mut scene = Self {
            folder: TempDir::new().unwrap(),
            store: None,
        };
        scene.reopen();
        scene
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("sandman.db")
    }

    /// Closes the store and opens it again, as a restart does.
    fn reopen(&mut self) {
        self.store = None;
        self.store = Some(SqliteStore::open(&self.path()).unwrap());
    }

    fn store(&self) -> &SqliteStore {
        self.store.as_ref().unwrap()
    }

    fn commit(&self, commit: Commit) -> Committed {
        committed(self.store(), &commit)
    }

    /// Stops a commit just before it becomes durable, runs `meanwhile`, and gives the commit up.
    fn interrupt(&self, commit: &Commit, meanwhile: impl FnOnce()) {
        let mut writer = self.store().writer.lock();
        let given_up = writer.commit_with(commit, 7, &self.store().handlers, |_| {
            meanwhile();
            Err(SqliteFault::Damaged("given up".to_owned()))
        });
        given_up.unwrap_err();
    }

    /// Takes away (or gives back) all space beyond what the file has now.
    fn disk_full(&self, full: bool) {
        let writer = self.store().writer.lock();
        let connection = writer.connection();
        let pages: i64 = connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap();
        let limit = if full { pages } else { i64::from(u32::MAX) - 1 };
        let _: i64 = connection
            .pragma_update_and_check(None, "max_page_count", limit, |row| row.get(0))
            .unwrap();
    }
}

fn committed(store: &SqliteStore, commit: &Commit) -> Committed {
    match store.commit(commit, 7).unwrap() {
        CommitResult::Committed(committed) => committed,
        CommitResult::Conflict(conflict) => panic!("{conflict:?}"),
    }
}

fn conflict(store: &SqliteStore, commit: &Commit) -> CommitConflict {
    match store.commit(commit, 7).unwrap() {
        CommitResult::Committed(committed) => panic!("{committed:?}"),
        CommitResult::Conflict(conflict) => conflict,
    }
}

/// The number and the size of the batch that a commit made.
fn batch_of(committed: &Committed) -> Option<(BatchNo, u64)> {
    let number = |batch: &CommittedBatch| (batch.number, batch.bytes);
    committed.batches.first().map(number)
}

fn size(store: &SqliteStore) -> OutboxSize {
    store.backlog().unwrap()
}

fn outbox(store: &SqliteStore, after: BatchNo, bytes: u64) -> Vec<OutboxBatch> {
    store.outbox(Shard::default(), after, bytes).unwrap()
}

/// The attempts of partition 0, without an assignment.
fn attempts(store: &SqliteStore) -> Vec<Attempts> {
    let found = store.read(|connection| {
        let id = store.handlers.id("profile").unwrap_or_default();
        assigned(connection, (id, &partition(0)), Epoch(0))
    });
    found.unwrap().attempts
}

/// An error must say all of these.
fn check(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

fn put(key: &str, base: Option<Revision>, document: &str) -> StateWrite {
    StateWrite {
        handler: "profile".into(),
        key: key.into(),
        base,
        change: StateChange::Put(document.into()),
        recent: None,
    }
}

fn delete(key: &str, base: Option<Revision>) -> StateWrite {
    StateWrite {
        change: StateChange::Delete,
        ..put(key, base, "")
    }
}

fn states(states: Vec<StateWrite>) -> Commit {
    Commit {
        states,
        ..Commit::default()
    }
}

fn record(value: &str) -> OutRecord {
    OutRecord {
        topic: "dreamscape.user.updated".into(),
        key: Some(b"u1".to_vec()),
        value: Some(value.into()),
        headers: Headers::from_iter([
            Header::text("eventType", "user.updated"),
            Header {
                name: "null",
                value: None,
            },
        ]),
        timestamp_millis: None,
    }
}

fn publish(values: &[&str]) -> Commit {
    Commit {
        outbox: values.iter().map(|value| record(value)).collect(),
        ..Commit::default()
    }
}

fn published(batch: BatchNo) -> Commit {
    Commit {
        published: vec![ShardPublished {
            shard: Shard::default(),
            epoch: Epoch::default(),
            batch,
        }],
        ..Commit::default()
    }
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition {
        topic: "dreamscape.user.created".into(),
        partition: number,
    }
}

fn progress(next: i64, epoch: u64) -> Commit {
    Commit {
        progress: vec![ProgressWrite {
            handler: "profile".into(),
            partition: partition(0),
            progress: Progress::starting_at(next),
            epoch: Epoch(epoch),
        }],
        ..Commit::default()
    }
}

fn attempt(offset: i64, failed: Option<u32>) -> Commit {
    Commit {
        attempts: vec![AttemptWrite {
            handler: "profile".into(),
            partition: partition(0),
            offset,
            epoch: Epoch(1),
            attempts: failed.map(|failed| Attempts {
                offset,
                failed,
                due_millis: 1_000,
            }),
        }],
        ..Commit::default()
    }
}

fn document(store: &SqliteStore, key: &str) -> Option<String> {
    let stored = store.state("profile", key).unwrap();
    stored
        .and_then(|stored| stored.document)
        .map(|document| document.to_string())
}

fn next(store: &SqliteStore) -> Option<i64> {
    store
        .progress("profile")
        .unwrap()
        .first()
        .map(|(_, progress)| progress.next())
}

fn numbers(store: &SqliteStore) -> Vec<BatchNo> {
    let batches = outbox(store, 0, u64::MAX);
    batches.iter().map(|batch| batch.number).collect()
}

fn shared(text: &str) -> Arc<str> {
    text.into()
}
