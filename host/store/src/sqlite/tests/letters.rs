//! Dead letters: durable with the commit that gives the trigger up, found by what operators know of them, within a bound.

use super::*;
use sandman_core::event::Record;
use sandman_core::reason::{ReasonCode, TrapKind};
use sandman_core::store::{
    GivenUp, HeldName, Hold, LetterFilter, LetterStore, LetterWrite, NewLetter, Ordered, Pause, RedriveOrder,
};

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
        hold: Hold::No,
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

fn write(scene: &Scene, writes: Vec<LetterWrite>) -> Committed {
    scene.commit(Commit {
        letters: writes,
        letters_bound: u64::MAX,
        ..Commit::default()
    })
}

fn order(scene: &Scene, filter: &LetterFilter, most_redriven: u32) -> Ordered {
    let order = RedriveOrder {
        job: 9,
        through: Some(2),
        most_redriven,
    };
    scene.store().order_redrive(filter, &order).unwrap()
}

fn ordered(scene: &Scene) -> Vec<u64> {
    let ordered = scene.store().ordered(100).unwrap();
    ordered.iter().map(|letter| letter.id).collect()
}

#[test]
fn a_letter_that_is_redriven_goes_with_its_outcome_or_stays_with_another_reason() {
    let mut scene = Scene::new();
    for offset in 1..=4 {
        scene.commit(given_up(
            letter("h", Some("ada"), (offset, ReasonCode::Schema), 10),
            u64::MAX,
        ));
    }
    let of_schema = LetterFilter {
        code: Some("schema".to_owned()),
        ..LetterFilter::default()
    };
    assert_eq!(order(&scene, &of_schema, 5).ordered, 4);
    scene.reopen();
    assert_eq!(ordered(&scene), [1, 2, 3, 4], "the order is durable");
    assert_eq!(scene.store().ordered(1).unwrap()[0].through, Some(2));
    assert_eq!(scene.store().drop_letters(&of_schema).unwrap(), 0, "they are under way");

    let again = GivenUp {
        code: ReasonCode::Rejected,
        reason: "a much longer reason".to_owned(),
        state: None,
        at_millis: 99,
        ..letter("h", None, (1, ReasonCode::Schema), 0).given_up
    };
    let before = scene.store().letters_size().unwrap();
    write(
        &scene,
        vec![LetterWrite::Done(1), LetterWrite::Failed(2, Box::new(again.clone()))],
    );
    assert_eq!(ordered(&scene), [3, 4]);
    let kept = scene.store().letter(2).unwrap().unwrap();
    assert_eq!((kept.head.given_up, kept.head.redriven), (again, 1));
    let of_job = LetterFilter {
        job: Some(9),
        ..LetterFilter::default()
    };
    assert_eq!(ids(scene.store(), &of_job), [2, 3, 4]);
    let after = scene.store().letters_size().unwrap();
    assert!(after.count == 3 && after.bytes < before.bytes, "{after:?}");
    scene.reopen();
    assert_eq!(scene.store().letters_size().unwrap(), after, "as the file has it");

    let gone = Commit {
        letters: vec![LetterWrite::Done(1)],
        ..publish(&["twice"])
    };
    let twice = scene.store().commit(&gone, 7).unwrap_err();
    check(&twice.to_string(), &["letter 1 is gone"]);
    // One that failed is not ordered again beyond the bound.
    assert_eq!(order(&scene, &LetterFilter::default(), 1).refused, 1);
    assert_eq!(scene.store().drop_letters(&LetterFilter::default()).unwrap(), 1);
    assert_eq!(ids(scene.store(), &LetterFilter::default()), [3, 4]);
}

#[test]
fn a_held_key_is_released_from_its_head_in_order() {
    let mut scene = Scene::new();
    let held = |offset, hold| NewLetter {
        hold,
        ..letter("h", Some("ada"), (offset, ReasonCode::Retries), 10)
    };
    for (offset, hold) in [(1, Hold::Head), (2, Hold::Behind), (3, Hold::Behind)] {
        write(&scene, vec![LetterWrite::Add(Box::new(held(offset, hold)))]);
    }
    let name = HeldName {
        handler: "h".into(),
        key: "ada".into(),
    };
    let key = |scene: &Scene| {
        let keys = scene.store().held_keys().unwrap();
        keys.first().map(|key| (key.count, key.released))
    };
    assert_eq!(key(&scene), Some((3, false)));
    assert_eq!(
        order(&scene, &LetterFilter::default(), 5).held,
        3,
        "a redrive leaves them alone"
    );
    assert_eq!(scene.store().drop_letters(&LetterFilter::default()).unwrap(), 0);

    write(&scene, vec![LetterWrite::Release(name.clone())]);
    // One that comes meanwhile is released with them.
    write(&scene, vec![LetterWrite::Add(Box::new(held(4, Hold::Behind)))]);
    scene.reopen();
    assert_eq!(key(&scene), Some((4, true)));
    assert_eq!(scene.store().held_letters(&name, 10).unwrap(), [1, 2, 3, 4]);
    assert!(ordered(&scene).is_empty(), "they go by their key");
    write(&scene, vec![LetterWrite::Done(1)]);
    assert_eq!(key(&scene), Some((3, true)));
    let again = letter("h", None, (2, ReasonCode::Schema), 0).given_up;
    write(&scene, vec![LetterWrite::Failed(2, Box::new(again))]);
    assert_eq!(key(&scene), Some((3, false)), "what waits behind it waits again");

    write(&scene, vec![LetterWrite::DropHead(name.clone())]);
    assert_eq!(scene.store().held_letters(&name, 10).unwrap(), [3, 4]);
    assert_eq!(key(&scene), Some((2, true)));
    assert_eq!(scene.store().letters_size().unwrap().count, 2);
    write(&scene, vec![LetterWrite::Done(3), LetterWrite::Done(4)]);
    assert_eq!(key(&scene), None);
}

#[test]
fn a_pause_survives_a_restart_and_ends_when_it_is_resumed() {
    let mut scene = Scene::new();
    let pause = Pause {
        at_millis: 5,
        by: "sandman".to_owned(),
        reason: "because".to_owned(),
    };
    write(&scene, vec![LetterWrite::Pause("h".into(), Some(pause.clone()))]);
    scene.reopen();
    assert_eq!(scene.store().pauses().unwrap(), [("h".into(), pause)]);
    write(&scene, vec![LetterWrite::Pause("h".into(), None)]);
    assert!(scene.store().pauses().unwrap().is_empty());
}
