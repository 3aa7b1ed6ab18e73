//! When to replace a consumer that has lost its session and whose group does not answer. Pure: the time is an argument.
//!
//! After a broker's restart a request to join may wait for as long as `max.poll.interval.ms`, for members that are gone
//! or an answer that was lost, and the client library waits with it. A new member with the same name replaces the one
//! that waits, and is answered.

use std::time::{Duration, Instant};

/// How long the group may take while its cluster is reachable; a rebalance takes less.
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// Each wait is twice the one before, up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The renewals of all consumers of a handler.
#[derive(Debug)]
pub(super) struct Renewals {
    wait: Duration,
    since: Option<Instant>,
}

impl Renewals {
    pub(super) fn new() -> Self {
        Self {
            wait: FIRST_WAIT,
            since: None,
        }
    }

    /// Whether to replace a consumer now: it waits for its group, and the cluster is reachable. Closing one while the
    /// cluster is unreachable can hang, and does not help.
    pub(super) fn is_due(&mut self, waits: bool, connected: bool, now: Instant) -> bool {
        if !waits {
            *self = Self::new();
            return false;
        }
        if !connected {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) < self.wait {
            return false;
        }
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.since = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_on_a_cluster_that_is_there_is_renewed_less_and_less_often() {
        let (mut renewals, start) = (Renewals::new(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let renewed = |renewals: &mut Renewals, from: u64, to: u64| -> Vec<u64> {
            (from..to)
                .filter(|at| renewals.is_due(true, true, after(*at)))
                .collect()
        };
        assert_eq!(renewed(&mut renewals, 0, 200), [10, 31, 72, 133, 194]);
        assert!(!renewals.is_due(false, true, after(200)), "it has an answer");
        assert_eq!(renewed(&mut renewals, 201, 240), [211, 232]);
    }

    #[test]
    fn time_without_a_cluster_does_not_count() {
        let (mut renewals, start) = (Renewals::new(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!renewals.is_due(true, true, start));
        assert!(!renewals.is_due(true, false, after(9)));
        assert!(!renewals.is_due(true, false, after(100)));
        assert!(!renewals.is_due(true, true, after(101)));
        assert!(renewals.is_due(true, true, after(111)));
    }
}
