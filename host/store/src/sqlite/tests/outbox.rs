//! The outbox: batches in order, numbered once for ever.

use super::*;

#[test]
fn batches_come_back_in_order_with_their_records_to_the_byte() {
    let mut scene = Scene::new();
    let batch = batch_of(&scene.commit(publish(&["a", "b"]))).unwrap();
    assert_eq!(batch.0, 1);
    assert_eq!(batch_of(&scene.commit(progress(1, 1))), None);
    scene.store().commit(&publish(&["c"]), 8).unwrap();
    scene.reopen();
    let batches = outbox(scene.store(), 0, u64::MAX);
    assert_eq!(batches[0].records, [record("a"), record("b")]);
    assert_eq!(batches[1].records, [record("c")]);
    assert_eq!(
        (batches[0].number, batches[0].committed_millis, batches[0].bytes),
        (1, 7, batch.1)
    );
    assert_eq!((batches[1].number, batches[1].committed_millis), (2, 8));
    assert_eq!(outbox(scene.store(), 1, u64::MAX), batches[1..]);
    assert_eq!(outbox(scene.store(), 2, u64::MAX), []);
}

#[test]
fn the_outbox_is_handed_out_up_to_a_bound_but_at_least_a_batch() {
    let scene = Scene::new();
    let bytes = (0..4)
        .map(|_| batch_of(&scene.commit(publish(&["same"]))).unwrap().1)
        .max()
        .unwrap();
    let count = |bound| outbox(scene.store(), 0, bound).len();
    assert_eq!(
        [
            count(0),
            count(bytes),
            count(bytes * 2 - 1),
            count(bytes * 2),
            count(u64::MAX)
        ],
        [1, 1, 1, 2, 4]
    );
}

#[test]
fn what_is_published_leaves_and_its_number_is_not_used_again() {
    let mut scene = Scene::new();
    for value in ["a", "b", "c"] {
        scene.commit(publish(&[value]));
    }
    scene.commit(published(2));
    assert_eq!(numbers(scene.store()), [3]);
    let batch = outbox(scene.store(), 0, 1).remove(0);
    let expected = OutboxSize {
        batches: 1,
        bytes: batch.bytes,
        last: 3,
        published: 2,
        claimed: false,
        oldest_millis: Some(batch.committed_millis),
    };
    assert_eq!(size(scene.store()), expected);
    scene.commit(published(1));
    assert_eq!(size(scene.store()), expected, "an older word changes nothing");
    scene.commit(published(3));
    scene.reopen();
    let empty = OutboxSize {
        batches: 0,
        bytes: 0,
        last: 3,
        published: 3,
        claimed: false,
        oldest_millis: None,
    };
    assert_eq!(size(scene.store()), empty);
    assert_eq!(batch_of(&scene.commit(publish(&["d"]))).unwrap().0, 4);
}

#[test]
fn one_commit_may_publish_and_forget() {
    let scene = Scene::new();
    scene.commit(publish(&["a"]));
    let both = Commit {
        published: published(1).published,
        ..publish(&["b"])
    };
    assert_eq!(batch_of(&scene.commit(both)).unwrap().0, 2);
    assert_eq!(numbers(scene.store()), [2]);
}

#[test]
fn a_store_that_takes_over_goes_on_above_the_cursor_and_loses_nothing_that_waits() {
    let mut scene = Scene::new();
    for value in ["a", "b", "c"] {
        scene.commit(publish(&[value]));
    }
    scene.commit(published(1));
    scene.store().adopt(Shard::default(), 40).unwrap();
    scene.reopen();
    let waiting = outbox(scene.store(), 40, u64::MAX);
    let seen: Vec<_> = waiting
        .iter()
        .map(|batch| (batch.number, batch.records.clone()))
        .collect();
    assert_eq!(seen, [(41, vec![record("b")]), (42, vec![record("c")])]);
    let found = size(scene.store());
    assert_eq!((found.batches, found.last, found.published), (2, 42, 40));
    assert_eq!(batch_of(&scene.commit(publish(&["d"]))).unwrap().0, 43);
}

#[test]
fn taking_over_from_a_lower_cursor_renumbers_only_what_it_would_hide() {
    let scene = Scene::new();
    for value in ["a", "b", "c"] {
        scene.commit(publish(&[value]));
    }
    scene.commit(published(2));
    scene.store().adopt(Shard::default(), 1).unwrap();
    assert_eq!(numbers(scene.store()), [3]);
    scene.store().adopt(Shard::default(), 3).unwrap();
    assert_eq!(numbers(scene.store()), [4]);
    scene.store().adopt(Shard::default(), 0).unwrap();
    assert_eq!(numbers(scene.store()), [4]);
}

#[test]
fn that_a_cursor_names_the_store_is_known_until_kafka_is_gone() {
    let mut scene = Scene::new();
    scene.commit(publish(&["a"]));
    scene.store().claimed(Shard::default()).unwrap();
    scene.commit(publish(&["b"]));
    scene.reopen();
    assert!(size(scene.store()).claimed);
    scene.store().forget_kafka().unwrap();
    scene.reopen();
    assert!(!size(scene.store()).claimed);
}

#[test]
fn when_kafka_is_gone_states_stay_and_numbers_go_on() {
    let mut scene = Scene::new();
    let all = Commit {
        states: vec![put("u1", None, "1")],
        outbox: vec![record("a")],
        attempts: attempt(3, Some(1)).attempts,
        ..progress(9, 4)
    };
    scene.commit(all);
    scene.store().forget_kafka().unwrap();
    assert_eq!((next(scene.store()), numbers(scene.store())), (None, vec![]));
    assert_eq!(attempts(scene.store()), []);
    assert_eq!(document(scene.store(), "u1").unwrap(), "1");
    scene.reopen();
    let expected = OutboxSize {
        last: 1,
        ..OutboxSize::default()
    };
    assert_eq!(size(scene.store()), expected);
    scene.commit(progress(1, 1));
    assert_eq!(batch_of(&scene.commit(publish(&["b"]))).unwrap().0, 2);
}
