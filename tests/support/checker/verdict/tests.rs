//! Each kind of fault, made by hand in what a clean run left.

use super::*;
use crate::checker::Place;
use witness::{Asked, Testimony};

fn input(key: &str, seq: u64) -> Input {
    Input {
        key: key.into(),
        seq,
        fate: Fate::Acknowledged,
        expected: Expected::Answer,
        told: None,
        asked: None,
    }
}

/// The dead letter of an input that is told to be refused.
fn letter(id: u64, input: &Input) -> Letter {
    let place = Place {
        partition: 0,
        offset: i64::try_from(id).unwrap(),
    };
    Letter {
        glimpse: Glimpse { place, id },
        key: Arc::clone(&input.key),
        asked: Asked {
            id,
            seq: input.seq,
            refuse: true,
            ..Asked::default()
        },
        source: place,
        event_type: "work.asked".to_owned(),
        attempts: 1,
        reason: "rejected: told to refuse".to_owned(),
    }
}

/// Two keys with two inputs each; the last of each is refused.
fn refused() -> (Vec<Input>, Observed) {
    let (mut inputs, mut observed) = good();
    for events in &mut observed.last.events {
        events.truncate(2);
    }
    for (id, input) in (0..).zip(&mut inputs).skip(2) {
        input.expected = Expected::DeadLetter;
        let letter = letter(id, input);
        input.asked = Some(Box::new(letter.asked.clone()));
        observed.last.dead.push(letter);
    }
    observed.live = live(&observed.last);
    for (_, memory) in &mut observed.states {
        *memory = Memory::default().after(1);
    }
    (inputs, observed)
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
    let dead = last.dead.iter().map(|letter| letter.glimpse).collect();
    [first, second, dead]
}

fn kinds(change: impl FnOnce(&mut Vec<Input>, &mut Observed)) -> Vec<Kind> {
    kinds_in(good(), change)
}

fn kinds_in(
    (mut inputs, mut observed): (Vec<Input>, Observed),
    change: impl FnOnce(&mut Vec<Input>, &mut Observed),
) -> Vec<Kind> {
    change(&mut inputs, &mut observed);
    judge(&inputs, &observed, Rules::default())
        .counts()
        .into_keys()
        .collect()
}

const ROLLED_BACK: Rules = Rules {
    rolled_back: true,
    clock_jumps: false,
    redriven: false,
};

fn of_attempts(failures: &[(usize, u32, bool)]) -> Vec<Kind> {
    let failures = failures
        .iter()
        .map(|&(host, failed, stored)| Failure { host, failed, stored });
    let failures = failures.collect();
    kinds(|_, seen| seen.attempts.push(("t[0]@1".to_owned(), failures)))
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
    for failures in [
        &[(0, 1, true), (1, 1, false)][..],
        &[(0, 1, false), (0, 2, true), (2, 2, true)],
        &[(0, 2, false), (0, 1, false)],
    ] {
        assert_eq!(of_attempts(failures), [Kind::Attempts], "{failures:?}");
    }
    for failures in [
        &[(0, 1, true), (0, 1, true), (0, 2, true)][..],
        &[(0, 1, true), (0, 2, false), (1, 2, true), (2, 3, false)],
    ] {
        assert_eq!(of_attempts(failures), [], "{failures:?}");
    }
    assert_eq!(kinds(|inputs, _| inputs[0].fate = Fate::Failed), [Kind::Phantom]);
    assert_eq!(kinds(|_, seen| seen.last.events[0][0].told.index = 1), [Kind::Phantom]);
    let found = kinds(|_, seen| seen.last.events[1][3].told.seq = 3);
    assert!(found.contains(&Kind::Phantom), "{found:?}");
    let found = kinds(|_, seen| seen.last.events[1][3].key = "a".into());
    assert!(found.contains(&Kind::Phantom), "{found:?}");
    let found = kinds(|inputs, _| drop(inputs.pop()));
    assert!(found.contains(&Kind::Phantom), "{found:?}");
    let found = kinds(|inputs, seen| seen.last.dead.push(letter(0, &inputs[0])));
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
fn a_dead_letter_is_the_input_that_was_refused() {
    assert_eq!(kinds_in(refused(), |_, _| {}), []);
    let found = |change: fn(&mut Letter)| kinds_in(refused(), |_, seen| change(&mut seen.last.dead[1]));
    assert_eq!(found(|letter| letter.key = "a".into()), [Kind::Phantom]);
    assert_eq!(found(|letter| letter.asked.seq = 1), [Kind::Phantom]);
    assert_eq!(found(|letter| letter.reason = "it trapped".to_owned()), [Kind::Phantom]);
    assert_eq!(found(|letter| letter.attempts = 0), [Kind::Phantom]);
    assert_eq!(found(|letter| letter.event_type.clear()), [Kind::Phantom]);
    assert_eq!(
        found(|letter| letter.source.offset = 2),
        [Kind::Phantom],
        "one record, two letters"
    );
    let fails = |letter: &mut Letter| {
        letter.asked.refuse = false;
        letter.asked.fails = 9;
        letter.attempts = 3;
        letter.reason = "attempt 3 of 9 that fail".to_owned();
    };
    let sent = |change: fn(&mut Asked)| {
        kinds_in(refused(), |inputs, seen| {
            let letter = &mut seen.last.dead[1];
            fails(letter);
            inputs[3].asked = Some(Box::new(letter.asked.clone()));
            change(&mut letter.asked);
        })
    };
    assert_eq!(sent(|_| {}), []);
    assert_eq!(sent(|asked| asked.pad = 1), [Kind::Phantom], "not as it was sent");
    let other = kinds_in(refused(), |inputs, _| {
        inputs[3].fate = Fate::Unknown;
        inputs[3].expected = Expected::Answer;
    });
    assert_eq!(other, [Kind::Phantom], "nobody asked for a dead letter");
}

#[test]
fn a_client_is_told_what_is_published() {
    let told = |change: fn(&mut Testimony)| {
        kinds(|inputs, seen| {
            let mut told = seen.last.events[0][2].told.clone();
            change(&mut told);
            inputs[2].told = Some(Box::new(told));
        })
    };
    assert_eq!(told(|_| {}), []);
    assert_eq!(told(|told| told.fold += 1), [Kind::Phantom]);
    assert_eq!(told(|told| told.by = 9), [Kind::Phantom]);
}

#[test]
fn a_rollback_may_go_back() {
    let (inputs, mut observed) = good();
    for events in &mut observed.last.events {
        events[0].told.by = 7;
    }
    let forward = judge(&inputs, &observed, Rules::default());
    assert_eq!(forward.counts().into_keys().collect::<Vec<_>>(), [Kind::Version]);
    let back = judge(&inputs, &observed, ROLLED_BACK);
    assert!(back.anomalies.is_empty(), "{:?}", back.anomalies);
}

#[test]
fn what_was_redriven_has_a_dead_letter_and_comes_late() {
    let (mut inputs, mut observed) = refused();
    let redriven = Rules {
        redriven: true,
        ..Rules::default()
    };
    for input in &mut inputs[2..] {
        input.expected = Expected::Redriven;
    }
    let lost = judge(&inputs, &observed, redriven).counts();
    assert_eq!(
        lost.get(&Kind::Lost),
        Some(&2),
        "a dead letter alone is not enough: {lost:?}"
    );
    // The first of each key is given up and redriven behind the second.
    let (_, all) = good();
    observed = all;
    for (id, input) in (0..).zip(&mut inputs) {
        input.expected = Expected::Answer;
        input.asked = None;
        if input.seq == 1 {
            input.expected = Expected::Redriven;
            let letter = letter(id, input);
            input.asked = Some(Box::new(letter.asked.clone()));
            observed.last.dead.push(letter);
        }
    }
    for events in &mut observed.last.events {
        late_first(events);
    }
    observed.live = live(&observed.last);
    for (_, memory) in &mut observed.states {
        *memory = Memory::default().after(2).after(1);
    }
    assert_eq!(judge(&inputs, &observed, redriven).anomalies, []);
    let order = judge(&inputs, &observed, Rules::default()).counts();
    assert!(order.contains_key(&Kind::Order), "{order:?}");
    // Held and released, it keeps its place.
    for input in &mut inputs {
        input.expected = Expected::Released;
    }
    let order = judge(&inputs, &observed, redriven).counts();
    assert!(order.contains_key(&Kind::Order), "{order:?}");
}

/// Each key's second event lies before its first.
fn late_first(events: &mut [Sighting]) {
    let keys: HashSet<Arc<str>> = events.iter().map(|event| Arc::clone(&event.key)).collect();
    for key in keys {
        let of_key: Vec<_> = (0..events.len()).filter(|place| events[*place].key == key).collect();
        let [first, second] = of_key[..] else { continue };
        let places = [events[first].place, events[second].place];
        events[first].place = places[1];
        events[second].place = places[0];
        // On the version that serves by then.
        events[first].told.by = events[second].told.by;
        let mut memory = Memory::default();
        for place in [second, first] {
            memory = memory.after(events[place].told.seq);
            (events[place].told.count, events[place].told.fold) = (memory.count, memory.fold);
        }
    }
}
