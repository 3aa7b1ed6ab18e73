//! Invocations of a handler per second, over the last minute. Pure: the time is an argument.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::handler::Totals;

/// The window of a rate, in milliseconds.
const WINDOW: u64 = 60_000;
/// The time between two samples, in milliseconds: more samples would only cost memory.
const APART: u64 = 900;

/// Invocations per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Those that ended with an outcome.
    pub ok: f64,
    /// All others.
    pub failed: f64,
}

/// Samples of the last minute.
#[derive(Debug, Default)]
pub struct Rates(VecDeque<(u64, Totals)>);

impl Rates {
    /// Records the totals at a time, in monotonic milliseconds.
    pub fn sample(&mut self, now: u64, totals: Totals) {
        if self.0.back().is_some_and(|(last, _)| now < last + APART) {
            return;
        }
        self.0.push_back((now, totals));
        // One sample at or before the window's beginning stays, to measure from.
        while self.0.get(1).is_some_and(|(second, _)| second + WINDOW <= now) {
            self.0.pop_front();
        }
    }

    /// The rate from the oldest sample to these totals; zero if there is no sample.
    pub fn rate(&self, now: u64, totals: Totals) -> Rate {
        let Some((since, before)) = self.0.front() else {
            return Rate::default();
        };
        let millis = now.saturating_sub(*since);
        if millis == 0 {
            return Rate::default();
        }
        let per_second = |more: u64| (more as f64 * 10_000.0 / millis as f64).round() / 10.0;
        Rate {
            ok: per_second(totals.ok.saturating_sub(before.ok)),
            failed: per_second(totals.failed.saturating_sub(before.failed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_minute() {
        let totals = |ok| Totals { ok, failed: ok / 10 };
        let mut rates = Rates::default();
        assert_eq!(rates.rate(5, totals(7)), Rate::default());
        rates.sample(0, totals(0));
        assert_eq!(rates.rate(0, totals(7)), Rate::default());
        assert_eq!(rates.rate(10_000, totals(100)), Rate { ok: 10.0, failed: 1.0 });
        // A hundred a second for a minute, then nothing: the busy time leaves the window.
        for second in 1..=60 {
            rates.sample(second * 1_000, totals(second * 100));
            rates.sample(second * 1_000 + 1, totals(0));
        }
        assert_eq!(rates.rate(60_000, totals(6_000)).ok, 100.0);
        for second in 61..=125 {
            rates.sample(second * 1_000, totals(6_000));
        }
        assert_eq!(rates.rate(125_000, totals(6_000)).ok, 0.0);
        assert!(rates.0.len() <= 62, "{}", rates.0.len());
    }
}
