//! The suite on PostgreSQL: each host of a deployment has connections of its own.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use sandman_core::store::{DeploymentStore, FileStore, HostStore, Shard, Store, VersionStore};
use sandman_store::{JoinError, PgOpenError, PgOptions, PostgresStore};

use crate::server::PostgresServer;
use crate::suite::{self, Backend};

fn server() -> &'static PostgresServer {
    static SERVER: OnceLock<PostgresServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
        PostgresServer::start(&target).unwrap()
    })
}

/// A schema of the server.
struct Postgres {
    options: PgOptions,
}

impl Postgres {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self {
            options: PgOptions {
                url: server().url(),
                password: None,
                schema: format!("suite_{number}"),
                shards: 4,
            },
        }
    }

    fn open(&self) -> Arc<PostgresStore> {
        Arc::new(PostgresStore::open(&self.options).unwrap())
    }
}

impl Backend for Postgres {
    fn host(&self) -> Arc<dyn DeploymentStore> {
        self.open()
    }

    fn versions(&self) -> Arc<dyn VersionStore> {
        self.open()
    }

    fn files(&self) -> Arc<dyn FileStore> {
        self.open()
    }

    fn restart(&mut self) {}
}

suite::conformance!(postgres, Postgres::new());

#[test]
fn hosts_share_the_shards_and_a_name_is_given_once() {
    let deployment = Postgres::new();
    let (one, two) = (deployment.open(), deployment.open());
    assert_eq!(one.leases(), []);
    one.join("one").unwrap();
    let all = one.leases();
    assert_eq!(all.len(), 4);
    assert!(matches!(two.join("one"), Err(JoinError::Taken(_))));
    two.join("two").unwrap();
    // The first gives up half of them, and the second takes them, with later epochs.
    while two.leases().len() < 2 {
        std::thread::yield_now();
    }
    assert_eq!(one.leases().len(), 2);
    for lease in two.leases() {
        let before = all.iter().find(|before| before.shard == lease.shard).unwrap();
        assert!(lease.epoch > before.epoch);
    }
    let names: Vec<_> = one.hosts().unwrap().into_iter().map(|host| host.name).collect();
    assert_eq!(names, ["one".into(), "two".into()]);
    drop(one);
    while two.leases().len() < 4 {
        std::thread::yield_now();
    }
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_shards_stay_as_they_were_made() {
    let mut deployment = Postgres::new();
    let store = deployment.open();
    let id = store.id().clone();
    deployment.options.shards = 7;
    let again = deployment.open();
    assert_eq!((again.shards(), again.id()), (4, &id));
    assert_eq!(store.outbox_size(Shard(3)).unwrap().last, 0);
    deployment.options.url = "postgres://sandman@127.0.0.1:1/postgres".to_owned();
    let refused = PostgresStore::open(&deployment.options).unwrap_err();
    assert!(matches!(refused, PgOpenError::Unreachable { .. }), "{refused}");
    deployment.options.url = "postgres://sandman:secret@127.0.0.1:1/postgres?sslmode=require".to_owned();
    let refused = PostgresStore::open(&deployment.options).unwrap_err();
    assert!(matches!(refused, PgOpenError::Tls(_)));
    assert!(!refused.to_string().contains("secret"));
}
