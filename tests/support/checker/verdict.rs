//! The judgement.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use witness::{Memory, Testimony};

use super::journal::{Expected, Fate, Input};
use super::observed::{Failure, Glimpse, Letter, Observed, Sighting, Witnessed};

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An acknowledged input without its events or its dead letter.
    Lost,
    /// The same event twice, a dead letter twice, or both for one input.
    Duplicate,
    /// A reader saw a record that is not there for a reader who comes later.
    Aborted,
    /// The inputs of a key are not in order.
    Order,
    /// One event of an input without the other.
    Torn,
    /// What is known of a key is not what its inputs make.
    State,
    /// An input by two versions, or a key going back to an older one.
    Version,
    /// A transaction that nobody ends holds up readers.
    Stuck,
    /// Failed attempts were forgotten.
    Attempts,
    /// Something that nobody sent or asked for, that was said to have failed, or that is not what a client was told.
    Phantom,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", format!("{self:?}").to_lowercase())
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Anomaly {
    /// What kind of thing.
    pub kind: Kind,
    /// Where, for a person to read.
    pub what: String,
}

/// What a run may do that others may not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Versions were rolled back: a key may see an older one again.
    pub rolled_back: bool,
    /// The hosts' clock jumped: the times in their logs do not tell what was stored.
    pub clock_jumps: bool,
    /// Dead letters were redriven: what was given up comes behind what came later for its key, in an order of its own.
    pub redriven: bool,
}

/// What came of a run.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Inputs.
    pub inputs: usize,
    /// Inputs that were acknowledged.
    pub acknowledged: usize,
    /// Inputs of which nobody knows.
    pub unknown: usize,
    /// Events that came out.
    pub events: usize,
    /// Dead letters.
    pub dead_letters: usize,
    /// Records seen while the faults happened.
    pub seen_live: usize,
    /// Keys whose state was compared.
    pub states: usize,
    /// Everything that is wrong.
    pub anomalies: Vec<Anomaly>,
}

impl Verdict {
    /// How often each kind of thing is wrong.
    pub fn counts(&self) -> BTreeMap<Kind, usize> {
        let mut counts = BTreeMap::new();
        for anomaly in &self.anomalies {
            *counts.entry(anomaly.kind).or_insert(0) += 1;
        }
        counts
    }

    fn add(&mut self, kind: Kind, what: String) {
        self.anomalies.push(Anomaly { kind, what });
    }
}

/// Judges a run.
pub fn judge(inputs: &[Input], observed: &Observed, rules: Rules) -> Verdict {
    let last = &observed.last;
    let with = |fate| inputs.iter().filter(|input| input.fate == fate).count();
    let mut verdict = Verdict {
        inputs: inputs.len(),
        acknowledged: with(Fate::Acknowledged),
        unknown: with(Fate::Unknown),
        events: last.events.iter().map(Vec::len).sum(),
        dead_letters: last.dead.len(),
        seen_live: observed.live.iter().map(Vec::len).sum(),
        states: observed.states.len(),
        anomalies: Vec::new(),
    };
    each_input(&mut verdict, inputs, last);
    each_event(&mut verdict, inputs, last);
    each_letter(&mut verdict, inputs, last);
    for events in &last.events {
        let keys = by_key(events);
        for (key, events) in &keys {
            let late = |event: &&Sighting| {
                rules.redriven && input_of(inputs, event.told.id).is_some_and(|input| input.expected.comes_late())
            };
            let (late, at_once): (Vec<_>, Vec<_>) = events.iter().copied().partition(late);
            order(&mut verdict, key, &at_once);
            order(&mut verdict, key, &late);
            folds(&mut verdict, key, events);
            versions(&mut verdict, key, events, rules);
        }
    }
    states(&mut verdict, last, &observed.states);
    aborted(&mut verdict, observed);
    attempts(&mut verdict, observed);
    for partition in &observed.stuck {
        verdict.add(Kind::Stuck, partition.clone());
    }
    verdict
}

/// How often something of each input was seen: first events, second events, dead letters.
fn each_input(verdict: &mut Verdict, inputs: &[Input], last: &Witnessed) {
    let mut counts = vec![[0_u32; 3]; inputs.len()];
    let mut by: HashMap<u64, u64> = HashMap::new();
    let ids = last.events.iter().enumerate().flat_map(|(index, events)| {
        events
            .iter()
            .map(move |event| (index, event.told.id, Some(event.told.by)))
    });
    for (index, id, version) in ids.chain(last.dead.iter().map(|dead| (2, dead.glimpse.id, None))) {
        match usize::try_from(id).ok().and_then(|id| counts.get_mut(id)) {
            Some(counts) => counts[index] += 1,
            None => verdict.add(Kind::Phantom, format!("input {id} was never sent")),
        }
        if let Some(version) = version
            && *by.entry(id).or_insert(version) != version
        {
            verdict.add(
                Kind::Version,
                format!("input {id} was handled by version {} and {version}", by[&id]),
            );
        }
    }
    for (id, (input, [first, second, dead])) in inputs.iter().zip(counts).enumerate() {
        let name = format!("input {id}, number {} of {}", input.seq, input.key);
        let seen = format!("{first} first events, {second} second ones, {dead} dead letters");
        let both = dead > 0 && first + second > 0;
        if first > 1 || second > 1 || dead > 1 || (both && !input.expected.allows_both()) {
            verdict.add(Kind::Duplicate, format!("{name}: {seen}"));
        } else if first != second {
            verdict.add(Kind::Torn, format!("{name}: {seen}"));
        }
        let fits = match input.expected {
            Expected::Answer | Expected::Released => first > 0 || second > 0,
            Expected::DeadLetter | Expected::GivenUp => dead > 0,
            Expected::Redriven => dead > 0 && (first > 0 || second > 0),
            Expected::Either => first + second + dead > 0,
        };
        let came = first + second + dead > 0;
        match input.fate {
            Fate::Acknowledged if !fits => verdict.add(Kind::Lost, format!("{name}: {seen}")),
            Fate::Unknown if came && !fits => {
                verdict.add(Kind::Phantom, format!("{name} asked for something else: {seen}"))
            }
            Fate::Failed if came => {
                verdict.add(Kind::Phantom, format!("{name} was said to have failed: {seen}"));
            }
            _ => {}
        }
    }
}

/// An event must be the one that its input asks for, in the topic where it belongs, and the one that a client was told of.
fn each_event(verdict: &mut Verdict, inputs: &[Input], last: &Witnessed) {
    for (index, events) in (0..).zip(&last.events) {
        for Sighting { key, told, .. } in events {
            let Some(input) = input_of(inputs, told.id) else {
                continue;
            };
            if input.seq != told.seq || input.key != *key || told.index != index {
                let what = format!("nobody asked for this event {index} with the key {key}: {told:?}");
                verdict.add(Kind::Phantom, what);
            }
            let answer = input.told.as_deref().map(|answer| Testimony {
                index,
                ..answer.clone()
            });
            if answer.as_ref().is_some_and(|answer| answer != told) {
                let what = format!("{key}: a client was told {answer:?}, and event {index} is {told:?}");
                verdict.add(Kind::Phantom, what);
            }
        }
    }
}

/// A dead letter must be its input as it came, given up for the reason that the input asks for; no two are for one record.
fn each_letter(verdict: &mut Verdict, inputs: &[Input], last: &Witnessed) {
    let mut sources = HashSet::new();
    for letter in &last.dead {
        let Letter { key, asked, reason, .. } = letter;
        let Some(input) = input_of(inputs, asked.id) else {
            continue;
        };
        let why = match asked.refuse {
            true => "told to refuse".to_owned(),
            false => format!("attempt {} of {} that fail", letter.attempts, asked.fails),
        };
        let is_input = input.asked.as_deref() == Some(asked) && input.key == *key && letter.event_type == "work.asked";
        if !is_input || !reason.contains(&why) || letter.attempts == 0 || !sources.insert(letter.source) {
            let what = format!(
                "no such dead letter can be of number {} of {}: {letter:?}",
                input.seq, input.key
            );
            verdict.add(Kind::Phantom, what);
        }
    }
}

fn input_of(inputs: &[Input], id: u64) -> Option<&Input> {
    usize::try_from(id).ok().and_then(|id| inputs.get(id))
}

/// The events of each key in the order in which a client reads them: all of a key lie in one partition.
fn by_key(events: &[Sighting]) -> BTreeMap<&str, Vec<&Sighting>> {
    let mut keys: BTreeMap<&str, Vec<&Sighting>> = BTreeMap::new();
    for event in events {
        keys.entry(&event.key).or_default().push(event);
    }
    for events in keys.values_mut() {
        events.sort_by_key(|event| event.place);
    }
    keys
}

fn order(verdict: &mut Verdict, key: &str, events: &[&Sighting]) {
    let mut partitions: Vec<_> = events.iter().map(|event| event.place.partition).collect();
    partitions.dedup();
    if partitions.len() > 1 {
        verdict.add(Kind::Order, format!("{key} lies in several partitions: {partitions:?}"));
    }
    for pair in events.windows(2) {
        let (one, next) = (&pair[0].told, &pair[1].told);
        if next.seq <= one.seq {
            let what = format!("{key}: number {} comes after number {}", next.seq, one.seq);
            verdict.add(Kind::Order, what);
        }
    }
}

/// Each event tells what its key's memory was with it; that must be the memory before it and this one input.
fn folds(verdict: &mut Verdict, key: &str, events: &[&Sighting]) {
    let mut memory = Memory::default();
    for event in events {
        memory = memory.after(event.told.seq);
        let told = Memory {
            count: event.told.count,
            fold: event.told.fold,
        };
        if told != memory {
            let what = format!(
                "{key}, number {}: told {told:?}, its events make {memory:?}",
                event.told.seq
            );
            verdict.add(Kind::State, what);
            // The next ones are held against what was told: one fault is told once.
            memory = told;
        }
    }
}

fn versions(verdict: &mut Verdict, key: &str, events: &[&Sighting], rules: Rules) {
    let back = events.windows(2).find(|pair| pair[1].told.by < pair[0].told.by);
    if let Some(pair) = back.filter(|_| !rules.rolled_back) {
        let (one, next) = (&pair[0].told, &pair[1].told);
        let what = format!(
            "{key} went back from version {} to {} at number {}",
            one.by, next.by, next.seq
        );
        verdict.add(Kind::Version, what);
    }
}

fn states(verdict: &mut Verdict, last: &Witnessed, states: &[(Arc<str>, Memory)]) {
    let keys = by_key(&last.events[1]);
    for (key, known) in states {
        let events = keys.get(&**key).into_iter().flatten();
        let memory = events.fold(Memory::default(), |memory, event| memory.after(event.told.seq));
        if memory != *known {
            verdict.add(
                Kind::State,
                format!("{key}: the host knows {known:?}, its events make {memory:?}"),
            );
        }
    }
}

/// What a host has stored the next ones know, and each counts on from there. (One host may log a number twice: a try whose
/// end was overtaken.)
fn attempts(verdict: &mut Verdict, observed: &Observed) {
    for (record, failures) in &observed.attempts {
        let forgets = |(place, later): (usize, &Failure)| {
            let mut before = failures.iter().take(place);
            before.any(|earlier| match earlier.host == later.host {
                true => earlier.failed > later.failed,
                false => earlier.stored && earlier.failed >= later.failed,
            })
        };
        if failures.iter().enumerate().any(forgets) {
            let what = format!("the attempts of {record} that failed: {failures:?}");
            verdict.add(Kind::Attempts, what);
        }
    }
}

/// What a reader saw live must be what lies there at the end.
fn aborted(verdict: &mut Verdict, observed: &Observed) {
    let [first, second] = &observed.last.events;
    let glimpses = |events: &[Sighting]| -> HashSet<_> { events.iter().map(Sighting::glimpse).collect() };
    let names = ["first event", "second event", "dead letter"];
    for (index, (live, name)) in observed.live.iter().zip(names).enumerate() {
        let there = match index {
            0 => glimpses(first),
            1 => glimpses(second),
            _ => observed.last.dead.iter().map(|letter| letter.glimpse).collect(),
        };
        for Glimpse { place, id } in live.iter().filter(|seen| !there.contains(seen)) {
            let what = format!("the {name} of input {id} was seen at {place:?} and is not there any more");
            verdict.add(Kind::Aborted, what);
        }
    }
}
