//! Failed attempts, as the hosts' logs tell of them, and which of them a crash may have made forgotten.
//!
//! A host logs a failure when it happens, and stores it with one of the next commits. On a slow disk these are far behind: a
//! record may fail twice before its first failure is stored, and a crash forgets both, rightly. What is stored is known by
//! what came out: units are committed in the order in which they were made.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::checker::Failure;

/// So many events that were made after a failure, and published, say that it is stored.
const LATER: usize = 30;
/// And made so long after it: a worker says that a try failed before it hands that on, and may be held up in between while
/// others, who catch up with what waited, overtake it by hundreds.
const GRACE: SignedDuration = SignedDuration::from_millis(300);

/// Per record, its failed attempts, in order. `logs` has the lines of each host; `made` says when each event was made, and is
/// sorted.
pub(super) fn tries(logs: &[Vec<String>], made: &[Timestamp]) -> Vec<(String, Vec<Failure>)> {
    let mut records: BTreeMap<String, Vec<Failure>> = BTreeMap::new();
    for (host, lines) in logs.iter().enumerate() {
        let mut later = logs.get(host + 1..).unwrap_or_default().iter();
        let end = later.find_map(|lines| lines.iter().find_map(|line| time(line)));
        let before_end = end.map(|end| before(made, end));
        for line in lines.iter().filter(|line| line.contains("trying again later")) {
            let (Some((record, failed)), Some(at)) = (failure(line), time(line)) else {
                continue;
            };
            let stored = before_end.is_none_or(|end| end.saturating_sub(before(made, at + GRACE)) >= LATER);
            records
                .entry(record)
                .or_default()
                .push(Failure { host, failed, stored });
        }
    }
    records.into_iter().collect()
}

/// How many events were made before.
fn before(made: &[Timestamp], time: Timestamp) -> usize {
    made.partition_point(|made| *made < time)
}

/// The time at the beginning of a line, as events have it too.
fn time(line: &str) -> Option<Timestamp> {
    let (time, _) = line.split_once(' ')?;
    time.parse().ok()
}

/// The record that failed, and how often it has.
fn failure(line: &str) -> Option<(String, u32)> {
    let field = |name: &str| {
        let (_, rest) = line.split_once(&format!(" {name}="))?;
        rest.split_whitespace().next()
    };
    let (topic, partition, offset) = (field("topic")?, field("partition")?, field("offset")?);
    Some((format!("{topic}[{partition}]@{offset}"), field("failed")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: usize, failed: u32) -> String {
        format!(
            "2026-01-31T10:00:{second:02}.000123Z  WARN sandman: trying again later handler=\"w\" topic=t.a partition=2 \
             offset=7 failed={failed} wait=1s"
        )
    }

    /// Ten events a second.
    fn made(seconds: std::ops::Range<usize>) -> Vec<Timestamp> {
        let of = |second| (0..10).map(move |part| format!("2026-01-31T10:00:{second:02}.{part}00Z"));
        seconds.flat_map(of).map(|time| time.parse().unwrap()).collect()
    }

    #[test]
    fn failed_attempts_are_found_in_the_log() {
        let found = tries(&[vec![line(1, 1), "else".to_owned(), line(2, 2)]], &[]);
        let failure = |failed| Failure {
            host: 0,
            failed,
            stored: true,
        };
        assert_eq!(found, [("t.a[2]@7".to_owned(), vec![failure(1), failure(2)])]);
    }

    #[test]
    fn what_was_not_stored_before_a_crash_does_not_count() {
        let logs = [vec![line(10, 1), line(11, 2)], vec![line(20, 1), line(21, 2)]];
        let stored = |made: &[Timestamp]| {
            let (_, failures) = tries(&logs, made).remove(0);
            failures.iter().map(|failure| failure.stored).collect::<Vec<_>>()
        };
        let not_known = [false, false, true, true];
        assert_eq!(
            stored(&made(0..10)),
            not_known,
            "nothing came out that was made after them"
        );
        assert_eq!(stored(&made(0..12)), not_known, "not enough");
        assert_eq!(stored(&made(0..17)), [true; 4]);
        assert_eq!(stored(&made(20..30)), not_known, "what the next host made says nothing");
    }
}
