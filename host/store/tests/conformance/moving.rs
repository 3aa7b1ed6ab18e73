//! A deployment moves to PostgreSQL and back, and is the same.

use sandman_core::event::Record;
use sandman_core::reason::{GivenUp, ReasonCode};
use sandman_core::recent::{EventHash, RecentEvents};
use sandman_core::store::{AnswerWrite, Answered, FilesWrite, Hold, LetterWrite, NewLetter, RecordingWrite};
use sandman_store::{MoveError, Moved, PostgresStore, SqliteStore, move_to_postgres, move_to_sqlite};

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
    let moved = move_to_postgres(&file, &target, &mut |moved| told.push(moved.clone())).unwrap();
    assert_eq!((rows(&moved, "states"), rows(&moved, "dead letters")), (51, 1));
    assert_eq!(told, moved);
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
