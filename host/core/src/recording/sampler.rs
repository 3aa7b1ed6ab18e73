//! Which of the successful invocations are recorded: a number per second, spread over keys and event types.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Event types that are told apart; two with the same index are treated as one.
const KINDS: usize = 64;
/// Keys that are told apart.
const KEYS: usize = 512;
/// How long other keys go before a key that was recorded, in milliseconds.
const KEY_REST: u64 = 10_000;

/// One invocation, in thousandths: a bucket gains `rate` thousandths per millisecond, or `rate` invocations per second.
const ONE: u64 = 1_000;

/// A token bucket of `rate` invocations that is filled with `rate` per second, so that a burst is recorded like a
/// steady stream; it also considers key and event type. Pure: the time is an argument.
#[derive(Debug)]
pub struct Sampler {
    /// What the bucket lacks to be full, in thousandths of an invocation; more than its size if a new kind was recorded
    /// in advance.
    lacking: u64,
    /// The time of that level, in milliseconds.
    at: u64,
    /// The second, from 1, in which each kind was last recorded.
    kinds: [u64; KINDS],
    /// When each key has the same priority as others again, in milliseconds.
    keys: [u64; KEYS],
}

impl Default for Sampler {
    fn default() -> Self {
        Self {
            lacking: 0,
            at: 0,
            kinds: [0; KINDS],
            keys: [0; KEYS],
        }
    }
}

impl Sampler {
    /// Whether to record an invocation of this key and kind at `now_millis`: `rate` per second, and as many at once
    /// after a second without any. The first of each kind in a second is recorded even if the bucket is empty, up to a
    /// quarter of it in advance; a key that was recorded recently only if the bucket is full, which means that there
    /// are no others.
    pub fn takes(&mut self, rate: u32, now_millis: u64, (key, kind): (&str, &str)) -> bool {
        if rate == 0 {
            return false;
        }
        let full = u64::from(rate) * ONE;
        let passed = now_millis.saturating_sub(self.at);
        self.lacking = self.lacking.saturating_sub(passed.saturating_mul(u64::from(rate)));
        self.at = self.at.max(now_millis);
        let second = now_millis / 1000;
        let kinds = self.kinds.get_mut(place(kind, KINDS));
        let is_new = kinds.as_ref().is_some_and(|last| **last != second + 1);
        let most = if is_new { full + (full / 4).max(ONE) } else { full };
        if self.lacking + ONE > most {
            return false;
        }
        let keys = self.keys.get_mut(place(key, KEYS));
        let rests = keys.as_ref().is_some_and(|until| **until > now_millis);
        if rests && !is_new && self.lacking > 0 {
            return false;
        }
        if let Some(last) = kinds {
            *last = second + 1;
        }
        if let Some(until) = keys {
            *until = now_millis + KEY_REST;
        }
        self.lacking += ONE;
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
        fn no_while_has_more_than_the_bucket_and_what_it_gains(
            rate in 0_u32..30,
            steps in proptest::collection::vec((0_u64..40, 0_u8..5, 0_u8..3), 1..500),
        ) {
            let mut sampler = Sampler::default();
            let mut taken: Vec<u64> = Vec::new();
            let mut now = 0;
            for (step, key, kind) in steps {
                now += step;
                if sampler.takes(rate, now, (&key.to_string(), &kind.to_string())) {
                    taken.push(now);
                }
            }
            let rate = u64::from(rate);
            for (first, from) in taken.iter().enumerate() {
                for (last, to) in taken.iter().enumerate().skip(first) {
                    let most = rate + (rate / 4).max(1) + (to - from) * rate / 1000 + 1;
                    prop_assert!((last - first + 1) as u64 <= most, "{} to {}: {:?}", from, to, taken);
                }
            }
        }
    }

    #[test]
    fn a_burst_of_fresh_keys_is_recorded_as_a_steady_stream_is() {
        let mut sampler = Sampler::default();
        let mut taken = |at: u64, n: u32| sampler.takes(20, at, (&format!("key-{n}"), "often"));
        let burst = (0..30).filter(|n| taken(50_000, *n)).count();
        assert_eq!(burst, 20);
        let steady = (0..40_u32)
            .filter(|n| taken(51_000 + 60 * u64::from(*n), 100 + n))
            .count();
        assert_eq!(steady, 40);
        let mut sampler = Sampler::default();
        let one_key = (0..30).filter(|_| sampler.takes(20, 50_000, ("ada", "often"))).count();
        assert_eq!(one_key, 1, "there is nothing new to see");
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
        assert!((80..=125).contains(&total), "{total} in five seconds");
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
