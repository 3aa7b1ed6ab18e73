//! Each kind of fault, made by hand in what a clean run left.

use super::*;
use crate::checker::Place;
use witness::Testimony;

fn input(key: &str, seq: u64) -> Input {
    Input {
        key: key.into(),
        seq,
        fate: Fate::Acknowledged,
        expected: Expected::Answer,
    }
}

/// Two keys with two inputs each, all of them answered.
fn good() -> (Vec<Input>, Observed) {
    let inputs = vec![input("a", 1), input("b", 1), input("a", 2), input("b", 2)];
    let mut observed = Observed::default();
    let mut memories: BTreeMap<Arc<str>, Memory> = BTreeMap::new();
    for (id, input) in (0..).zip(&inputs) {
        let memory = memories.entry(Arc::clone(&input.key)).or_default();
        *memory = memory.after(input.seq);
        for index in 0..2 {
            let events = &mut observed.last.events[index];
            events.push(Sighting {
                place: Place {
                    partition: i32::from(&*input.key == "b"),
                    offset: events.len() as i64,
                },
                key: Arc::clone(&input.key),
                told: Testimony {
                    id,
                    index: index as u64,
                    seq: input.seq,
                    by: input.seq,
                    attempt: 1,
                    count: memory.count,
                    fold: memory.fold,
                    pad: String::new(),
                },
            });
        }
    }
    observed.live = live(&observed.last);
    observed.states = memories.into_iter().collect();
    (inputs, observed)
}

/// What readers see who miss nothing while the faults happen.
fn live(last: &Witnessed) -> [Vec<Glimpse>; 3] {
    let [first, second] = last
        .events
        .each_ref()
        .map(|events| events.iter().map(Sighting::glimpse).collect());
    [first, second, last.dead.clone()]
}

fn kinds(change: impl FnOnce(&mut Vec<Input>, &mut Observed)) -> Vec<Kind> {
    let (mut inputs, mut observed) = good();
    change(&mut inputs, &mut observed);
    judge(&inputs, &observed, Rules::default())
        .counts()
        .into_keys()
        .collect()
}

#[test]
fn a_clean_run_has_nothing_against_it() {
    assert_eq!(kinds(|_, _| {}), []);
}

#[test]
fn every_kind_of_fault_is_found_by_its_name() {
    let found = kinds(|_, seen| seen.last.events.iter_mut().for_each(|events| drop(events.pop())));
    assert!(found.contains(&Kind::Lost) && found.contains(&Kind::State), "{found:?}");
    let found = kinds(|_, seen| {
        let again = seen.last.events[0][3].clone();
        seen.last.events[0].push(again);
    });
    assert!(found.contains(&Kind::Duplicate), "{found:?}");
    assert_eq!(kinds(|_, seen| seen.live[0][0].place.offset = 99), [Kind::Aborted]);
    let found = kinds(|_, seen| {
        seen.last.events[1][0].place.offset = 50;
        seen.live[1][0].place.offset = 50;
    });
    assert!(found.contains(&Kind::Order), "{found:?}");
    let found = kinds(|_, seen| drop(seen.last.events[1].pop()));
    assert!(found.contains(&Kind::Torn), "{found:?}");
    assert_eq!(kinds(|_, seen| seen.states[0].1.count = 9), [Kind::State]);
    assert_eq!(kinds(|_, seen| seen.last.events[0][2].told.fold = 9), [Kind::State]);
    let found = kinds(|_, seen| seen.last.events[0][0].told.by = 7);
    assert_eq!(found, [Kind::Version], "by two, and back");
    assert_eq!(kinds(|_, seen| seen.stuck.push("t[0]".to_owned())), [Kind::Stuck]);
    assert_eq!(
        kinds(|_, seen| seen.attempts.push(("t[0]@1".to_owned(), vec![1, 2, 1]))),
        [Kind::Attempts]
    );
    assert_eq!(kinds(|inputs, _| inputs[0].fate = Fate::Failed), [Kind::Phantom]);
    assert_eq!(kinds(|_, seen| seen.last.events[0][0].told.index = 1), [Kind::Phantom]);
    let found = kinds(|_, seen| seen.last.events[1][3].told.seq = 3);
    assert!(found.contains(&Kind::Phantom), "{found:?}");
    let found = kinds(|_, seen| seen.last.events[1][3].key = "a".into());
    assert!(found.contains(&Kind::Phantom), "{found:?}");
    let found = kinds(|inputs, _| drop(inputs.pop()));
    assert!(found.contains(&Kind::Phantom), "{found:?}");
    let found = kinds(|_, seen| seen.last.dead.push(seen.last.events[0][0].glimpse()));
    assert!(
        found.contains(&Kind::Duplicate),
        "an answer and a dead letter: {found:?}"
    );
}

#[test]
fn what_nobody_knows_may_be_there_or_not() {
    assert_eq!(kinds(|inputs, _| inputs[0].fate = Fate::Unknown), []);
    let lost = kinds(|inputs, seen| {
        inputs[3].fate = Fate::Unknown;
        seen.last.events.iter_mut().for_each(|events| drop(events.pop()));
        seen.live = live(&seen.last);
        seen.states.pop();
    });
    assert_eq!(lost, []);
}

#[test]
fn a_rollback_may_go_back() {
    let (inputs, mut observed) = good();
    for events in &mut observed.last.events {
        events[0].told.by = 7;
    }
    let forward = judge(&inputs, &observed, Rules::default());
    assert_eq!(forward.counts().into_keys().collect::<Vec<_>>(), [Kind::Version]);
    let back = judge(&inputs, &observed, Rules { rolled_back: true });
    assert!(back.anomalies.is_empty(), "{:?}", back.anomalies);
}
