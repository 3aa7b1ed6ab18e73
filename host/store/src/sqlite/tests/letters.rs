//! Dead letters: durable with the commit that gives the trigger up, found by what operators know of them, within a bound.

use super::*;
use sandman_core::event::Record;
use sandman_core::reason::{ReasonCode, TrapKind};
use sandman_core::store::{GivenUp, LetterFilter, LetterStore, LetterWrite, NewLetter};

fn letter(handler: &str, key: Option<&str>, (offset, code): (i64, ReasonCode), bytes: usize) -> NewLetter {
    NewLetter {
        handler: handler.into(),
        key: key.map(Into::into),
        record: Record {
            source: TopicPartition {
                topic: "t".into(),
                partition: 1,
            },
            offset,
            key: key.map(|key| key.as_bytes().to_vec()),
            value: Some(vec![0xfe; bytes]),
            headers: Headers::from_iter([Header { name: "x", value: None }]),
            timestamp_millis: Some(5),
        },
        given_up: GivenUp {
            code,
            reason: "because".to_owned(),
            version: 3,
            digest: "d".into(),
            attempts: 2,
            state: Some("{}".into()),
            at_millis: offset * 10,
        },
    }
}

/// A commit as the pipeline makes it: the letter, and its record for Kafka.
fn given_up(letter: NewLetter, bound: u64) -> Commit {
    Commit {
        letters: vec![LetterWrite::Add(Box::new(letter))],
        letters_bound: bound,
        ..publish(&["dead"])
    }
}

fn ids(store: &SqliteStore, filter: &LetterFilter) -> Vec<u64> {
    let heads = store.letters(filter, 0, 100).unwrap();
    heads.iter().map(|head| head.id).collect()
}

#[test]
fn a_letter_comes_back_as_it_went_also_after_a_restart() {
    let mut scene = Scene::new();
    let sent = letter("h", Some("ada"), (7, ReasonCode::Trap(TrapKind::Panic)), 10);
    scene.interrupt(&given_up(sent.clone(), u64::MAX), || {});
    assert!(ids(scene.store(), &LetterFilter::default()).is_empty());
    scene.commit(given_up(sent.clone(), u64::MAX));
    let size = scene.store().letters_size().unwrap();
    scene.reopen();
    assert_eq!(scene.store().letters_size().unwrap(), size);
    let kept = scene.store().letter(1).unwrap().unwrap();
    assert_eq!((&kept.record, &kept.head.given_up), (&sent.record, &sent.given_up));
    assert_eq!(
        (&*kept.head.handler, kept.head.key.as_deref(), kept.head.redriven),
        ("h", Some("ada"), 0)
    );
    assert_eq!(scene.store().letter(2).unwrap(), None);
}

#[test]
fn letters_are_found_by_what_is_known_of_them() {
    let scene = Scene::new();
    for (handler, key, offset, code) in [
        ("a", Some("ada"), 1, ReasonCode::Trap(TrapKind::Panic)),
        ("a", Some("bob"), 2, ReasonCode::Trap(TrapKind::Stack)),
        ("b", Some("ada"), 3, ReasonCode::Schema),
        ("b", None, 4, ReasonCode::Decode),
    ] {
        scene.commit(given_up(letter(handler, key, (offset, code), 10), u64::MAX));
    }
    let found = |filter: LetterFilter| ids(scene.store(), &filter);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(found(LetterFilter::default()), [1, 2, 3, 4]);
    assert_eq!(
        found(LetterFilter {
            handler: text("a"),
            ..LetterFilter::default()
        }),
        [1, 2]
    );
    assert_eq!(
        found(LetterFilter {
            key: text("ada"),
            ..LetterFilter::default()
        }),
        [1, 3]
    );
    assert_eq!(
        found(LetterFilter {
            code: text("trap"),
            ..LetterFilter::default()
        }),
        [1, 2]
    );
    assert_eq!(
        found(LetterFilter {
            code: text("trap.stack"),
            ..LetterFilter::default()
        }),
        [2]
    );
    assert_eq!(
        found(LetterFilter {
            since_millis: Some(30),
            ..LetterFilter::default()
        }),
        [3, 4]
    );
    assert_eq!(
        found(LetterFilter {
            id: Some(4),
            ..LetterFilter::default()
        }),
        [4]
    );
    assert_eq!(scene.store().letters(&LetterFilter::default(), 2, 1).unwrap()[0].id, 3);
}

#[test]
fn beyond_the_bound_the_oldest_go_that_are_published_and_no_others() {
    let scene = Scene::new();
    let of = |offset| letter("h", Some("ada"), (offset, ReasonCode::Rejected), 1_000);
    for offset in 1..=3 {
        assert_eq!(
            scene.commit(given_up(of(offset), 3_000)).letters_gone,
            0,
            "none is published"
        );
    }
    // The first two are on Kafka; one of them has to go for the bound's sake, and then the other.
    scene.commit(published(2));
    assert_eq!(scene.commit(given_up(of(4), 4_500)).letters_gone, 2);
    assert_eq!(ids(scene.store(), &LetterFilter::default()), [3, 4]);
    scene.commit(published(4));
    assert_eq!(scene.commit(given_up(of(5), u64::MAX)).letters_gone, 0);
    let size = scene.store().letters_size().unwrap();
    assert_eq!(size.count, 3);
    assert_eq!(
        scene.commit(given_up(of(6), 0)).letters_gone,
        2,
        "5 and 6 are not published"
    );
    assert_eq!(
        ids(scene.store(), &LetterFilter::default()),
        [5, 6],
        "no number is used again"
    );
}
