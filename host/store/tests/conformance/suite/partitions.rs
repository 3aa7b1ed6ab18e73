//! Progress, attempts and who may write them.

use sandman_core::event::TopicId;
use sandman_core::progress::Span;

use super::*;

pub(crate) fn an_assignment_ends_the_one_before_although_nothing_was_committed_under_it(backend: &mut impl Backend) {
    let (here, there) = (backend.host(), backend.host());
    let first = assign(&*here, 0);
    assert_eq!((first.progress, first.attempts), (None, vec![]));
    committed(&*here, &progress(0, first.epoch, 5));
    let second = assign(&*there, 0);
    assert!(second.epoch > first.epoch);
    assert_eq!(second.progress, Some(Progress::starting_at(5)));
    for late in [progress(0, first.epoch, 6), attempt(0, first.epoch, (7, Some(1)))] {
        let found = conflict(&*here, &late);
        assert_eq!(found.partitions, [(text("profile"), partition(0))]);
    }
    committed(&*there, &progress(0, second.epoch, 8));
    let third = assign(&*here, 0);
    assert_eq!(third.progress, Some(Progress::starting_at(8)));
    assert!(third.attempts.is_empty());
    // Another handler's assignment is another one.
    let other = there.assign(&text("preferences"), &[partition(0)]).unwrap();
    assert_eq!(other[0].progress, None);
    committed(&*here, &progress(0, third.epoch, 9));
}

pub(crate) fn an_assignment_brings_progress_and_attempts(backend: &mut impl Backend) {
    let store = backend.host();
    let mut early = Progress::starting_at(5);
    early.complete(Span { start: 8, end: 9 });
    let names = [partition(1), partition(0)];
    let both = store.assign(&text("profile"), &names).unwrap();
    let epoch = both[1].epoch;
    let mut commit = progress(0, epoch, 3);
    commit.progress.push(ProgressWrite {
        handler: text("profile"),
        partition: partition(1),
        progress: early.clone(),
        epoch: both[0].epoch,
    });
    committed(&*store, &commit);
    for (offset, failed) in [(9, Some(1)), (4, Some(1)), (9, Some(2)), (77, None)] {
        committed(&*store, &attempt(0, epoch, (offset, failed)));
    }
    drop(store);
    backend.restart();
    let store = backend.host();
    let mut all = store.progress("profile").unwrap();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    let first = Progress::starting_at(3);
    assert_eq!(all, [(partition(0), first), (partition(1), early.clone())]);
    assert_eq!(store.progress("preferences").unwrap(), []);
    let again = store.assign(&text("profile"), &names).unwrap();
    assert_eq!((again[0].progress.clone(), again[0].attempts.len()), (Some(early), 0));
    let attempts = again[1].attempts.iter();
    let attempts: Vec<_> = attempts.map(|one| (one.offset, one.failed, one.due_millis)).collect();
    assert_eq!(attempts, [(4, 1, 1_000), (9, 2, 1_000)]);
    committed(&*store, &attempt(0, again[1].epoch, (9, None)));
    assert_eq!(assign(&*store, 0).attempts.len(), 1);
}

pub(crate) fn a_conflict_over_a_partition_changes_nothing_else(backend: &mut impl Backend) {
    let store = backend.host();
    let old = assign(&*store, 0).epoch;
    assign(&*store, 0);
    let other = assign(&*store, 1).epoch;
    let mut commit = progress(0, old, 4);
    commit.progress.extend(progress(1, other, 9).progress);
    commit.states = vec![put("u1", None, "1")];
    commit.outbox = publish(&[("u1", "event")]).outbox;
    let found = conflict(&*store, &commit);
    assert_eq!(found.partitions, [(text("profile"), partition(0))]);
    assert!(found.states.is_empty());
    assert_eq!(store.progress("profile").unwrap(), []);
    assert_eq!(document(&*store, "u1"), None);
}

pub(crate) fn a_topic_that_was_made_anew_has_neither_progress_nor_assignments(backend: &mut impl Backend) {
    let store = backend.host();
    let (old, new) = (TopicId("old".into()), TopicId("new".into()));
    let handler = text("profile");
    assert_eq!(store.topic_id("profile", "t").unwrap(), None);
    store.adopt_topic(&handler, "t", &old).unwrap();
    let epoch = assign(&*store, 0).epoch;
    committed(&*store, &progress(0, epoch, 7));
    committed(&*store, &attempt(0, epoch, (8, Some(1))));
    let other = TopicPartition {
        topic: "u".into(),
        partition: 0,
    };
    let of_other = store.assign(&handler, std::slice::from_ref(&other)).unwrap();
    let mut commit = progress(0, of_other[0].epoch, 7);
    commit.progress[0].partition = other.clone();
    committed(&*store, &commit);
    store.restart_topic(&handler, "t", &new).unwrap();
    assert_eq!(store.progress("profile").unwrap(), [(other, Progress::starting_at(7))]);
    let again = assign(&*store, 0);
    assert!(again.epoch > epoch);
    assert_eq!((again.progress, again.attempts), (None, vec![]));
    conflict(&*store, &progress(0, epoch, 8));
    committed(&*store, &progress(0, again.epoch, 1));
    drop(store);
    backend.restart();
    let store = backend.host();
    assert_eq!(store.topic_id("profile", "t").unwrap(), Some(new));
    assert_eq!(store.topic_id("another", "t").unwrap(), None);
}

pub(crate) fn epochs_grow_over_a_restart(backend: &mut impl Backend) {
    let mut last = Epoch::default();
    for _ in 0..3 {
        for _ in 0..3 {
            let store = backend.host();
            let epoch = assign(&*store, 0).epoch;
            assert!(epoch > last);
            last = epoch;
            committed(&*store, &progress(0, epoch, 1));
        }
        backend.restart();
    }
}

pub(crate) fn without_kafka_states_stay_and_progress_goes(backend: &mut impl Backend) {
    let store = backend.host();
    let epoch = assign(&*store, 0).epoch;
    store.adopt_topic(&text("profile"), "t", &TopicId("id".into())).unwrap();
    let commit = Commit {
        states: vec![put("u1", None, "1")],
        outbox: publish(&[("u1", "a")]).outbox,
        attempts: attempt(0, epoch, (3, Some(1))).attempts,
        ..progress(0, epoch, 9)
    };
    let batch = committed(&*store, &commit).batches[0];
    store.forget_kafka().unwrap();
    assert_eq!(document(&*store, "u1").as_deref(), Some("1"));
    assert_eq!(store.progress("profile").unwrap(), []);
    assert_eq!(store.topic_id("profile", "t").unwrap(), None);
    assert_eq!(store.outbox(batch.shard, 0, u64::MAX).unwrap(), []);
    let again = assign(&*store, 0);
    assert_eq!((again.progress, again.attempts), (None, vec![]));
    let next = committed(&*store, &publish(&[("u1", "b")])).batches[0];
    assert_eq!(next.number, batch.number + 1, "numbers go on");
}
