//! States and answers.

use std::collections::BTreeSet;

use sandman_core::recent::{EventHash, RecentEvents};
use sandman_core::store::{ANSWER_MILLIS, AnswerWrite, Answered, RECENT_MILLIS, Shard, StateRead};

use super::*;

pub(crate) fn a_state_is_made_changed_and_deleted_by_revision(backend: &mut impl Backend) {
    let store = backend.host();
    assert_eq!(store.state("profile", "u1").unwrap(), None);
    let made = committed(
        &*store,
        &states(vec![put("u1", None, "{\"a\":1}"), put("u2", None, "{}")]),
    );
    let [one, two] = made.revisions[..] else {
        panic!("{made:?}")
    };
    let mut other = put("u1", None, "other");
    other.handler = text("preferences");
    committed(&*store, &states(vec![other]));
    let changed = committed(&*store, &states(vec![delete("u2", two), put("u1", one, "{\"a\":2}")]));
    assert_eq!(changed.revisions[0], None);
    assert!(changed.revisions[1].is_some() && changed.revisions[1] != one);
    committed(&*store, &states(vec![delete("u9", None)]));
    drop(store);
    backend.restart();
    let store = backend.host();
    let stored = store.state("profile", "u1").unwrap().unwrap();
    assert_eq!(
        (Some(stored.revision), stored.document.as_deref()),
        (changed.revisions[1], Some("{\"a\":2}"))
    );
    assert_eq!((document(&*store, "u2"), document(&*store, "u9")), (None, None));
    let other = store.state("preferences", "u1").unwrap().unwrap();
    assert_eq!(other.document.as_deref(), Some("other"));
    assert_eq!(store.state("nobody", "u1").unwrap(), None);
}

pub(crate) fn a_revision_is_never_given_twice(backend: &mut impl Backend) {
    let mut seen = Vec::new();
    for _ in 0..3 {
        let store = backend.host();
        for key in ["u1", "u2"] {
            let base = store.state("profile", key).unwrap().map(|stored| stored.revision);
            let made = committed(&*store, &states(vec![put(key, base, "1")])).revisions[0];
            assert!(made.is_some() && !seen.contains(&made), "{made:?} again");
            seen.push(made);
            if key == "u1" {
                committed(&*store, &states(vec![delete(key, made)]));
            }
        }
        drop(store);
        backend.restart();
    }
}

pub(crate) fn a_stale_commit_names_every_stale_state_and_changes_nothing(backend: &mut impl Backend) {
    let store = backend.host();
    let first = committed(&*store, &states(vec![put("u1", None, "1")])).revisions[0];
    committed(&*store, &states(vec![put("u1", first, "2")]));
    let gone = committed(&*store, &states(vec![put("u3", None, "3")])).revisions[0];
    committed(&*store, &states(vec![delete("u3", gone)]));
    let kept = committed(&*store, &states(vec![put("u4", None, "4")])).revisions[0];
    let epoch = assign(&*store, 0).epoch;
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
            states: vec![put("u2", None, "new"), write.clone(), put("u4", kept, "new")],
            outbox: publish(&[("u2", "event")]).outbox,
            attempts: attempt(0, epoch, (3, Some(1))).attempts,
            ..progress(0, epoch, 4)
        };
        let found = conflict(&*store, &commit);
        let keys: Vec<_> = found
            .states
            .iter()
            .map(|state| (&*state.handler, &*state.key))
            .collect();
        assert_eq!(keys, [("profile", &*write.key)], "{write:?}");
        assert!(found.partitions.is_empty() && found.answers.is_empty());
        assert_eq!(document(&*store, "u2"), None);
        assert_eq!(document(&*store, "u4").as_deref(), Some("4"));
    }
    let both = states(vec![put("u1", first, "x"), put("u2", None, "y"), put("u3", gone, "x")]);
    let both = conflict(&*store, &both);
    let keys: BTreeSet<_> = both.states.iter().map(|state| &*state.key).collect();
    assert_eq!(keys, ["u1", "u3"].into());
    assert_eq!(store.progress("profile").unwrap(), []);
    assert!(assign(&*store, 0).attempts.is_empty());
    for shard in 0..store.shards() {
        assert_eq!(store.outbox(Shard(shard), 0, u64::MAX).unwrap(), []);
    }
    // What the conflict did not name is committed without the rest.
    committed(&*store, &states(vec![put("u2", None, "new"), put("u4", kept, "new")]));
}

fn read(key: &str, base: Option<Revision>, writes: Vec<StateWrite>) -> Commit {
    Commit {
        reads: vec![StateRead {
            handler: text("profile"),
            key: key.into(),
            base,
        }],
        ..states(writes)
    }
}

pub(crate) fn a_state_that_was_read_and_kept_must_be_the_same(backend: &mut impl Backend) {
    let (here, there) = (backend.host(), backend.host());
    let first = committed(&*here, &states(vec![put("u1", None, "1")])).revisions[0];
    let other = committed(&*here, &read("u1", first, vec![put("u2", None, "a")])).revisions[0];
    committed(&*here, &read("absent", None, vec![put("u3", None, "a")]));
    let only = read("u1", first, Vec::new());
    committed(&*here, &only);
    let second = committed(&*there, &states(vec![put("u1", first, "2")])).revisions[0];
    let write = || vec![put("u2", other, "b")];
    for (commit, key) in [
        (read("u1", first, write()), "u1"),
        (read("u1", None, write()), "u1"),
        (only.clone(), "u1"),
    ] {
        let found = conflict(&*here, &commit);
        let keys: Vec<_> = found.states.iter().map(|state| &*state.key).collect();
        assert_eq!(keys, [key]);
    }
    // The same document as before is another version all the same.
    committed(&*there, &states(vec![delete("u1", second)]));
    committed(&*there, &states(vec![put("u1", None, "1")]));
    conflict(&*here, &only);
    assert_eq!(document(&*here, "u2").as_deref(), Some("a"));
}

pub(crate) fn recent_events_are_kept_with_the_state_and_without_one_for_a_day(backend: &mut impl Backend) {
    let (here, there) = (backend.host(), backend.host());
    let recent = |id: &str| Some(RecentEvents::default().with(EventHash::of(id), 4));
    let remember = |key: &str, base, id| StateWrite {
        change: StateChange::Keep,
        recent: recent(id),
        ..put(key, base, "")
    };
    let found = |store: &dyn Store, key: &str| {
        let stored = store.state("profile", key).unwrap();
        stored.map(|stored| (stored.document.as_deref().map(str::to_owned), Some(stored.recent)))
    };
    let with = StateWrite {
        recent: recent("a"),
        ..put("with", None, "1")
    };
    let first = committed(&*here, &states(vec![with, remember("without", None, "b")])).revisions;
    assert_eq!(found(&*there, "with"), Some((Some("1".to_owned()), recent("a"))));
    assert_eq!(found(&*there, "without"), Some((None, recent("b"))));
    // What is not named stays as it is, and a key's row goes from one kind to the other.
    let second = states(vec![put("with", first[0], "2"), put("without", first[1], "3")]);
    let second = committed(&*there, &second).revisions;
    assert_eq!(found(&*here, "with"), Some((Some("2".to_owned()), recent("a"))));
    assert_eq!(found(&*here, "without"), Some((Some("3".to_owned()), recent("b"))));
    let stale = conflict(
        &*here,
        &states(vec![
            remember("with", first[0], "c"),
            remember("without", first[1], "c"),
        ]),
    );
    assert_eq!(stale.states.len(), 2);
    let third = states(vec![delete("with", second[0]), remember("without", second[1], "c")]);
    let third = committed(&*here, &third).revisions;
    assert!(third[0].is_some() && third[0] != second[0]);
    assert_eq!(found(&*there, "with"), Some((None, recent("a"))));
    assert_eq!(found(&*there, "without"), Some((Some("3".to_owned()), recent("c"))));
    conflict(&*there, &states(vec![put("with", None, "x")]));
    // Long after the last of them, another one of that kind is remembered.
    committed_at(&*here, &states(vec![remember("later", None, "d")]), 8 + RECENT_MILLIS);
    assert_eq!(found(&*there, "with"), None);
    assert_eq!(found(&*there, "without"), Some((Some("3".to_owned()), recent("c"))));
}

pub(crate) fn documents_and_keys_are_kept_to_the_byte(backend: &mut impl Backend) {
    let store = backend.host();
    let big = format!("{{\"a\":\"{}\"}}", "é\u{1F600}\\u0000".repeat(100_000));
    let key = "k\u{10FFFF}'; DROP TABLE state; -- {\"\\,}\n";
    committed(&*store, &states(vec![put(key, None, &big), put("", None, "null")]));
    drop(store);
    backend.restart();
    let store = backend.host();
    assert_eq!(document(&*store, key).unwrap(), big);
    assert_eq!(document(&*store, "").unwrap(), "null");
}

pub(crate) fn an_answer_is_given_once_and_forgotten_after_a_day(backend: &mut impl Backend) {
    let (here, there) = (backend.host(), backend.host());
    let answer = |status| Commit {
        answers: vec![AnswerWrite {
            key: text("u1"),
            idempotency_key: text("i"),
            answered: Answered {
                digest: "d".to_owned(),
                status,
                body: Some("\"é\"".to_owned()),
            },
        }],
        ..states(vec![put(&format!("at{status}"), None, "1")])
    };
    committed_at(&*here, &answer(200), 1_000);
    let found = there.answered("u1", "i", 2_000).unwrap().unwrap();
    let parts = (found.status, found.body.as_deref(), &*found.digest);
    assert_eq!(parts, (200, Some("\"é\""), "d"));
    assert_eq!(there.answered("u2", "i", 2_000).unwrap(), None);
    let again = conflict(&*there, &answer(201));
    assert_eq!(again.answers, [(text("u1"), text("i"))]);
    assert_eq!(document(&*there, "at201"), None);
    let later = 1_001 + ANSWER_MILLIS;
    assert_eq!(there.answered("u1", "i", later).unwrap(), None);
    committed_at(&*there, &answer(202), later);
    assert_eq!(here.answered("u1", "i", later).unwrap().unwrap().status, 202);
}

pub(crate) fn a_state_says_since_when_the_newest_version_serves_that_wrote_it(backend: &mut impl Backend) {
    let (one, two) = (backend.host(), backend.host());
    let write = |store: &dyn Store, since| {
        let base = store.state("profile", "ada").unwrap().map(|stored| stored.revision);
        let commit = Commit {
            since: vec![(text("profile"), since)],
            ..states(vec![put("ada", base, "1")])
        };
        committed(store, &commit);
        store.state("profile", "ada").unwrap().unwrap().since_millis
    };
    // Where one host writes, nobody serves a newer version than it does.
    let expected = |since| if one.is_shared() { since } else { 0 };
    assert_eq!(write(&*one, 5), expected(5));
    assert_eq!(write(&*two, 8), expected(8));
    assert_eq!(write(&*one, 5), expected(8));
}
