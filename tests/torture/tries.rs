//! Failed attempts, as the hosts' logs tell of them, and which of them a crash may have made forgotten.
//!
//! A host logs a failure when it happens, and stores it with one of the next commits. On a slow disk these are far behind: a
//! record may fail twice before its first failure is stored, and a crash forgets both, rightly. What is stored is known by
//! what came out: units are committed in the order in which they were made.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::checker::Failure;

/// So many events that were made after a failure was handed on, and published, say that it is stored.
const LATER: usize = 30;
/// A worker says that a try failed before it hands that on, and may be held up in between while others, who catch up with
/// what waited, overtake it by hundreds. After so long it has; and before the record is tried again.
const GRACE: SignedDuration = SignedDuration::from_millis(300);

/// A line about a failed attempt.
struct Told {
    host: usize,
    failed: u32,
    at: Timestamp,
}

/// Per record, its failed attempts, in order. `logs` has the lines of each host; `made` says when each event was made, and is
/// sorted. Without it, where the clock tells nothing, what was tried again counts as stored.
pub(super) fn tries(logs: &[Vec<String>], made: Option<&[Timestamp]>) -> Vec<(String, Vec<Failure>)> {
    let starts: Vec<_> = logs
        .iter()
        .map(|lines| lines.iter().find_map(|line| time(line)))
        .collect();
    let mut records: BTreeMap<String, Vec<Told>> = BTreeMap::new();
    for (host, lines) in logs.iter().enumerate() {
        for line in lines.iter().filter(|line| line.contains("trying again later")) {
            if let (Some((record, failed)), Some(at)) = (failure(line), time(line)) {
                records.entry(record).or_default().push(Told { host, failed, at });
            }
        }
    }
    let is_stored = |told: &Told, again: Option<&Told>| {
        // The last host was not killed.
        let Some(end) = starts.iter().skip(told.host + 1).flatten().next() else {
            return true;
        };
        let Some(made) = made else {
            return again.is_some();
        };
        let enough = |since| before(made, *end).saturating_sub(before(made, since)) >= LATER;
        enough(told.at + GRACE) || again.is_some_and(|again| enough(again.at))
    };
    let judged = records.into_iter().map(|(record, told)| {
        let failures = told.iter().enumerate().map(|(place, one)| {
            let mut behind = told.iter().skip(place);
            let again = behind.find(|next| next.host == one.host && next.failed > one.failed);
            let (host, failed, stored) = (one.host, one.failed, is_stored(one, again));
            Failure { host, failed, stored }
        });
        (record, failures.collect())
    });
    judged.collect()
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
        let found = tries(&[vec![line(1, 1), "else".to_owned(), line(2, 2)]], None);
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
        let stored = |made: Option<&[Timestamp]>| {
            let (_, failures) = tries(&logs, made).remove(0);
            failures.iter().map(|failure| failure.stored).collect::<Vec<_>>()
        };
        let not_known = [false, false, true, true];
        assert_eq!(
            stored(Some(&made(0..10))),
            not_known,
            "nothing came out that was made after them"
        );
        assert_eq!(stored(Some(&made(0..12))), not_known, "not enough");
        assert_eq!(stored(Some(&made(0..17))), [true; 4]);
        assert_eq!(stored(None), [true, false, true, true], "it was tried again");
        assert_eq!(
            stored(Some(&made(20..30))),
            not_known,
            "what the next host made says nothing"
        );
    }

    #[test]
    fn a_failure_was_handed_on_after_a_while_or_when_its_record_is_tried_again() {
        let logs = [vec![line(10, 1), line(10, 2)], vec![line(20, 3)]];
        // 31 since both, and 28 since the time of grace.
        let (_, failures) = tries(&logs, Some(&made(0..14)[..132])).remove(0);
        let stored: Vec<_> = failures.iter().map(|failure| failure.stored).collect();
        assert_eq!(stored, [true, false, true]);
    }
}
