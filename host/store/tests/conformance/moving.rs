//! A deployment moves to PostgreSQL and back, and is the same.

use sandman_core::event::Record;
use sandman_core::reason::{GivenUp, ReasonCode};
use sandman_core::recent::{EventHash, RecentEvents};
use sandman_core::store::{AnswerWrite, Answered, FilesWrite, Hold, LetterWrite, NewLetter, RecordingWrite};
use sandman_store::{
    MoveError, MoveProgress, Moved, OpenError, PgOpenError, PostgresStore, SqliteStore, move_to_postgres,
    move_to_sqlite,
};

use crate::suite::*;

fn letter() -> NewLetter {
    NewLetter {
        handler: "profile".into(),
        key: Some("ada\0".into()),
        record: Record {
            source: partition(1),
            offset: 7,
            key: Some(vec![0xff, 0]),
            value: Some(vec![0xfe; 10]),
            headers: Headers::default(),
            timestamp_millis: Some(5),
        },
        given_up: GivenUp {
            code: ReasonCode::Schema,
            reason: "because".to_owned(),
            version: 3,
            digest: "d".into(),
            attempts: 2,
            state: Some("{}".into()),
            at_millis: 10,
        },
        hold: Hold::Head,
    }
}

/// Something in every table.
fn fill(store: &dyn DeploymentStore) {
    let epoch = assign(store, 1).epoch;
    let mut states: Vec<_> = (0..50)
        .map(|key| put(&format!("key-{key}"), None, &format!("{{\"n\":{key}}}")))
        .collect();
    states.push(StateWrite {
        recent: Some(RecentEvents::default().with(EventHash::of("e"), 4)),
        change: StateChange::Keep,
        ..put("only recent", None, "")
    });
    let commit = Commit {
        states,
        progress: progress(1, epoch, 8).progress,
        attempts: attempt(1, epoch, (9, Some(2))).attempts,
        answers: vec![AnswerWrite {
            key: "ada".into(),
            idempotency_key: "i".into(),
            answered: Answered {
                digest: "d".to_owned(),
                status: 200,
                body: None,
            },
        }],
        letters: vec![LetterWrite::Add(Box::new(letter()))],
        letters_bound: u64::MAX,
        recordings: vec![RecordingWrite {
            handler: "profile".into(),
            keep: 1_000,
            line: "{}".into(),
        }],
        files: vec![FilesWrite {
            handler: "profile".into(),
            key: "ada".into(),
            names: vec!["f".into()],
        }],
        ..Commit::default()
    };
    committed(store, &commit);
    let base = store.state("profile", "key-3").unwrap().map(|stored| stored.revision);
    committed(store, &states_of(vec![put("key-3", base, "3")]));
    store.list_files(&["unnamed"], 5).unwrap();
    store
        .adopt_topic(&text("profile"), "t", &sandman_core::event::TopicId("id".into()))
        .unwrap();
}

fn states_of(states: Vec<StateWrite>) -> Commit {
    Commit {
        states,
        ..Commit::default()
    }
}

fn check(store: &dyn DeploymentStore) {
    for key in 0..50 {
        let expected = if key == 3 {
            "3".to_owned()
        } else {
            format!("{{\"n\":{key}}}")
        };
        assert_eq!(document(store, &format!("key-{key}")), Some(expected));
    }
    let written = store.state("profile", "key-3").unwrap().unwrap();
    assert_eq!(written.revision.writes(), 2, "the number of writes goes on");
    let recent = store.state("profile", "only recent").unwrap().unwrap();
    assert!(recent.document.is_none() && recent.recent.contains(EventHash::of("e")));
    let assigned = assign(store, 1);
    assert_eq!(assigned.progress.unwrap().next(), 8);
    assert_eq!((assigned.attempts.len(), assigned.attempts[0].failed), (1, 2));
    assert_eq!(store.topic_id("profile", "t").unwrap().unwrap().0.as_ref(), "id");
    assert_eq!(store.answered("ada", "i", 7).unwrap().unwrap().status, 200);
    let letter = store.letter(1).unwrap().unwrap();
    assert_eq!((letter.record.key, letter.head.hold), (Some(vec![0xff, 0]), Hold::Head));
    assert_eq!(store.held_keys().unwrap()[0].name.key.as_ref(), "ada\0");
    assert_eq!(store.recordings("profile", None, 9).unwrap().len(), 1);
    assert_eq!(store.take_unnamed_files(9, 9).unwrap(), ["unnamed"]);
    // Nothing that is numbered is numbered twice.
    let base = store.state("profile", "key-1").unwrap().map(|stored| stored.revision);
    let new = store.state("profile", "new").unwrap().map(|stored| stored.revision);
    committed(
        store,
        &states_of(vec![put("key-1", base, "{\"n\":1}"), put("new", new, "{}")]),
    );
}

fn rows(moved: &[Moved], name: &str) -> u64 {
    moved.iter().find(|table| table.name == name).unwrap().rows
}

#[test]
fn a_deployment_moves_to_postgresql_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteStore::open(&folder.path().join("one.db")).unwrap();
    fill(&file);
    let fleet = crate::on_postgres::Postgres::new();
    let target = fleet.open();
    let mut told = Vec::new();
    let moved = move_to_postgres(&file, &target, &mut |progress| told.push(progress)).unwrap();
    assert_eq!((rows(&moved, "states"), rows(&moved, "dead letters")), (51, 1));
    let copied = |table: &Moved| MoveProgress::Copied {
        name: table.name,
        rows: table.rows,
        of: table.rows,
    };
    let tables = moved.iter().map(copied);
    let mut expected = vec![MoveProgress::Reading];
    expected.extend(tables.chain([MoveProgress::Verifying]));
    assert_eq!(told, expected);
    let again = move_to_postgres(&file, &target, &mut |_| {}).unwrap_err();
    assert!(matches!(again, MoveError::NotEmpty), "{again}");
    check(&*target);
    let held = target.state("profile", "ada\0").unwrap().and_then(|stored| stored.held);
    assert!(held.is_some_and(|held| held.count == 1), "{held:?}");

    target.join("one").unwrap();
    let back = folder.path().join("back.db");
    let refused = move_to_sqlite(&target, &SqliteStore::open(&back).unwrap(), &mut |_| {}).unwrap_err();
    assert!(matches!(refused, MoveError::Running(_)), "{refused}");
    drop(target);
    let source: PostgresStore = PostgresStore::open(&fleet.options).unwrap();
    store_unnamed(&source);
    let moved = move_to_sqlite(&source, &SqliteStore::open(&back).unwrap(), &mut |_| {}).unwrap();
    // One more has a row since it is held: on PostgreSQL the state says so.
    assert_eq!(rows(&moved, "states"), 53);
    check(&SqliteStore::open(&back).unwrap());
}

fn store_unnamed(store: &dyn DeploymentStore) {
    store.list_files(&["unnamed"], 5).unwrap();
}

#[test]
fn what_is_not_on_kafka_keeps_a_store_where_it_is() {
    let file = SqliteStore::in_memory().unwrap();
    committed(&file, &publish(&[("ada", "event")]));
    let fleet = crate::on_postgres::Postgres::new();
    let refused = move_to_postgres(&file, &fleet.open(), &mut |_| {}).unwrap_err();
    assert!(matches!(refused, MoveError::Unpublished(1)), "{refused}");
}

/// A deployment with several batches of states.
fn large(store: &dyn DeploymentStore) {
    let states = |from: usize| (from..from + 500).map(|key| put(&format!("many-{key:05}"), None, &format!("{key}")));
    (0..8).for_each(|part| {
        committed(store, &states_of(states(part * 500).collect()));
    });
    fill(store);
}

/// Runs a move that is broken off, as by a crash, as soon as so many rows of a table are there. Returns where it went on from.
fn broken_off(
    (name, rows): (&str, u64),
    moving: impl FnOnce(&mut dyn FnMut(MoveProgress)) -> Result<Vec<Moved>, MoveError>,
) -> Option<(&'static str, u64)> {
    let mut resumed = None;
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        moving(&mut |progress| match progress {
            MoveProgress::Resumed { name, rows } => resumed = Some((name, rows)),
            MoveProgress::Copied {
                name: at, rows: there, ..
            } => assert!((at, there) != (name, rows), "broken off"),
            MoveProgress::Verifying => assert!(name != "verifying", "broken off"),
            MoveProgress::Reading => {}
        })
    }));
    assert!(ended.is_err(), "it came to its end");
    resumed
}

/// Where moves are broken off one after the other, with so many states.
fn breaks(states: u64) -> [(&'static str, u64); 6] {
    [
        ("handlers", 1),
        ("states", 1_000),
        ("states", 2_000),
        ("states", states),
        ("dead letters", 1),
        ("verifying", 0),
    ]
}

#[test]
fn a_move_that_is_broken_off_goes_on_where_it_was_in_both_directions() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("one.db");
    large(&SqliteStore::open(&source).unwrap());
    let fleet = crate::on_postgres::Postgres::new();
    let mut last = None;
    for at in breaks(4_051) {
        let from = SqliteStore::open(&source).unwrap();
        let to = PostgresStore::open_target(&fleet.options).unwrap();
        assert_eq!(broken_off(at, |tell| move_to_postgres(&from, &to, tell)), last);
        last = Some(at);
        drop(to);
        let refused = PostgresStore::open(&fleet.options).unwrap_err();
        assert!(matches!(refused, PgOpenError::HalfMoved { .. }), "{refused}");
    }
    let from = SqliteStore::open(&source).unwrap();
    let target = PostgresStore::open_target(&fleet.options).unwrap();
    let moved = move_to_postgres(&from, &target, &mut |_| {}).unwrap();
    assert_eq!(rows(&moved, "states"), 4_051);
    drop(target);
    let target = PostgresStore::open(&fleet.options).unwrap();
    check(&target);
    assert_eq!(document(&target, "many-03999").as_deref(), Some("3999"));
    drop(target);

    let back = folder.path().join("back.db");
    let mut last = None;
    for at in breaks(4_053) {
        let from = PostgresStore::open(&fleet.options).unwrap();
        let to = SqliteStore::open_target(&back).unwrap();
        assert_eq!(broken_off(at, |tell| move_to_sqlite(&from, &to, tell)), last);
        last = Some(at);
        drop(to);
        let refused = SqliteStore::open(&back).unwrap_err();
        assert!(matches!(refused, OpenError::HalfMoved { .. }), "{refused}");
    }
    let from = PostgresStore::open(&fleet.options).unwrap();
    store_unnamed(&from);
    let changed = move_to_sqlite(&from, &SqliteStore::open_target(&back).unwrap(), &mut |_| {}).unwrap_err();
    assert!(
        matches!(&changed, MoveError::Changed(names) if names == "files without a name"),
        "{changed}"
    );
    from.take_unnamed_files(9, 9).unwrap();
    let moved = move_to_sqlite(&from, &SqliteStore::open_target(&back).unwrap(), &mut |_| {}).unwrap();
    assert_eq!(rows(&moved, "states"), 4_053);
    let back = SqliteStore::open(&back).unwrap();
    store_unnamed(&back);
    check(&back);
    assert_eq!(document(&back, "many-03999").as_deref(), Some("3999"));
}

#[test]
fn a_move_is_not_continued_from_another_source() {
    let (one, other) = (SqliteStore::in_memory().unwrap(), SqliteStore::in_memory().unwrap());
    fill(&one);
    fill(&other);
    let fleet = crate::on_postgres::Postgres::new();
    let target = PostgresStore::open_target(&fleet.options).unwrap();
    broken_off(("topics", 1), |tell| move_to_postgres(&one, &target, tell));
    let refused = move_to_postgres(&other, &target, &mut |_| {}).unwrap_err();
    assert!(
        matches!(&refused, MoveError::OtherSource(id) if *id == *one.id().0),
        "{refused}"
    );
    move_to_postgres(&one, &target, &mut |_| {}).unwrap();
}

#[test]
fn a_target_that_somebody_has_changed_is_no_store() {
    let one = SqliteStore::in_memory().unwrap();
    fill(&one);
    let fleet = crate::on_postgres::Postgres::new();
    let target = PostgresStore::open_target(&fleet.options).unwrap();
    broken_off(("attempts", 1), |tell| move_to_postgres(&one, &target, tell));
    let mut client = ::postgres::Client::connect(&fleet.options.url, ::postgres::NoTls).unwrap();
    let schema = &fleet.options.schema;
    let changed = format!("UPDATE {schema}.state SET document = '4' WHERE key = 'key-4'");
    assert_eq!(client.execute(&changed, &[]).unwrap(), 1);
    let refused = move_to_postgres(&one, &target, &mut |_| {}).unwrap_err();
    assert!(matches!(refused, MoveError::Differ("states")), "{refused}");
    drop(target);
    let refused = PostgresStore::open(&fleet.options).unwrap_err();
    assert!(matches!(refused, PgOpenError::HalfMoved { .. }), "{refused}");
}
