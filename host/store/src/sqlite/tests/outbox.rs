//! The outbox: batches in order, numbered once for ever.

use super::*;

#[test]
fn batches_come_back_in_order_with_their_records_to_the_byte() {
    let mut scene = Scene::new();
    let batch = scene.commit(publish(&["a", "b"])).batch.unwrap();
    assert_eq!(batch.0, 1);
    assert_eq!(scene.commit(progress(1, 1)).batch, None);
    scene.store().commit(&publish(&["c"]), 8).unwrap();
    scene.reopen();
    let batches = scene.store().outbox(0, u64::MAX).unwrap();
    assert_eq!(batches[0].records, [record("a"), record("b")]);
    assert_eq!(batches[1].records, [record("c")]);
    assert_eq!(
        (batches[0].number, batches[0].committed_millis, batches[0].bytes),
        (1, 7, batch.1)
    );
    assert_eq!((batches[1].number, batches[1].committed_millis), (2, 8));
    assert_eq!(scene.store().outbox(1, u64::MAX).unwrap(), batches[1..]);
    assert_eq!(scene.store().outbox(2, u64::MAX).unwrap(), []);
}

#[test]
fn the_outbox_is_handed_out_up_to_a_bound_but_at_least_a_batch() {
    let scene = Scene::new();
    let bytes = (0..4)
        .map(|_| scene.commit(publish(&["same"])).batch.unwrap().1)
        .max()
        .unwrap();
    let count = |bound| scene.store().outbox(0, bound).unwrap().len();
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
    let batch = scene.store().outbox(0, 1).unwrap().remove(0);
    let size = OutboxSize {
        batches: 1,
        bytes: batch.bytes,
        last: 3,
        published: 2,
        claimed: false,
        oldest_millis: Some(batch.committed_millis),
    };
    assert_eq!(scene.store().outbox_size().unwrap(), size);
    scene.commit(published(1));
    assert_eq!(
        scene.store().outbox_size().unwrap(),
        size,
        "an older word changes nothing"
    );
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
    assert_eq!(scene.store().outbox_size().unwrap(), empty);
    assert_eq!(scene.commit(publish(&["d"])).batch.unwrap().0, 4);
}

#[test]
fn one_commit_may_publish_and_forget() {
    let scene = Scene::new();
    scene.commit(publish(&["a"]));
    let both = Commit {
        published: Some(1),
        ..publish(&["b"])
    };
    assert_eq!(scene.commit(both).batch.unwrap().0, 2);
    assert_eq!(numbers(scene.store()), [2]);
}

#[test]
fn a_store_that_takes_over_goes_on_above_the_cursor_and_loses_nothing_that_waits() {
    let mut scene = Scene::new();
    for value in ["a", "b", "c"] {
        scene.commit(publish(&[value]));
    }
    scene.commit(published(1));
    scene.store().adopt(40).unwrap();
    scene.reopen();
    let waiting = scene.store().outbox(40, u64::MAX).unwrap();
    let seen: Vec<_> = waiting
        .iter()
        .map(|batch| (batch.number, batch.records.clone()))
        .collect();
    assert_eq!(seen, [(41, vec![record("b")]), (42, vec![record("c")])]);
    let size = scene.store().outbox_size().unwrap();
    assert_eq!((size.batches, size.last, size.published), (2, 42, 40));
    assert_eq!(scene.commit(publish(&["d"])).batch.unwrap().0, 43);
}

#[test]
fn taking_over_from_a_lower_cursor_renumbers_only_what_it_would_hide() {
    let scene = Scene::new();
    for value in ["a", "b", "c"] {
        scene.commit(publish(&[value]));
    }
    scene.commit(published(2));
    scene.store().adopt(1).unwrap();
    assert_eq!(numbers(scene.store()), [3]);
    scene.store().adopt(3).unwrap();
    assert_eq!(numbers(scene.store()), [4]);
    scene.store().adopt(0).unwrap();
    assert_eq!(numbers(scene.store()), [4]);
}

#[test]
fn that_a_cursor_names_the_store_is_known_until_kafka_is_gone() {
    let mut scene = Scene::new();
    scene.commit(publish(&["a"]));
    scene.store().claimed().unwrap();
    scene.commit(publish(&["b"]));
    scene.reopen();
    assert!(scene.store().outbox_size().unwrap().claimed);
    scene.store().forget_kafka().unwrap();
    scene.reopen();
    assert!(!scene.store().outbox_size().unwrap().claimed);
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
    assert_eq!(scene.store().attempts("profile", &partition(0)).unwrap(), []);
    assert_eq!(document(scene.store(), "u1").unwrap(), "1");
    scene.reopen();
    let size = OutboxSize {
        last: 1,
        ..OutboxSize::default()
    };
    assert_eq!(scene.store().outbox_size().unwrap(), size);
    scene.commit(progress(1, 1));
    assert_eq!(scene.commit(publish(&["b"])).batch.unwrap().0, 2);
}
