//! The suite on PostgreSQL: each host of a deployment has connections of its own.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use sandman_core::outcome::StateChange;
use sandman_core::store::{
    Commit, CommitResult, DeploymentStore, FileStore, HeldName, Hold, HostStore, LetterWrite, Revision, Shard,
    ShardPublished, StateKey, StateWrite, Store, StoreError, VersionStore,
};
use sandman_store::{JoinError, PgOpenError, PgOptions, PostgresStore};

use crate::pooler::TransactionPooler;
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
pub(crate) struct Postgres {
    pub(crate) options: PgOptions,
}

impl Postgres {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self {
            options: PgOptions {
                url: server().url(),
                password: None,
                passfile: None,
                schema: format!("suite_{number}"),
                shards: 4,
            },
        }
    }

    /// Behind a pooler whose sessions all tests share.
    fn pooled() -> Self {
        static POOLER: OnceLock<TransactionPooler> = OnceLock::new();
        let pooler = POOLER.get_or_init(|| TransactionPooler::start(server().port()).unwrap());
        let mut pooled = Self::new();
        pooled.options.url = pooler.url();
        pooled
    }

    pub(crate) fn open(&self) -> Arc<PostgresStore> {
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
suite::conformance!(pooled, Postgres::pooled());

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
}

#[test]
fn a_store_goes_on_when_its_server_was_restarted() {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let server = PostgresServer::start(&target).unwrap();
    let store = PostgresStore::open(&PgOptions {
        url: server.url(),
        ..Postgres::new().options
    });
    let store = store.unwrap();
    let commit = |key: &str| store.commit(&suite::states(vec![suite::put(key, None, "1")]), 7);
    commit("before").unwrap();
    server.quit(true).unwrap();
    // It says so, and goes on by itself.
    while store.state("profile", "before").is_ok() {
        std::thread::yield_now();
    }
    let refused = commit("meanwhile").unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    server.start_again().unwrap();
    while commit("after").is_err() {
        std::thread::yield_now();
    }
    for key in ["before", "after"] {
        assert_eq!(suite::document(&store, key).as_deref(), Some("1"), "{key}");
    }
    assert_eq!(suite::document(&store, "meanwhile"), None);
}

#[test]
fn the_outbox_is_emptied_although_a_transaction_elsewhere_sees_what_was_in_it() {
    let deployment = Postgres::new();
    let store = deployment.open();
    store.join("one").unwrap();
    let schema = &deployment.options.schema;
    let connect = || ::postgres::Client::connect(&server().url(), ::postgres::NoTls).unwrap();
    let (mut elsewhere, mut client) = (connect(), connect());
    elsewhere
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        .unwrap();
    elsewhere.query("SELECT pg_current_xact_id()", &[]).unwrap();
    let mut bytes = || {
        let size = format!(
            "SELECT sum(pg_total_relation_size(('{schema}.outbox_' || n)::regclass))::bigint FROM generate_series(0, 2) n"
        );
        client.query_one(&size, &[]).unwrap().get::<_, i64>(0)
    };
    let value = "x".repeat(1 << 20);
    let (mut committed, mut largest) = (0, 0);
    // Each turn empties the table that comes next: in the end there is less than there was.
    while bytes() >= largest || committed < 40 {
        let batch = suite::committed(&*store, &suite::publish(&[("ada", &value)])).batches[0];
        let lease = store
            .leases()
            .into_iter()
            .find(|lease| lease.shard == batch.shard)
            .unwrap();
        let published = Commit {
            published: vec![ShardPublished {
                shard: batch.shard,
                epoch: lease.epoch,
                batch: batch.number,
            }],
            ..Commit::default()
        };
        suite::committed(&*store, &published);
        assert_eq!(
            store.outbox(batch.shard, 0, u64::MAX).unwrap(),
            [],
            "what is published is not handed out"
        );
        committed += 1;
        largest = largest.max(bytes());
        assert!(committed < 2_000, "nothing was emptied of {largest} bytes");
    }
    assert_eq!(store.outbox_size(Shard::default()).unwrap().batches, 0);
    elsewhere.batch_execute("COMMIT").unwrap();
}

/// A server that takes encrypted connections alone, and asks for a password.
fn secured() -> &'static PostgresServer {
    static SERVER: OnceLock<PostgresServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        PostgresServer::start_secured(&root.join("target"), &certificates(), "let me in").unwrap()
    })
}

fn certificates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/support/certificates")
}

/// Opens the secured server's store under that name of the server, with these parameters.
fn open_secured(host: &str, parameters: &str, password: Option<&str>) -> Result<PostgresStore, PgOpenError> {
    let port = secured().port();
    PostgresStore::open(&PgOptions {
        url: format!("postgres://sandman@{host}:{port}/postgres?{parameters}"),
        password: password.map(str::to_owned),
        passfile: None,
        schema: "secured".to_owned(),
        shards: 1,
    })
}

#[test]
fn connections_are_encrypted_and_the_server_proves_itself_as_sslmode_wants() {
    let ca = certificates().join("ca.crt").display().to_string();
    let other = certificates().join("other-ca.crt").display().to_string();
    let open = |host: &str, parameters: String| {
        let opened = open_secured(host, &parameters, Some("let me in"));
        opened.map(drop).map_err(|error| error.to_string())
    };
    let refused = |host: &str, parameters: String, words: &str| {
        let error = open(host, parameters.clone()).unwrap_err();
        assert!(
            error.contains(words) && !error.contains("let me in"),
            "{parameters}: {error}"
        );
    };
    refused("localhost", "sslmode=disable".to_owned(), "no encryption");
    open("localhost", String::new()).unwrap();
    open("127.0.0.1", "sslmode=require".to_owned()).unwrap();
    open("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={ca}")).unwrap();
    open("localhost", format!("sslmode=verify-full&sslrootcert={ca}")).unwrap();
    refused(
        "127.0.0.1",
        format!("sslmode=verify-full&sslrootcert={ca}"),
        "127.0.0.1",
    );
    refused(
        "localhost",
        format!("sslmode=verify-ca&sslrootcert={other}"),
        "UnknownIssuer",
    );
    refused(
        "localhost",
        format!("sslmode=require&sslrootcert={other}"),
        "UnknownIssuer",
    );
    refused("localhost", "sslmode=verify-full".to_owned(), "sslrootcert=FILE");
    let server = server().port();
    let plain = format!("postgres://sandman:secret@127.0.0.1:{server}/postgres?sslmode=require");
    let options = PgOptions {
        url: plain,
        ..Postgres::new().options
    };
    let error = PostgresStore::open(&options).unwrap_err().to_string();
    assert!(error.contains("TLS") && !error.contains("secret"), "{error}");
}

#[test]
fn the_password_comes_from_a_file_that_is_ours_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passwords");
    std::fs::write(&file, "elsewhere:*:*:*:wrong\n*:*:postgres:sandman:let me in\n").unwrap();
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    let parameters = format!("sslmode=require&passfile={}", file.display());
    mode(0o600);
    drop(open_secured("localhost", &parameters, None).unwrap());
    mode(0o644);
    let error = open_secured("localhost", &parameters, None).unwrap_err().to_string();
    assert!(error.contains("password"), "{error}");
    let error = open_secured("localhost", &parameters, Some("wrong"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("28P01") && !error.contains("wrong"), "{error}");
}

/// A commit that changes what is held of a key.
fn holding(base: Option<Revision>, letters: Vec<LetterWrite>) -> Commit {
    let (handler, key): (Arc<str>, Arc<str>) = ("h".into(), "ada".into());
    Commit {
        states: vec![StateWrite {
            handler: Arc::clone(&handler),
            key: Arc::clone(&key),
            base,
            change: StateChange::Keep,
            recent: None,
        }],
        held: vec![StateKey { handler, key }],
        letters,
        letters_bound: u64::MAX,
        ..Commit::default()
    }
}

fn fits(store: &PostgresStore, commit: &Commit) -> bool {
    matches!(store.commit(commit, 1).unwrap(), CommitResult::Committed(_))
}

/// Whoever knows the revision of a state knows what is held of its key.
#[test]
fn what_is_held_of_a_key_comes_with_the_revision_of_its_state() {
    let fleet = Postgres::new();
    let (one, two) = (fleet.open(), fleet.open());
    let stored = |store: &PostgresStore| store.state("h", "ada").unwrap();
    let held = |store: &PostgresStore| {
        let held = stored(store).and_then(|stored| stored.held);
        held.map(|held| (held.count, held.released))
    };
    let base = |store: &PostgresStore| stored(store).map(|stored| stored.revision);
    let add = |hold| {
        vec![LetterWrite::Add(Box::new(suite::letters::held_letter(
            "h", "ada", hold,
        )))]
    };

    // A key without a state gets a row, which a second host finds.
    let first = holding(None, add(Hold::Head));
    assert!(fits(&one, &first));
    assert_eq!(held(&two), Some((1, false)));
    assert!(!fits(&two, &first), "two hosts held it at once");
    let known = base(&two);
    assert!(fits(&one, &holding(base(&one), add(Hold::Behind))));
    let late = holding(known, add(Hold::Behind));
    assert!(!fits(&two, &late), "it knew of one letter only");
    let known = base(&two);
    let name = HeldName {
        handler: "h".into(),
        key: "ada".into(),
    };
    let release = Commit {
        letters: vec![LetterWrite::Release(name)],
        ..Commit::default()
    };
    assert!(fits(&one, &release));
    assert_eq!(held(&two), Some((2, true)));
    let late = holding(known, add(Hold::Behind));
    assert!(!fits(&two, &late), "it did not know of the release");

    // The row outlives its document as long as something is held.
    let mut deleted = holding(base(&two), vec![LetterWrite::Done(1)]);
    deleted.states[0].change = StateChange::Delete;
    assert!(fits(&two, &deleted));
    assert_eq!(held(&one), Some((1, true)));
    assert!(fits(&one, &holding(base(&one), vec![LetterWrite::Done(2)])));
    assert_eq!(held(&two), None);
}

/// Nobody is left to wonder: without being told of the pooler the store does not work, with it it does.
#[test]
fn a_pooler_has_to_be_told() {
    let pooler = TransactionPooler::start_own(server().port()).unwrap();
    let (mut pooled, mut untold) = (Postgres::new(), Postgres::new());
    pooled.options.url = pooler.url();
    untold.options.url = pooler.url().replace("?pooler=transaction", "");
    let commit = suite::states(vec![suite::put("ada", None, "1")]);
    let works = |store: &Postgres| {
        let store = PostgresStore::open(&store.options).map_err(|error| error.to_string())?;
        let committed = store.commit(&commit, 1).map_err(|error| error.to_string())?;
        Ok::<bool, String>(matches!(committed, CommitResult::Committed(_)))
    };
    assert_eq!(works(&pooled), Ok(true));
    let refused = works(&untold).unwrap_err();
    assert!(refused.contains("pooler=transaction"), "{refused}");
    untold.options.url = format!("{}?pooler=sometimes", untold.options.url);
    assert!(matches!(PostgresStore::open(&untold.options), Err(PgOpenError::Url(_))));
}

/// A lock that somebody holds, a full disk, a server that takes no writes: nothing is committed, and all goes on afterwards.
#[test]
fn a_server_that_cannot_write_refuses_commits_for_a_while_and_loses_nothing() {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    // One of its own: the last fault is the whole database's.
    let server = PostgresServer::start(&target).unwrap();
    let options = PgOptions {
        url: server.url(),
        ..Postgres::new().options
    };
    let store = PostgresStore::open(&options).unwrap();
    let schema = &options.schema;
    let commit = |key: &str| store.commit(&suite::states(vec![suite::put(key, None, "1")]), 7);
    let mut other = ::postgres::Client::connect(&server.url(), ::postgres::NoTls).unwrap();
    let faults = [
        (
            format!("BEGIN; LOCK TABLE {schema}.state IN ACCESS EXCLUSIVE MODE"),
            "COMMIT".to_owned(),
        ),
        (
            format!(
                "CREATE FUNCTION {schema}.full() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full'; END $$;
                CREATE TRIGGER full_disk BEFORE INSERT ON {schema}.state EXECUTE FUNCTION {schema}.full()"
            ),
            format!("DROP TRIGGER full_disk ON {schema}.state"),
        ),
        (
            "ALTER DATABASE postgres SET default_transaction_read_only = on;
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE pid <> pg_backend_pid() AND application_name = 'sandman'"
                .to_owned(),
            "BEGIN READ WRITE; ALTER DATABASE postgres SET default_transaction_read_only = off; COMMIT".to_owned(),
        ),
    ];
    for (number, (broken, mended)) in faults.iter().enumerate() {
        commit(&format!("before-{number}")).unwrap();
        other.batch_execute(broken).unwrap();
        let refused = commit(&format!("in-{number}")).unwrap_err();
        assert!(matches!(refused, StoreError::Unavailable(_)), "{number}: {refused}");
        other.batch_execute(mended).unwrap();
        // A connection that was lost is made again after a pause.
        while commit(&format!("after-{number}")).is_err() {
            std::thread::yield_now();
        }
        for when in ["before", "after"] {
            assert!(store.state("profile", &format!("{when}-{number}")).unwrap().is_some());
        }
        assert_eq!(store.state("profile", &format!("in-{number}")).unwrap(), None);
    }
}

/// Two hosts add the same row: whoever is second tries again, and is not taken for a host with a broken store.
#[test]
fn a_row_that_another_host_was_faster_to_add_ends_nothing() {
    let deployment = Postgres::new();
    let store = deployment.open();
    let schema = &deployment.options.schema;
    let mut client = ::postgres::Client::connect(&server().url(), ::postgres::NoTls).unwrap();
    // A sequence goes on although its transaction is rolled back.
    let refuse = |times: u32| {
        format!(
            "CREATE SEQUENCE {schema}.refused; CREATE FUNCTION {schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN IF nextval('{schema}.refused') <= {times} THEN
                    RAISE EXCEPTION 'duplicate key' USING ERRCODE = 'unique_violation'; END IF; RETURN NEW; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON {schema}.state FOR EACH ROW EXECUTE FUNCTION {schema}.refuse()"
        )
    };
    let commit = |key: &str| store.commit(&suite::states(vec![suite::put(key, None, "1")]), 7);
    client.batch_execute(&refuse(3)).unwrap();
    assert!(matches!(commit("ada").unwrap(), CommitResult::Committed(_)));
    assert_eq!(suite::document(&*store, "ada").as_deref(), Some("1"));
    // For ever, as far as this commit goes: it is refused for a while, and the store goes on.
    client
        .batch_execute(&format!(
            "DROP TRIGGER refuse ON {schema}.state; DROP FUNCTION {schema}.refuse; DROP SEQUENCE {schema}.refused"
        ))
        .unwrap();
    client.batch_execute(&refuse(1_000)).unwrap();
    let refused = commit("bob").unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    client
        .batch_execute(&format!("DROP TRIGGER refuse ON {schema}.state"))
        .unwrap();
    assert!(matches!(commit("bob").unwrap(), CommitResult::Committed(_)));
}
