//! When a consumer is to be replaced because nothing comes from a partition that has more. Pure: the time is an
//! argument.
//!
//! After brokers have failed, the client library can stop reading a partition without an error and with its session
//! alive: until an answer that was lost is given up, or for good. From outside that looks like a partition without new
//! records; only its leader knows. A consumer that is created anew reads on.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sandman_core::event::TopicPartition;

/// How long nothing comes from a partition until its leader is asked for more, and the interval afterwards.
const QUIET: Duration = Duration::from_secs(20);
/// How long nothing may come from a partition that has more.
const STALLED: Duration = Duration::from_secs(10);
/// Each replacement that did not help makes the next one wait twice as long, up to this.
const LONGEST: Duration = Duration::from_secs(600);
/// Positions are looked at every second. After a longer break the consumer was not polled, which is no stall.
const BREAK: Duration = Duration::from_secs(5);

/// The partitions that a consumer reads, and since when nothing came from each.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    of: HashMap<TopicPartition, Still>,
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Still {
    position: i64,
    since: Instant,
    /// Its leader has said so.
    has_more: bool,
    quiet: Duration,
}

impl Still {
    fn at(position: i64, now: Instant) -> Self {
        Self {
            position,
            since: now,
            has_more: false,
            quiet: QUIET,
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let wait = if self.has_more { STALLED } else { self.quiet };
        now.saturating_duration_since(self.since) >= wait
    }
}

impl Stalls {
    /// Takes the positions of all partitions that are being read, and returns those whose leaders are to be asked.
    pub(super) fn look(&mut self, reading: Vec<(TopicPartition, i64)>, now: Instant) -> Vec<(TopicPartition, i64)> {
        let looked = self.looked.replace(now);
        let had_a_break = looked.is_some_and(|looked| now.saturating_duration_since(looked) > BREAK);
        let mut before = std::mem::take(&mut self.of);
        let mut due = Vec::new();
        for (partition, position) in reading {
            let mut still = before
                .remove(&partition)
                .filter(|still| still.position == position)
                .unwrap_or_else(|| Still::at(position, now));
            if had_a_break {
                still.since = now;
            }
            if still.is_due(now) {
                due.push((partition.clone(), position));
            }
            self.of.insert(partition, still);
        }
        due
    }

    /// Takes an answer: whether the partition has more than what came. Returns whether its consumer is to be replaced.
    pub(super) fn answered(&mut self, partition: &TopicPartition, has_more: bool, now: Instant) -> bool {
        let Some(still) = self.of.get_mut(partition) else {
            return false;
        };
        let is_stalled = still.has_more && has_more;
        still.since = now;
        still.has_more = has_more && !is_stalled;
        still.quiet = match (has_more, is_stalled) {
            (false, _) => QUIET,
            (true, true) => (still.quiet * 2).min(LONGEST),
            (true, false) => still.quiet,
        };
        is_stalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Reading {
        stalls: Stalls,
        start: Instant,
        partition: TopicPartition,
    }

    impl Reading {
        fn new() -> Self {
            Self {
                stalls: Stalls::default(),
                start: Instant::now(),
                partition: TopicPartition {
                    topic: "t".into(),
                    partition: 0,
                },
            }
        }

        /// Looks every second, and returns the seconds in which the leader was asked and the consumer replaced.
        fn during(
            &mut self,
            seconds: std::ops::Range<u64>,
            position: impl Fn(u64) -> i64,
            end: i64,
        ) -> (Vec<u64>, Vec<u64>) {
            let (mut asked, mut replaced) = (Vec::new(), Vec::new());
            for second in seconds {
                let now = self.start + Duration::from_secs(second);
                let position = position(second);
                for (partition, position) in self.stalls.look(vec![(self.partition.clone(), position)], now) {
                    asked.push(second);
                    if self.stalls.answered(&partition, end > position, now) {
                        replaced.push(second);
                    }
                }
            }
            (asked, replaced)
        }
    }

    #[test]
    fn a_partition_without_new_records_is_asked_now_and_then() {
        assert_eq!(Reading::new().during(0..70, |_| 5, 5), (vec![20, 40, 60], Vec::new()));
    }

    #[test]
    fn a_partition_that_moves_is_never_asked() {
        let mut reading = Reading::new();
        assert_eq!(
            reading.during(0..100, |second| i64::try_from(second / 15).unwrap(), 99),
            (Vec::new(), Vec::new())
        );
    }

    #[test]
    fn a_partition_that_has_more_and_does_not_move_has_its_consumer_replaced_less_and_less_often() {
        let mut reading = Reading::new();
        let (_, replaced) = reading.during(0..400, |_| 5, 9);
        assert_eq!(replaced, [30, 80, 170, 340]);
        let (_, replaced) = reading.during(400..440, |_| 6, 9);
        assert_eq!(replaced, [430], "it has moved in between");
    }

    #[test]
    fn records_that_come_while_the_leader_is_asked_are_no_stall() {
        let mut reading = Reading::new();
        assert_eq!(reading.during(0..21, |_| 5, 6), (vec![20], Vec::new()));
        assert_eq!(reading.during(21..40, |_| 6, 6), (Vec::new(), Vec::new()));
    }

    #[test]
    fn time_without_polls_and_partitions_that_are_not_read_do_not_count() {
        let mut reading = Reading::new();
        assert_eq!(reading.during(0..15, |_| 5, 9), (Vec::new(), Vec::new()));
        assert_eq!(reading.during(60..79, |_| 5, 9), (Vec::new(), Vec::new()));
        let now = reading.start + Duration::from_secs(79);
        assert!(reading.stalls.look(Vec::new(), now).is_empty(), "it is paused");
        assert_eq!(reading.during(80..99, |_| 5, 9), (Vec::new(), Vec::new()));
        assert!(!reading.stalls.answered(
            &TopicPartition {
                topic: "u".into(),
                partition: 0
            },
            true,
            now
        ));
    }
}
