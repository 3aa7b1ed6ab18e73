//! Dead letters: with the commit that gives the trigger up, found by what operators know of them, within a bound.

use sandman_core::event::Record;
use sandman_core::reason::{GivenUp, ReasonCode, TrapKind};
use sandman_core::store::{
    DroppedLetters, HeldName, Hold, LetterFilter, LetterStore, LetterWrite, NewLetter, OrderResult, Ordered, Pause,
    RedriveOrder, Shard, ShardPublished,
};

use super::*;

pub(super) fn letter(handler: &str, key: Option<&str>, (offset, code): (i64, ReasonCode), bytes: usize) -> NewLetter {
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
pub(super) fn given_up(letter: NewLetter, bound: u64) -> Commit {
    Commit {
        letters: vec![LetterWrite::Add(Box::new(letter))],
        letters_bound: bound,
        ..publish(&[("ada", "dead")])
    }
}

/// The first so many batches of the letters' shard are on Kafka.
fn on_kafka(store: &dyn Store, batch: u64) {
    let commit = Commit {
        published: vec![ShardPublished {
            shard: Shard::of(Some(b"ada"), store.shards()),
            epoch: Epoch::default(),
            batch,
        }],
        ..Commit::default()
    };
    committed(store, &commit);
}

fn ids(store: &dyn LetterStore, filter: &LetterFilter) -> Vec<u64> {
    let heads = store.letters(filter, 0, 100).unwrap();
    heads.iter().map(|head| head.id).collect()
}

pub(crate) fn a_letter_comes_back_as_it_went(backend: &mut impl Backend) {
    let sent = letter("h", Some("ada"), (7, ReasonCode::Trap(TrapKind::Panic)), 10);
    let store = backend.host();
    let old = assign(&*store, 0).epoch;
    assign(&*store, 0);
    let stale = Commit {
        progress: progress(0, old, 1).progress,
        ..given_up(sent.clone(), u64::MAX)
    };
    conflict(&*store, &stale);
    assert!(ids(&*store, &LetterFilter::default()).is_empty());
    committed(&*store, &given_up(sent.clone(), u64::MAX));
    let size = store.letters_size().unwrap();
    drop(store);
    backend.restart();
    let store = backend.host();
    assert_eq!((store.letters_size().unwrap(), size.bytes), (size, sent.bytes()));
    let id = ids(&*store, &LetterFilter::default())[0];
    let kept = store.letter(id).unwrap().unwrap();
    assert_eq!((&kept.record, &kept.head.given_up), (&sent.record, &sent.given_up));
    assert_eq!(
        (&*kept.head.handler, kept.head.key.as_deref(), kept.head.redriven),
        ("h", Some("ada"), 0)
    );
    assert_eq!(store.letter(id + 1).unwrap(), None);
}

pub(crate) fn letters_are_found_by_what_is_known_of_them(backend: &mut impl Backend) {
    let store = backend.host();
    for (handler, key, offset, code) in [
        ("a", Some("ada"), 1, ReasonCode::Trap(TrapKind::Panic)),
        ("a", Some("bob"), 2, ReasonCode::Trap(TrapKind::Stack)),
        ("b", Some("ada"), 3, ReasonCode::Schema),
        ("b", None, 4, ReasonCode::Decode),
    ] {
        committed(&*store, &given_up(letter(handler, key, (offset, code), 10), u64::MAX));
    }
    let found = |filter: LetterFilter| ids(&*store, &filter);
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
    assert_eq!(store.letters(&LetterFilter::default(), 2, 1).unwrap()[0].id, 3);
}

pub(crate) fn beyond_the_bound_the_oldest_go_that_are_published_and_no_others(backend: &mut impl Backend) {
    let store = backend.host();
    let of = |offset| letter("h", Some("ada"), (offset, ReasonCode::Rejected), 1_000);
    for offset in 1..=3 {
        assert_eq!(
            committed(&*store, &given_up(of(offset), 3_000)).letters_gone,
            0,
            "none is published"
        );
    }
    // The first two are on Kafka; one of them has to go for the bound's sake, and then the other.
    on_kafka(&*store, 2);
    assert_eq!(committed(&*store, &given_up(of(4), 4_500)).letters_gone, 2);
    assert_eq!(ids(&*store, &LetterFilter::default()), [3, 4]);
    on_kafka(&*store, 4);
    assert_eq!(committed(&*store, &given_up(of(5), u64::MAX)).letters_gone, 0);
    let size = store.letters_size().unwrap();
    assert_eq!(size.count, 3);
    assert_eq!(
        committed(&*store, &given_up(of(6), 0)).letters_gone,
        2,
        "5 and 6 are not published"
    );
    assert_eq!(
        ids(&*store, &LetterFilter::default()),
        [5, 6],
        "no number is used again"
    );
    // They could not go with their commits; those of held keys are of another bound.
    assert_eq!(store.shrink_letters(1_000).unwrap(), 0);
    on_kafka(&*store, 6);
    let waits = NewLetter {
        hold: Hold::Head,
        ..of(7)
    };
    committed(&*store, &given_up(waits, u64::MAX));
    let size = store.letters_size().unwrap();
    assert!(size.held_bytes > 1_000 && size.bytes > 2_000, "{size:?}");
    assert_eq!(store.shrink_letters(size.bytes).unwrap(), 0);
    assert_eq!(store.shrink_letters(size.bytes - 1).unwrap(), 1);
    assert_eq!(store.shrink_letters(0).unwrap(), 1);
    let left = store.letters_size().unwrap();
    assert_eq!((left.count, left.bytes, left.held_bytes), (1, 0, size.held_bytes));
}

fn write(store: &dyn DeploymentStore, writes: Vec<LetterWrite>) -> Committed {
    committed(
        store,
        &Commit {
            letters: writes,
            letters_bound: u64::MAX,
            ..Commit::default()
        },
    )
}

fn order(store: &dyn DeploymentStore, filter: &LetterFilter, (job, most_redriven): (u64, u32)) -> Ordered {
    let order = RedriveOrder {
        from: job,
        through: Some(2),
        most_redriven,
        kept: 2,
    };
    let (number, ordered) = store.order_redrive(filter, &order).unwrap();
    assert_eq!(number, job);
    ordered
}

fn ordered(store: &dyn DeploymentStore) -> Vec<u64> {
    let ordered = store.ordered(100).unwrap();
    ordered.iter().map(|letter| letter.id).collect()
}

pub(crate) fn a_letter_that_is_redriven_goes_with_its_outcome_or_stays_with_another_reason(backend: &mut impl Backend) {
    let mut store = backend.host();
    for offset in 1..=4 {
        committed(
            &*store,
            &given_up(letter("h", Some("ada"), (offset, ReasonCode::Schema), 10), u64::MAX),
        );
    }
    let of_schema = LetterFilter {
        code: Some("schema".to_owned()),
        ..LetterFilter::default()
    };
    assert_eq!(order(&*store, &of_schema, (9, 5)).ordered, 4);
    drop(store);
    backend.restart();
    store = backend.host();
    assert_eq!(ordered(&*store), [1, 2, 3, 4], "the order is durable");
    assert_eq!(store.ordered(1).unwrap()[0].through, Some(2));
    let dropped = store.drop_letters(&of_schema).unwrap();
    assert_eq!((dropped.dropped, dropped.ordered, dropped.held), (0, 4, 0));

    let again = GivenUp {
        code: ReasonCode::Rejected,
        reason: "a much longer reason".to_owned(),
        state: None,
        at_millis: 99,
        ..letter("h", None, (1, ReasonCode::Schema), 0).given_up
    };
    let before = store.letters_size().unwrap();
    write(
        &*store,
        vec![LetterWrite::Done(1), LetterWrite::Failed(2, Box::new(again.clone()))],
    );
    assert_eq!(ordered(&*store), [3, 4]);
    let kept = store.letter(2).unwrap().unwrap();
    assert_eq!((kept.head.given_up, kept.head.redriven), (again, 1));
    let of_job = LetterFilter {
        job: Some(9),
        ..LetterFilter::default()
    };
    assert_eq!(ids(&*store, &of_job), [2, 3, 4]);
    let after = store.letters_size().unwrap();
    assert!(after.count == 3 && after.bytes < before.bytes, "{after:?}");
    drop(store);
    backend.restart();
    store = backend.host();
    assert_eq!(store.letters_size().unwrap(), after, "as the store has it");

    let gone = Commit {
        letters: vec![LetterWrite::Done(1)],
        ..publish(&[("ada", "twice")])
    };
    assert_eq!(conflict(&*store, &gone).letters, [1]);
    let shard = Shard::of(Some(b"ada"), store.shards());
    assert_eq!(store.outbox_size(shard).unwrap().last, 4, "nothing of it is committed");
    // One that failed is not ordered again beyond the bound.
    assert_eq!(order(&*store, &LetterFilter::default(), (10, 1)).refused, 1);
    assert_eq!(store.drop_letters(&LetterFilter::default()).unwrap().dropped, 1);
    assert_eq!(ids(&*store, &LetterFilter::default()), [3, 4]);
}

pub(crate) fn what_an_order_came_to_is_counted_with_its_commits(backend: &mut impl Backend) {
    let mut store = backend.host();
    for offset in 1..=6 {
        let letter = letter("h", Some("ada"), (offset, ReasonCode::Schema), 10);
        committed(&*store, &given_up(letter, u64::MAX));
    }
    let all = LetterFilter::default();
    let first = order(&*store, &all, (9, 5));
    let second = order(&*store, &all, (10, 5));
    assert_eq!((first.ordered, second.ordered, second.already), (6, 0, 6));
    let again = letter("h", None, (3, ReasonCode::Rejected), 0).given_up;
    write(&*store, vec![LetterWrite::Done(1), LetterWrite::Done(6)]);
    write(
        &*store,
        vec![LetterWrite::Duplicate(2), LetterWrite::Failed(3, Box::new(again))],
    );
    assert_eq!(store.cancel_redrive(&[4]).unwrap(), 1);
    let so_far = OrderResult {
        ordered: first,
        handled: 2,
        duplicates: 1,
        failed: 1,
        cancelled: 1,
    };
    assert_eq!(store.order_result(9).unwrap(), Some(so_far));
    assert_eq!(so_far.remaining(), 1);
    // One that failed, or of which the order was taken back, may be dropped or ordered again: that changes nothing here.
    assert_eq!(
        order(&*store, &all, (11, 1)),
        Ordered {
            ordered: 1,
            refused: 1,
            already: 1,
            held: 0
        }
    );
    let failed = LetterFilter {
        id: Some(3),
        ..LetterFilter::default()
    };
    assert_eq!(store.drop_letters(&failed).unwrap().dropped, 1);
    drop(store);
    backend.restart();
    store = backend.host();
    assert_eq!(store.order_result(9).unwrap(), Some(so_far));
    // The last two are kept, and what is not done.
    assert_eq!(store.order_result(8).unwrap(), None);
    order(&*store, &all, (12, 5));
    assert_eq!(store.order_result(10).unwrap(), None);
    assert_eq!(store.order_result(9).unwrap(), Some(so_far), "it is not done");
    write(&*store, vec![LetterWrite::Done(5)]);
    order(&*store, &all, (13, 5));
    assert_eq!(store.order_result(9).unwrap(), None);
}

pub(crate) fn a_letter_that_another_host_has_handled_is_a_conflict_over_that_letter(backend: &mut impl Backend) {
    let (one, two) = (backend.host(), backend.host());
    for offset in 1..=3 {
        let letter = letter("h", Some("ada"), (offset, ReasonCode::Schema), 10);
        committed(&*one, &given_up(letter.clone(), u64::MAX));
    }
    assert_eq!(order(&*two, &LetterFilter::default(), (9, 5)).ordered, 3);
    let again = letter("h", None, (1, ReasonCode::Rejected), 0).given_up;
    let failed = |id| LetterWrite::Failed(id, Box::new(again.clone()));
    write(&*one, vec![LetterWrite::Done(1), failed(2)]);
    let stale = Commit {
        letters: vec![LetterWrite::Done(2), LetterWrite::Done(3), failed(1)],
        letters_bound: u64::MAX,
        ..states(vec![put("ada", None, "1")])
    };
    let found = conflict(&*two, &stale);
    assert_eq!(
        (found.letters, found.states),
        (vec![2, 1], vec![]),
        "handled there, and failed there"
    );
    assert_eq!(document(&*two, "ada"), None);
    assert_eq!(ordered(&*two), [3]);
    assert_eq!(two.letter(2).unwrap().unwrap().head.redriven, 1);
    write(&*two, vec![LetterWrite::Done(3)]);
    assert_eq!(ids(&*one, &LetterFilter::default()), [2]);
}

pub(crate) fn a_held_key_is_released_from_its_head_in_order(backend: &mut impl Backend) {
    let mut store = backend.host();
    let held = |offset, hold| NewLetter {
        hold,
        ..letter("h", Some("ada"), (offset, ReasonCode::Retries), 10)
    };
    for (offset, hold) in [(1, Hold::Head), (2, Hold::Behind), (3, Hold::Behind)] {
        write(&*store, vec![LetterWrite::Add(Box::new(held(offset, hold)))]);
    }
    let name = HeldName {
        handler: "h".into(),
        key: "ada".into(),
    };
    let key = |store: &dyn DeploymentStore| {
        let keys = store.held_keys().unwrap();
        keys.first().map(|key| (key.held.count, key.held.released))
    };
    assert_eq!(key(&*store), Some((3, false)));
    assert_eq!(
        order(&*store, &LetterFilter::default(), (9, 5)).held,
        3,
        "a redrive leaves them alone"
    );
    assert_eq!(store.drop_letters(&LetterFilter::default()).unwrap().dropped, 0);

    write(&*store, vec![LetterWrite::Release(name.clone())]);
    // One that comes meanwhile is released with them.
    write(&*store, vec![LetterWrite::Add(Box::new(held(4, Hold::Behind)))]);
    drop(store);
    backend.restart();
    store = backend.host();
    assert_eq!(key(&*store), Some((4, true)));
    let early = Commit {
        letters: vec![LetterWrite::Done(2)],
        letters_bound: u64::MAX,
        ..Commit::default()
    };
    let CommitResult::Conflict(conflict) = store.commit(&early, 1).unwrap() else {
        panic!("a letter has overtaken the one before it");
    };
    assert_eq!(conflict.letters, [2]);
    assert_eq!(store.held_letters(&name, 10).unwrap(), [1, 2, 3, 4]);
    assert!(ordered(&*store).is_empty(), "they go by their key");
    write(&*store, vec![LetterWrite::Done(1)]);
    assert_eq!(key(&*store), Some((3, true)));
    let again = letter("h", None, (2, ReasonCode::Schema), 0).given_up;
    write(&*store, vec![LetterWrite::Failed(2, Box::new(again))]);
    assert_eq!(key(&*store), Some((3, false)), "what waits behind it waits again");

    write(&*store, vec![LetterWrite::DropHead(name.clone())]);
    assert_eq!(store.held_letters(&name, 10).unwrap(), [3, 4]);
    assert_eq!(key(&*store), Some((2, true)));
    assert_eq!(store.letters_size().unwrap().count, 2);
    write(&*store, vec![LetterWrite::Done(3), LetterWrite::Done(4)]);
    assert_eq!(key(&*store), None);
}

pub(crate) fn an_order_is_taken_back_and_what_nobody_can_release_goes(backend: &mut impl Backend) {
    let store = backend.host();
    for offset in 1..=2 {
        committed(
            &*store,
            &given_up(letter("h", Some("ada"), (offset, ReasonCode::Schema), 10), u64::MAX),
        );
    }
    let held = |offset, hold| NewLetter {
        hold,
        ..letter("h", Some("bob"), (offset, ReasonCode::Retries), 10)
    };
    for (offset, hold) in [(3, Hold::Head), (4, Hold::Behind)] {
        write(&*store, vec![LetterWrite::Add(Box::new(held(offset, hold)))]);
    }
    // One without a key of its own is found by its record's.
    let mut unreadable = letter("h", None, (5, ReasonCode::Decode), 10);
    unreadable.record.key = Some(b"eve".to_vec());
    committed(&*store, &given_up(unreadable, u64::MAX));
    let of = |key: &str| LetterFilter {
        key: Some(key.to_owned()),
        ..LetterFilter::default()
    };
    assert_eq!(ids(&*store, &of("eve")), [5]);

    assert_eq!(order(&*store, &LetterFilter::default(), (9, 9)).ordered, 3);
    assert_eq!(store.drop_letters(&of("ada")).unwrap().dropped, 0);
    assert_eq!(store.cancel_redrive(&[1, 3, 99]).unwrap(), 1);
    assert_eq!(ordered(&*store), [2, 5]);
    assert_eq!(store.drop_letters(&of("ada")).unwrap().dropped, 1);
    assert_eq!(
        store.drop_letters(&of("bob")).unwrap(),
        DroppedLetters {
            held: 2,
            ..DroppedLetters::default()
        }
    );
    assert_eq!(store.drop_held_letters(&of("ada")).unwrap(), 0);
    assert_eq!(store.drop_held_letters(&of("bob")).unwrap(), 2);
    assert!(store.held_keys().unwrap().is_empty());
    assert_eq!(store.letters_size().unwrap().count, 2);
}

pub(crate) fn a_pause_is_kept_until_it_is_resumed(backend: &mut impl Backend) {
    let mut store = backend.host();
    let pause = Pause {
        at_millis: 5,
        by: "sandman".to_owned(),
        reason: "because".to_owned(),
    };
    write(&*store, vec![LetterWrite::Pause("h".into(), Some(pause.clone()))]);
    drop(store);
    backend.restart();
    store = backend.host();
    assert_eq!(store.pauses().unwrap(), [("h".into(), pause)]);
    write(&*store, vec![LetterWrite::Pause("h".into(), None)]);
    assert!(store.pauses().unwrap().is_empty());
}

/// A letter of a key that is held.
pub(crate) fn held_letter(handler: &str, key: &str, hold: Hold) -> NewLetter {
    NewLetter {
        hold,
        ..letter(handler, Some(key), (1, ReasonCode::Retries), 10)
    }
}
