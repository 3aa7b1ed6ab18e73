//! What was sent to the guest `echo`, and whether what came out of it is that: nothing lost, doubled or out of order.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use echo::Tally;

use crate::Result;
use crate::consumer::Seen;
use crate::event::Event;
use crate::world::World;

/// How many faults a report lists.
const SHOWN: usize = 10;

/// Per key, how many events were sent: numbers 1, 2, 3 and so on.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    sent: BTreeMap<String, u64>,
}

impl Ledger {
    /// The next event of a key, for which the guest takes `burn` thousand steps.
    pub fn next(&mut self, key: &str, burn: u64) -> Event {
        let n = self.sent.entry(key.to_owned()).or_default();
        *n += 1;
        Event::slow_thing(key, *n, burn)
    }

    /// The next `each` events of `keys` keys, interleaved: one of each key, then the next of each.
    pub fn rounds(&mut self, keys: usize, each: usize, burn: u64) -> Vec<Event> {
        let names: Vec<_> = (0..keys).map(|key| format!("user-{key}")).collect();
        let mut events = Vec::with_capacity(keys * each);
        for _ in 0..each {
            events.extend(names.iter().map(|key| self.next(key, burn)));
        }
        events
    }

    /// How many events were sent.
    pub fn total(&self) -> usize {
        self.sent
            .values()
            .map(|n| usize::try_from(*n).unwrap_or(usize::MAX))
            .sum()
    }

    /// Waits until as many events came out as went in, and checks them.
    ///
    /// # Errors
    /// If they do not come, or are wrong.
    pub fn settle(&self, world: &World) -> Result {
        world.reader(&world.topic("thing.echoed"))?.until_count(self.total())?;
        world.reader(&world.topic("thing.counted"))?.until_count(self.total())?;
        self.check(world)
    }

    /// Checks everything that came out so far against everything that went in.
    ///
    /// # Errors
    /// The first events that were lost, doubled, out of order or wrongly counted.
    pub fn check(&self, world: &World) -> Result {
        let echoed = world.all_of(&world.topic("thing.echoed"))?;
        self.check_numbers("echoed", &numbers(&echoed, "n"), &echoed)?;
        let counted = world.all_of(&world.topic("thing.counted"))?;
        self.check_numbers("counted", &numbers(&counted, "last"), &counted)?;
        for event in &counted {
            let tally: Tally = serde_json::from_value(event.payload()).context("a tally")?;
            let expected = (1..=tally.last).fold(Tally::default(), Tally::after);
            if tally != expected {
                bail!("key {} was counted as {tally:?}, not {expected:?}", event.key_text());
            }
        }
        Ok(())
    }

    fn check_numbers(&self, what: &str, seen: &BTreeMap<String, Vec<u64>>, events: &[Seen]) -> Result {
        let mut faults = Vec::new();
        for (key, last) in &self.sent {
            let numbers = seen.get(key).map(Vec::as_slice).unwrap_or_default();
            if !numbers.iter().copied().eq(1..=*last) {
                faults.push(format!("{key}: {}", fault(numbers, *last)));
            }
        }
        let strangers = seen.keys().filter(|key| !self.sent.contains_key(*key));
        faults.extend(strangers.map(|key| format!("{key}: never sent")));
        if faults.is_empty() {
            return Ok(());
        }
        let count = faults.len();
        faults.truncate(SHOWN);
        bail!(
            "{} {what}, {} sent; {count} keys are wrong:\n  {}",
            events.len(),
            self.total(),
            faults.join("\n  ")
        );
    }
}

/// Per key, the numbers in a field of the payload, in the order in which a client reads them.
fn numbers(events: &[Seen], field: &str) -> BTreeMap<String, Vec<u64>> {
    let mut numbers: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in events {
        let number = event.payload()[field].as_u64().unwrap_or_default();
        numbers.entry(event.key_text()).or_default().push(number);
    }
    numbers
}

/// In words, how `numbers` are not `1..=last`.
fn fault(numbers: &[u64], last: u64) -> String {
    let times = |n: u64| numbers.iter().filter(|seen| **seen == n).count();
    let lost: Vec<_> = (1..=last).filter(|n| times(*n) == 0).collect();
    let doubled: Vec<_> = (1..=last).filter(|n| times(*n) > 1).collect();
    let turned: Vec<_> = numbers.windows(2).filter(|pair| pair[1] < pair[0]).collect();
    format!("lost {lost:?}, doubled {doubled:?}, out of order {turned:?}, of 1 to {last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(key: &str, n: u64) -> Seen {
        let event = Event::thing(key, n);
        Seen {
            timestamp: None,
            partition: 0,
            offset: 0,
            key: event.key,
            value: event.value,
            headers: event.headers,
        }
    }

    #[test]
    fn every_kind_of_fault_is_found() {
        let mut ledger = Ledger::default();
        let sent = ledger.rounds(2, 3, 0);
        assert_eq!((sent.len(), ledger.total()), (6, 6));
        let good = [
            ("user-0", 1),
            ("user-1", 1),
            ("user-0", 2),
            ("user-0", 3),
            ("user-1", 2),
            ("user-1", 3),
        ];
        let check = |events: &[(&str, u64)]| {
            let events: Vec<_> = events.iter().map(|(key, n)| seen(key, *n)).collect();
            ledger.check_numbers("seen", &numbers(&events, "n"), &events)
        };
        check(&good).unwrap();
        let found = |events: &[(&str, u64)]| check(events).unwrap_err().to_string();
        assert!(found(&good[..5]).contains("user-1: lost [3], doubled []"));
        assert!(found(&[&good[..], &[("user-0", 3)]].concat()).contains("doubled [3]"));
        let mut turned = good;
        turned.swap(2, 3);
        assert!(found(&turned).contains("out of order [[3, 2]]"));
        assert!(found(&[&good[..], &[("else", 1)]].concat()).contains("else: never sent"));
    }
}
