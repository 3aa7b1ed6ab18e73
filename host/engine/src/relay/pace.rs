//! The size of one transaction: as much as the network to Kafka transfers within a few seconds. Data that has been sent
//! but not received delays everything after it, also the end of its own transaction.
//!
//! Pure. It starts small, and a full transaction that was fast doubles the size of the next one.

use std::time::Duration;

/// The most, in bytes of the outbox, unless a single batch is larger.
pub(super) const MOST: u64 = 4 << 20;
/// The first, and the most after a failure. A network of 64 kbit/s takes it in 8 seconds, a third of a transaction's time.
const FIRST: u64 = 64 << 10;
/// The minimum: about a record of usual size.
const LEAST: u64 = 1 << 10;

/// If a full transaction is faster than this, twice the size still fits well into a transaction's time.
const QUICK: Duration = Duration::from_secs(4);
/// A transaction slower than this is too large for the network.
const SLOW: Duration = Duration::from_secs(10);

/// The size of the next transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    most: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { most: FIRST }
    }
}

impl Pace {
    /// A pace with transactions of this many bytes.
    #[cfg(test)]
    pub(super) const fn of(most: u64) -> Self {
        Self { most }
    }

    /// Bytes of the next transaction.
    pub(super) const fn most(self) -> u64 {
        self.most
    }

    /// A transaction of this size became visible after this time. A round trip may be slow at any size: only failures
    /// show that [`FIRST`] is too much.
    pub(super) fn went(&mut self, bytes: u64, took: Duration) {
        let is_full = bytes >= self.most / 2;
        if took > SLOW {
            self.most = (self.most / 2).max(FIRST.min(self.most));
        } else if is_full && took <= QUICK {
            self.most = (self.most * 2).min(MOST);
        }
    }

    /// A transaction has failed.
    pub(super) fn failed(&mut self) {
        self.most = (self.most / 2).clamp(LEAST, FIRST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Transactions through a network that takes so many bytes a second, each after a round trip; a transaction has 25 seconds.
    fn through(pace: &mut Pace, bytes_a_second: f64, round_trip: f64) -> (u64, u32) {
        let (mut bytes, mut failed) = (0, 0);
        for _ in 0..200 {
            let took = round_trip + pace.most() as f64 / bytes_a_second;
            if took > 25.0 {
                pace.failed();
                failed += 1;
            } else {
                bytes += pace.most();
                pace.went(pace.most(), Duration::from_secs_f64(took));
            }
        }
        (bytes, failed)
    }

    #[test]
    fn each_network_is_given_what_it_takes() {
        for (rate, round_trip, least) in [
            (1e9, 0.002, MOST),
            (1e9, 3.0, MOST),
            (125e3, 0.1, 512 << 10),
            (8e3, 0.5, FIRST),
        ] {
            let mut pace = Pace::default();
            let (_, failed) = through(&mut pace, rate, round_trip);
            assert!(
                failed == 0 && pace.most() >= least,
                "{rate}, {round_trip}: {failed} failed, {pace:?}"
            );
        }
    }

    #[test]
    fn a_network_that_becomes_slow_is_given_less_and_one_that_mends_more() {
        let mut pace = Pace { most: MOST };
        let (bytes, failed) = through(&mut pace, 1e3, 0.5);
        assert!(
            failed < 10 && bytes > 1 << 20,
            "{failed} failed, {bytes} bytes, {pace:?}"
        );
        let (_, failed) = through(&mut pace, 1e9, 0.002);
        assert_eq!((failed, pace.most()), (0, MOST));
    }

    #[test]
    fn few_bytes_say_nothing_of_the_network() {
        let mut pace = Pace::default();
        pace.went(100, Duration::from_millis(1));
        assert_eq!(pace.most(), FIRST);
    }
}
