//! States, progress and attempts: written together, found again, refused where somebody else was faster.

use super::*;
use sandman_core::progress::Span;

#[test]
fn a_state_is_made_changed_and_deleted_by_row_and_revision() {
    let mut scene = Scene::new();
    assert_eq!(scene.store().state("profile", "u1").unwrap(), None);
    let made = scene.commit(states(vec![put("u1", None, "{\"a\":1}"), put("u2", None, "{}")]));
    let [one, two] = made.revisions[..] else {
        panic!("{made:?}")
    };
    assert_eq!(one.unwrap().parts().1, 1);
    let changed = scene.commit(states(vec![delete("u2", two), put("u1", one, "{\"a\":2}")]));
    let (row, _) = one.unwrap().parts();
    assert_eq!(changed.revisions, [None, Some(Revision::new(row, 2))]);
    scene.reopen();
    let stored = scene.store().state("profile", "u1").unwrap().unwrap();
    assert_eq!(stored.revision, Revision::new(row, 2));
    assert_eq!(stored.document.as_deref(), Some("{\"a\":2}"));
    assert_eq!(document(scene.store(), "u2"), None);
}

#[test]
fn the_same_key_of_another_handler_is_another_state() {
    let scene = Scene::new();
    let mut other = put("u1", None, "2");
    other.handler = shared("preferences");
    scene.commit(states(vec![put("u1", None, "1"), other]));
    assert_eq!(document(scene.store(), "u1").unwrap(), "1");
    let other = scene.store().state("preferences", "u1").unwrap().unwrap();
    assert_eq!(other.document.as_deref(), Some("2"));
    assert_eq!(scene.store().state("nobody", "u1").unwrap(), None);
}

#[test]
fn a_stale_write_is_a_conflict_and_nothing_of_its_commit_stays() {
    let scene = Scene::new();
    let first = scene.commit(states(vec![put("u1", None, "1")])).revisions[0];
    scene.commit(states(vec![put("u1", first, "2")]));
    let gone = scene.commit(states(vec![put("u3", None, "3")])).revisions[0];
    scene.commit(states(vec![delete("u3", gone)]));
    let stale = [
        put("u1", first, "x"),
        delete("u1", first),
        put("u1", None, "x"),
        delete("u1", None),
        put("u3", gone, "x"),
        delete("u3", gone),
    ];
    for write in stale {
        let commit = Commit {
            states: vec![put("u2", None, "new"), write.clone()],
            ..publish(&["event"])
        };
        let conflict = conflict(scene.store(), &commit);
        let named: Vec<_> = conflict.states.iter().map(|state| &*state.key).collect();
        assert_eq!(named, [&*write.key]);
        assert_eq!(document(scene.store(), "u2"), None, "{write:?}");
        assert_eq!(size(scene.store()), OutboxSize::default());
    }
    assert_eq!(document(scene.store(), "u1").unwrap(), "2");
}

#[test]
fn a_row_is_never_given_twice() {
    let mut scene = Scene::new();
    let first = scene.commit(states(vec![put("u1", None, "1")])).revisions[0];
    scene.commit(states(vec![delete("u1", first)]));
    scene.reopen();
    let second = scene.commit(states(vec![put("u2", None, "2")])).revisions[0];
    assert_ne!(first, second);
    conflict(scene.store(), &states(vec![put("u1", first, "x")]));
    assert_eq!(document(scene.store(), "u2").unwrap(), "2");
}

#[test]
fn deleting_what_is_not_there_changes_nothing() {
    let scene = Scene::new();
    assert_eq!(scene.commit(states(vec![delete("u1", None)])).revisions, [None]);
}

#[test]
fn documents_and_keys_are_kept_to_the_byte() {
    let mut scene = Scene::new();
    let big = format!("{{\"a\":\"{}\"}}", "é\u{1F600}\\u0000".repeat(100_000));
    let key = "k\0\u{10FFFF}'; DROP TABLE state; --";
    scene.commit(states(vec![put(key, None, &big), put("", None, "null")]));
    scene.reopen();
    assert_eq!(document(scene.store(), key).unwrap(), big);
    assert_eq!(document(scene.store(), "").unwrap(), "null");
}

#[test]
fn progress_is_kept_by_partition_with_what_finished_early() {
    let mut scene = Scene::new();
    let mut early = Progress::starting_at(5);
    early.complete(Span { start: 8, end: 9 });
    let mut commit = progress(3, 1);
    commit.progress.push(ProgressWrite {
        handler: "profile".into(),
        partition: partition(1),
        progress: early.clone(),
        epoch: Epoch(1),
    });
    scene.commit(commit);
    scene.commit(progress(4, 1));
    scene.reopen();
    let mut all = scene.store().progress("profile").unwrap();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(all, [(partition(0), Progress::starting_at(4)), (partition(1), early)]);
    assert_eq!(scene.store().progress("preferences").unwrap(), []);
}

#[test]
fn an_older_assignment_is_refused_until_a_restart_counts_anew() {
    let mut scene = Scene::new();
    scene.commit(progress(10, 5));
    scene.commit(progress(11, 5));
    let conflict = conflict(scene.store(), &progress(12, 4));
    assert_eq!(conflict.partitions, [(shared("profile"), partition(0))]);
    assert_eq!(next(scene.store()), Some(11));
    scene.reopen();
    scene.commit(progress(13, 1));
    assert_eq!(next(scene.store()), Some(13));
}

#[test]
fn attempts_survive_a_restart_and_end_with_the_record() {
    let mut scene = Scene::new();
    scene.commit(attempt(9, Some(1)));
    scene.commit(attempt(4, Some(1)));
    scene.commit(attempt(9, Some(2)));
    scene.reopen();
    let found = |scene: &Scene| {
        let all = attempts(scene.store());
        all.iter()
            .map(|attempts| (attempts.offset, attempts.failed, attempts.due_millis))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&scene), [(4, 1, 1_000), (9, 2, 1_000)]);
    scene.commit(attempt(9, None));
    scene.commit(attempt(77, None));
    assert_eq!(found(&scene), [(4, 1, 1_000)]);
}

#[test]
fn a_full_disk_changes_nothing_and_passes() {
    let mut scene = Scene::new();
    scene.commit(states(vec![put("u1", None, "1")]));
    scene.disk_full(true);
    let commit = Commit {
        states: vec![put("u2", None, "2")],
        outbox: vec![record(&"x".repeat(100_000))],
        ..progress(9, 1)
    };
    let error = scene.store().commit(&commit, 7).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(
        error.to_string().contains("sandman.db") && error.to_string().contains("free space"),
        "{error}"
    );
    assert_eq!((document(scene.store(), "u2"), next(scene.store())), (None, None));
    assert_eq!(size(scene.store()), OutboxSize::default());
    scene.disk_full(false);
    assert_eq!(batch_of(&scene.commit(commit)).unwrap().0, 1);
    scene.reopen();
    assert_eq!(
        (document(scene.store(), "u2").unwrap(), next(scene.store())),
        ("2".to_owned(), Some(9))
    );
}

#[test]
fn reads_do_not_wait_for_a_commit_and_see_nothing_of_it() {
    let scene = Scene::new();
    let base = scene.commit(states(vec![put("u1", None, "old")])).revisions[0];
    let commit = Commit {
        states: vec![put("u1", base, "new")],
        outbox: vec![record("a")],
        ..progress(3, 1)
    };
    scene.interrupt(&commit, || {
        assert_eq!(document(scene.store(), "u1").unwrap(), "old");
        assert_eq!(next(scene.store()), None);
        assert!(numbers(scene.store()).is_empty());
        size(scene.store());
    });
    assert_eq!(document(scene.store(), "u1").unwrap(), "old");
}

#[test]
fn after_a_failure_the_store_refuses_all_work_until_it_is_opened_anew() {
    let mut scene = Scene::new();
    scene.commit(publish(&["a"]));
    // Nobody can have published what this store never committed.
    let error = scene.store().commit(&published(5), 7).unwrap_err();
    assert!(error.to_string().contains("batch 5"), "{error}");
    let failed = |result: Result<(), StoreError>| assert!(matches!(result, Err(StoreError::Failed(_))), "{result:?}");
    failed(scene.store().commit(&publish(&["b"]), 7).map(drop));
    failed(scene.store().state("profile", "u1").map(drop));
    failed(scene.store().outbox(Shard::default(), 0, 1).map(drop));
    failed(scene.store().backlog().map(drop));
    scene.reopen();
    assert_eq!(numbers(scene.store()), [1]);
}

#[test]
fn an_owner_that_got_past_the_lock_is_noticed() {
    let scene = Scene::new();
    let other = Connection::open(scene.path()).unwrap();
    other
        .execute_batch("UPDATE ledger SET generation = generation + 1")
        .unwrap();
    let error = scene.store().commit(&publish(&["a"]), 7).unwrap_err();
    assert!(matches!(error, StoreError::Conflict { what: "owner", .. }), "{error}");
}

#[test]
fn a_store_in_memory_keeps_the_same_promises() {
    let store = SqliteStore::in_memory().unwrap();
    let base = committed(&store, &states(vec![put("u1", None, "1")])).revisions[0];
    committed(&store, &states(vec![put("u1", base, "2")]));
    conflict(&store, &states(vec![put("u1", base, "3")]));
    assert_eq!(document(&store, "u1").unwrap(), "2");
    assert_ne!(store.id(), SqliteStore::in_memory().unwrap().id());
}

#[test]
fn a_topic_that_was_made_anew_begins_without_progress_and_others_keep_theirs() {
    let mut scene = Scene::new();
    let (old, new) = (TopicId("old".into()), TopicId("new".into()));
    let handler: Arc<str> = "profile".into();
    let at = |topic: &str| TopicPartition {
        topic: topic.into(),
        partition: 0,
    };
    for topic in ["t", "u"] {
        assert_eq!(scene.store().topic_id("profile", topic).unwrap(), None);
        scene.store().adopt_topic(&handler, topic, &old).unwrap();
        scene.commit(Commit {
            progress: vec![ProgressWrite {
                handler: handler.clone(),
                partition: at(topic),
                progress: Progress::starting_at(7),
                epoch: Epoch(1),
            }],
            attempts: vec![AttemptWrite {
                handler: handler.clone(),
                partition: at(topic),
                offset: 8,
                epoch: Epoch(1),
                attempts: Some(Attempts {
                    offset: 8,
                    failed: 1,
                    due_millis: 9,
                }),
            }],
            ..Commit::default()
        });
    }
    scene.store().restart_topic(&handler, "t", &new).unwrap();
    scene.reopen();
    let store = scene.store();
    assert_eq!(store.topic_id("profile", "t").unwrap(), Some(new));
    assert_eq!(store.topic_id("profile", "u").unwrap(), Some(old));
    assert_eq!(store.topic_id("another", "u").unwrap(), None);
    assert_eq!(
        store.progress("profile").unwrap(),
        [(at("u"), Progress::starting_at(7))]
    );
    let assigned = store.assign(&handler, &[at("t"), at("u")]).unwrap();
    let left: Vec<_> = assigned.iter().map(|assigned| assigned.attempts.len()).collect();
    assert_eq!(left, [0, 1]);
    scene.store().forget_kafka().unwrap();
    assert_eq!(scene.store().topic_id("profile", "u").unwrap(), None);
}

fn remember(write: StateWrite, ids: &[&str]) -> StateWrite {
    let recent = ids
        .iter()
        .fold(RecentEvents::default(), |recent, id| recent.with(EventHash::of(id), 16));
    StateWrite {
        recent: Some(recent),
        ..write
    }
}

fn keep(key: &str, base: Option<Revision>) -> StateWrite {
    StateWrite {
        change: StateChange::Keep,
        ..put(key, base, "")
    }
}

fn remembers(store: &SqliteStore, key: &str, id: &str) -> bool {
    let stored = store.state("profile", key).unwrap();
    stored.is_some_and(|stored| stored.recent.contains(EventHash::of(id)))
}

#[test]
fn recent_events_are_kept_with_the_state_and_outlive_it() {
    let mut scene = Scene::new();
    // Before there is a state, with it, without it, and again.
    let first = scene.commit(states(vec![remember(keep("u1", None), &["a"])])).revisions[0];
    assert_eq!(document(scene.store(), "u1"), None);
    let second = scene.commit(states(vec![put("u1", first, "1")])).revisions[0];
    scene.reopen();
    assert!(remembers(scene.store(), "u1", "a"));
    let third = scene
        .commit(states(vec![remember(put("u1", second, "2"), &["a", "b"])]))
        .revisions[0];
    let fourth = scene.commit(states(vec![delete("u1", third)])).revisions[0];
    scene.reopen();
    assert_eq!(document(scene.store(), "u1"), None);
    assert!(remembers(scene.store(), "u1", "b"));
    scene.commit(states(vec![remember(put("u1", fourth, "3"), &["b", "c"])]));
    assert_eq!(document(scene.store(), "u1").as_deref(), Some("3"));
    assert!(remembers(scene.store(), "u1", "c") && !remembers(scene.store(), "u1", "a"));
    let places = [first, second, third, fourth].map(Option::unwrap);
    assert!(places.iter().map(|place| place.parts().1).eq(1..=4), "{places:?}");
    for stale in places {
        let write = remember(keep("u1", Some(stale)), &["d"]);
        conflict(scene.store(), &states(vec![write]));
    }
}

#[test]
fn recent_events_without_a_state_are_no_documents_and_are_dropped_a_day_later() {
    let scene = Scene::new();
    let commit = |write: StateWrite, now: i64| match scene.store().commit(&states(vec![write]), now).unwrap() {
        CommitResult::Committed(committed) => committed.revisions[0],
        CommitResult::Conflict(conflict) => panic!("{conflict:?}"),
    };
    let old = commit(remember(keep("old", None), &["a"]), 0);
    let state = commit(remember(put("state", None, "{}"), &["a"]), 0);
    let young = commit(remember(keep("young", None), &["a"]), 1);
    let young = commit(remember(keep("young", young), &["a", "b"]), RECENT_MILLIS);
    commit(remember(keep("new", None), &["a"]), RECENT_MILLIS + 1);
    assert_eq!(scene.store().state("profile", "old").unwrap(), None);
    assert!(remembers(scene.store(), "young", "a") && remembers(scene.store(), "state", "a"));
    // A host that has it in memory goes on as with a key that has nothing.
    let again = commit(remember(keep("old", old), &["b"]), RECENT_MILLIS + 2);
    assert!(
        again.is_some_and(|place| Some(place) != old && place.parts().1 == 1),
        "{again:?}"
    );
    assert!(remembers(scene.store(), "old", "b"));
    assert_eq!((state.unwrap().parts().1, young.unwrap().parts().1), (1, 2));
}
