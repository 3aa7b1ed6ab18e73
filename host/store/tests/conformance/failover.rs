//! A server is lost in the middle of commits, and its replica takes its place.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sandman_core::store::{CommitResult, Store, StoreError};
use sandman_store::{PgOptions, PostgresStore};

use crate::on_postgres::Postgres;
use crate::server::PostgresServer;
use crate::suite;

/// Whoever commits; each has a key of its own that nobody else writes.
const WRITERS: usize = 8;
/// Servers that are lost.
const ROUNDS: usize = 3;

/// A commit that was under way when the server was lost is in the replica or nowhere, and its writer is told which. A writer that is
/// told the wrong one finds its key at another revision than it knows, though nobody else has written it.
#[test]
fn a_commit_under_way_when_a_replica_takes_over_counts_once() {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    for _ in 0..ROUNDS {
        let primary = PostgresServer::start(&target).unwrap();
        let replica = primary.replicate().unwrap();
        let url = format!(
            "postgres://sandman@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
            primary.port(),
            replica.port()
        );
        let options = PgOptions {
            url,
            ..Postgres::new().options
        };
        let stores: Vec<Arc<PostgresStore>> = (0..WRITERS)
            .map(|_| Arc::new(PostgresStore::open(&options).unwrap()))
            .collect();
        let (stop, made) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for (number, store) in stores.iter().enumerate() {
                let (stop, made) = (&stop, &made);
                scope.spawn(move || write(store, &format!("writer-{number}"), stop, made));
            }
            let until = |count: u64| {
                while made.load(Ordering::Relaxed) < count {
                    std::thread::yield_now();
                }
            };
            until(200);
            primary.quit(true).unwrap();
            replica.promote().unwrap();
            until(made.load(Ordering::Relaxed) + 100);
            stop.store(true, Ordering::Relaxed);
        });
    }
}

/// Writes 1, 2, 3 and so on, each on what was written before.
fn write(store: &PostgresStore, key: &str, stop: &AtomicBool, made: &AtomicU64) {
    let (mut base, mut number) = (None, 1);
    while !stop.load(Ordering::Relaxed) {
        let commit = suite::states(vec![suite::put(key, base, &number.to_string())]);
        match store.commit(&commit, 7) {
            Ok(CommitResult::Committed(done)) => {
                base = done.revisions.first().copied().flatten();
                number += 1;
                made.fetch_add(1, Ordering::Relaxed);
            }
            Ok(CommitResult::Conflict(_)) => panic!("{key} was written {number} times, and another time"),
            // Away for a while.
            Err(StoreError::Unavailable(_)) => std::thread::yield_now(),
            Err(error) => panic!("{key}: {error}"),
        }
    }
}

/// What asynchronous replication may lose is noticed by whoever was told that it is committed, instead of being built upon.
#[test]
fn a_host_notices_that_its_server_has_lost_what_it_had_acknowledged() {
    let deployment = Postgres::new();
    let (store, other) = (deployment.open(), deployment.open());
    let commit = |store: &PostgresStore, key: &str| store.commit(&suite::states(vec![suite::put(key, None, "1")]), 7);
    commit(&store, "one").unwrap();
    commit(&store, "two").unwrap();
    // As a replica that has the first commit alone.
    let mut client = ::postgres::Client::connect(&deployment.options.url, ::postgres::NoTls).unwrap();
    let schema = &deployment.options.schema;
    client
        .batch_execute(&format!("UPDATE {schema}.transactions SET number = 1 WHERE number = 2"))
        .unwrap();
    let refused = commit(&store, "three").unwrap_err();
    assert!(
        matches!(refused, StoreError::Failed(_)) && refused.to_string().contains("lost commits"),
        "{refused}"
    );
    commit(&other, "four").unwrap();
    assert_eq!(suite::document(&*other, "three"), None);
}
