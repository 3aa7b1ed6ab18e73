//! Which of the invocations that succeed are recorded: so many a second, spread over keys and event types.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Event types that are told apart; two that share a place are taken for one.
const KINDS: usize = 64;
/// Keys that are told apart.
const KEYS: usize = 512;
/// For how long a key that was taken waits for others, in milliseconds, as long as there are others.
const KEY_REST: u64 = 10_000;

/// Decides by time, key and event type. Pure: the time comes in.
#[derive(Debug)]
pub struct Sampler {
    second: u64,
    taken: u32,
    /// When the next one is due, in milliseconds.
    due: u64,
    /// The second, from 1, in which each kind was taken last.
    kinds: [u64; KINDS],
    /// When each key may be taken again before others, in milliseconds.
    keys: [u64; KEYS],
}

impl Default for Sampler {
    fn default() -> Self {
        Self {
            second: 0,
            taken: 0,
            due: 0,
            kinds: [0; KINDS],
            keys: [0; KEYS],
        }
    }
}

impl Sampler {
    /// Whether an invocation of this key and kind at `now_millis` is recorded: at most `rate` in a second, one after the other
    /// in equal distances, but the first of each kind in a second at once; and a key that was taken lately only where no other
    /// comes in the meantime.
    pub fn takes(&mut self, rate: u32, now_millis: u64, (key, kind): (&str, &str)) -> bool {
        let second = now_millis / 1000;
        if second != self.second {
            self.second = second;
            self.taken = 0;
        }
        if self.taken >= rate {
            return false;
        }
        let kinds = self.kinds.get_mut(place(kind, KINDS));
        let is_new = kinds.as_ref().is_some_and(|last| **last != second + 1);
        if now_millis < self.due && !is_new {
            return false;
        }
        let distance = 1000 / u64::from(rate);
        let keys = self.keys.get_mut(place(key, KEYS));
        let rests = keys.as_ref().is_some_and(|until| **until > now_millis);
        if rests && !is_new && now_millis < self.due + distance {
            return false;
        }
        if let Some(last) = kinds {
            *last = second + 1;
        }
        if let Some(until) = keys {
            *until = now_millis + KEY_REST;
        }
        self.taken += 1;
        self.due = now_millis + distance;
        true
    }
}

fn place(text: &str, places: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    usize::try_from(hasher.finish() % places as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_second_has_more_than_the_rate(
            rate in 0_u32..30,
            steps in proptest::collection::vec((0_u64..40, 0_u8..5, 0_u8..3), 1..2_000),
        ) {
            let mut sampler = Sampler::default();
            let mut taken: BTreeMap<u64, u32> = BTreeMap::new();
            let mut now = 0;
            for (step, key, kind) in steps {
                now += step;
                if sampler.takes(rate, now, (&key.to_string(), &kind.to_string())) {
                    *taken.entry(now / 1000).or_default() += 1;
                }
            }
            prop_assert!(taken.values().all(|count| *count <= rate), "{:?}", taken);
        }
    }

    #[test]
    fn a_rare_kind_and_a_rare_key_are_seen_beside_frequent_ones() {
        let mut sampler = Sampler::default();
        let mut seen: BTreeMap<(String, &str), u32> = BTreeMap::new();
        // One key asks all the time, others now and then; one event in 5,000 is of the rare kind.
        for n in 0_u64..50_000 {
            let key = if n % 10 == 0 {
                format!("k{}", n % 97)
            } else {
                "busy".to_owned()
            };
            let kind = if n % 5_000 == 4_999 { "rare" } else { "often" };
            if sampler.takes(20, n / 10, (&key, kind)) {
                *seen.entry((key, kind)).or_default() += 1;
            }
        }
        let total: u32 = seen.values().sum();
        assert!((80..=100).contains(&total), "{total} in five seconds");
        let rare: u32 = seen
            .iter()
            .filter(|((_, kind), _)| *kind == "rare")
            .map(|(_, count)| count)
            .sum();
        assert!(rare >= 5, "the rare kind was taken {rare} times in five seconds");
        let busy = seen.get(&("busy".to_owned(), "often")).copied().unwrap_or_default();
        assert!(busy < total / 2, "{busy} of {total} are of one key");
        assert!(seen.len() > 20, "{} keys", seen.len());
    }
}
