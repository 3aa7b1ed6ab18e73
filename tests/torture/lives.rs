//! What each host did in its life, and between two faults. A fault that hits a host with nothing to do shows nothing, so a
//! scenario says what a fault is meant to hit, the fault waits until the host does that, and the report has the counts.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::wait::eventually;
use crate::{Host, Metrics, Result};

use super::run::Run;

/// So many records in flight are no backlog.
const FEW: u64 = 20;

/// Between two looks at a host that catches up.
const LOOK: Duration = Duration::from_millis(50);

/// What a host did, as its metrics tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// Records that each handler consumed.
    pub consumed: BTreeMap<String, u64>,
    /// Of these, how many were committed, by handler.
    pub committed: BTreeMap<String, u64>,
    /// Units that were committed: of events, requests and failed attempts.
    pub units: u64,
    /// Transactions of the relay that Kafka committed.
    pub transactions: u64,
    /// Events and dead letters in them.
    pub published: u64,
    /// Requests that were answered with 2xx, by route.
    pub answered: BTreeMap<String, u64>,
    /// Dead letters that were handled again, or failed again.
    pub redriven: u64,
}

impl Activity {
    fn of(metrics: &Metrics) -> Self {
        let whole = |name: &str| metrics.sum(name, &[]).unwrap_or_default() as u64;
        Self {
            consumed: metrics.sums("sandman_events_consumed_total", &[], "handler"),
            committed: metrics.sums("sandman_event_lag_seconds_count", &[], "handler"),
            units: whole("sandman_commit_units_sum"),
            transactions: whole("sandman_relay_transaction_seconds_count"),
            published: whole("sandman_events_published_total"),
            answered: metrics.sums("sandman_http_requests_total", &[("status", "2xx")], "route"),
            redriven: whole("sandman_redriven_total"),
        }
    }

    /// What was done since `before`.
    fn since(&self, before: &Self) -> Self {
        let by = |now: &BTreeMap<String, u64>, before: &BTreeMap<String, u64>| {
            let since = now.iter().map(|(name, count)| {
                let before = before.get(name).copied().unwrap_or_default();
                (name.clone(), count.saturating_sub(before))
            });
            since.collect()
        };
        Self {
            consumed: by(&self.consumed, &before.consumed),
            committed: by(&self.committed, &before.committed),
            units: self.units.saturating_sub(before.units),
            transactions: self.transactions.saturating_sub(before.transactions),
            published: self.published.saturating_sub(before.published),
            answered: by(&self.answered, &before.answered),
            redriven: self.redriven.saturating_sub(before.redriven),
        }
    }
}

impl Activity {
    /// Records that were consumed and are not committed.
    fn in_flight(&self) -> u64 {
        total(&self.consumed).saturating_sub(total(&self.committed))
    }
}

fn total(counts: &BTreeMap<String, u64>) -> u64 {
    counts.values().sum()
}

/// What a fault is meant to hit: what the host must have done since it started, or since the last fault that it survived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A host that starts, whatever it does.
    Start,
    /// A host that consumes, and commits at least failed attempts.
    Consumer,
    /// A host that consumes, commits and publishes.
    Events,
    /// The same, and requests are answered too.
    EventsAndRequests,
    /// A host that redrives dead letters, or releases what waits behind one.
    Letters,
}

impl Target {
    /// What of it the host has not done; nothing where it is at work.
    fn missing(self, activity: &Activity) -> Option<&'static str> {
        let events = [
            ("consumed nothing", total(&activity.consumed)),
            ("committed nothing", activity.units),
            ("committed no event", total(&activity.committed)),
            ("published nothing", activity.published.min(activity.transactions)),
            ("answered no request", total(&activity.answered)),
        ];
        let letters = [
            ("redriven nothing", activity.redriven),
            ("committed nothing", activity.units),
        ];
        let (wanted, of) = match self {
            Self::Start => (0, &events[..]),
            Self::Consumer => (2, &events[..]),
            Self::Events => (4, &events[..]),
            Self::EventsAndRequests => (5, &events[..]),
            Self::Letters => (2, &letters[..]),
        };
        let mut wanted = of.iter().take(wanted);
        wanted.find(|(_, count)| *count == 0).map(|(what, _)| *what)
    }
}

/// What one host did from its start, or from the last fault that it survived, to the next fault or its end.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Life {
    /// Which of the run's hosts, from 1.
    pub host: usize,
    /// What ended it.
    pub fault: String,
    /// What it did, by the last reading before that.
    #[serde(flatten)]
    pub activity: Activity,
    /// Records that it had consumed and not committed at that reading.
    pub in_flight: u64,
    /// Whether the fault was meant to hit a host at work.
    pub at_work: bool,
}

/// The hosts of a run.
#[derive(Debug, Default)]
pub(super) struct Lives(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    told: Vec<Life>,
    /// How many have started.
    count: usize,
    /// By process: its number, and what it had done at the last fault that it survived.
    running: HashMap<u32, (usize, Activity)>,
}

impl Lives {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host has started.
    pub(super) fn begin(&self, host: &Host) {
        let mut inner = self.lock();
        inner.count += 1;
        let number = inner.count;
        // Instead of one that has ended, should the kernel give its id again.
        inner.running.insert(host.pid(), (number, Activity::default()));
    }

    /// What the host did since its start or the last fault.
    fn since(&self, host: &Host, metrics: &Metrics) -> Activity {
        let inner = self.lock();
        let before = inner.running.get(&host.pid()).map(|(_, before)| before.clone());
        Activity::of(metrics).since(&before.unwrap_or_default())
    }

    /// Takes down a life, by the last reading of it.
    fn end(&self, host: &Host, metrics: &Metrics, fault: &str, target: Target) -> Life {
        let activity = self.since(host, metrics);
        let all = Activity::of(metrics);
        let in_flight = all.in_flight();
        let mut inner = self.lock();
        let number = inner.running.get_mut(&host.pid()).map(|(number, before)| {
            *before = all;
            *number
        });
        let life = Life {
            host: number.unwrap_or_default(),
            fault: fault.to_owned(),
            activity,
            in_flight,
            at_work: target != Target::Start,
        };
        inner.told.push(life.clone());
        life
    }

    /// All lives, in the order of their ends.
    pub(super) fn all(&self) -> Vec<Life> {
        self.lock().told.clone()
    }
}

impl Run<'_> {
    /// Lets the load go on until the host has committed nearly all that it consumed, or for `longest`: what waited while the
    /// host before it was dead is done, and the next fault hits a host that has just enough to do.
    ///
    /// # Errors
    /// If it has ended.
    pub fn until_caught_up(&self, host: &Host, longest: Duration) -> Result {
        let end = Instant::now() + longest;
        while Activity::of(&host.metrics()?).in_flight() > FEW && Instant::now() < end {
            self.for_long(LOOK);
        }
        Ok(())
    }

    /// Waits until the host does what the next fault is meant to hit.
    ///
    /// # Errors
    /// If it does not in time, or has ended.
    pub fn at_work(&self, host: &Host, target: Target) -> Result {
        let mut missing = None;
        let at_work = eventually("the host is at work", || {
            host.still_runs()?;
            let activity = self.lives.since(host, &host.metrics()?);
            missing = target.missing(&activity);
            Ok(missing.is_none().then_some(()))
        });
        at_work.with_context(|| format!("it has {}: a fault would show nothing", missing.unwrap_or("ended")))
    }

    /// Waits until the host does what a fault is meant to hit, takes down what it did, and counts the fault, which is to
    /// follow at once.
    ///
    /// # Errors
    /// If it does not in time, or has ended.
    pub fn hits(&self, host: &Host, fault: &str, target: Target) -> Result {
        self.at_work(host, target)?;
        let life = self.lives.end(host, &host.metrics()?, fault, target);
        self.fault();
        ensure_hit(&life, target)
    }

    /// Takes down what a host did that is stopped at the end of a run; no fault hits it.
    ///
    /// # Errors
    /// If it does not answer.
    pub(super) fn stops(&self, host: &Host) -> Result {
        self.lives
            .end(host, &host.metrics()?, "the end of the run", Target::Start);
        Ok(())
    }

    /// Takes down what a host does until it dies by itself; it may as soon as `now` is done.
    ///
    /// # Errors
    /// If it dies before it does what the fault is meant to hit, or not in time.
    pub(super) fn dies_at_work(
        &self,
        host: &Host,
        (fault, target): (&str, Target),
        now: impl FnOnce() -> Result,
    ) -> Result {
        // One that dies as it starts answers nobody.
        let mut last = host.metrics().unwrap_or_default();
        now()?;
        eventually(&format!("the host dies: {fault}"), || {
            // Between its death and the news of it nobody answers.
            if let Ok(metrics) = host.metrics() {
                last = metrics;
            }
            Ok(host.still_runs().is_err().then_some(()))
        })?;
        let life = self.lives.end(host, &last, fault, target);
        self.fault();
        ensure_hit(&life, target)
    }
}

fn ensure_hit(life: &Life, target: Target) -> Result {
    let missing = target.missing(&life.activity);
    ensure!(
        missing.is_none(),
        "host {} had {} when this hit it: {}; this shows nothing",
        life.host,
        missing.unwrap_or_default(),
        life.fault
    );
    Ok(())
}

/// One line for a person: what hosts had done when a fault was meant to hit them at work.
pub(super) fn summary(lives: &[Life]) -> Option<String> {
    let hit: Vec<_> = lives.iter().filter(|life| life.at_work).collect();
    let of = |what: &str, count: fn(&Life) -> u64| {
        let mut counts: Vec<_> = hit.iter().map(|life| count(life)).collect();
        counts.sort_unstable();
        let (least, most) = (counts.first()?, counts.last()?);
        let (middle, sum) = (counts.get(counts.len() / 2)?, counts.iter().sum::<u64>());
        Some(format!("{what} {sum} ({least}, {middle}, {most})"))
    };
    let counts = [
        of("consumed", |life| total(&life.activity.consumed)),
        of("units committed", |life| life.activity.units),
        of("of them events", |life| total(&life.activity.committed)),
        of("published", |life| life.activity.published),
        of("transactions", |life| life.activity.transactions),
        of("requests answered", |life| total(&life.activity.answered)),
    ];
    let counts: Option<Vec<_>> = counts.into_iter().collect();
    let busy = hit.iter().filter(|life| life.in_flight > 0).count();
    Some(format!(
        "{} faults hit a host at work; since its start or the last fault, in all (least, median, most): {}; in {busy} of them \
         records were consumed and not committed yet",
        hit.len(),
        counts?.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity(consumed: u64, answered: u64) -> Activity {
        let by = |name: &str, count| BTreeMap::from([(name.to_owned(), count)]);
        Activity {
            consumed: by("witness", consumed),
            committed: by("witness", consumed),
            units: consumed + answered,
            transactions: (consumed + answered).min(1),
            published: 2 * (consumed + answered),
            answered: by("/work/{key}", answered),
            redriven: 0,
        }
    }

    #[test]
    fn a_host_that_answers_requests_alone_does_not_handle_events() {
        assert_eq!(Target::Events.missing(&activity(0, 9)), Some("consumed nothing"));
        assert_eq!(Target::Events.missing(&activity(9, 0)), None);
        let requests = Target::EventsAndRequests.missing(&activity(9, 0));
        assert_eq!(requests, Some("answered no request"));
        assert_eq!(Target::EventsAndRequests.missing(&activity(9, 9)), None);
        assert_eq!(Target::Start.missing(&activity(0, 0)), None);
    }

    #[test]
    fn what_was_done_before_the_last_fault_does_not_count() {
        let since = activity(9, 9).since(&activity(9, 3));
        assert_eq!(total(&since.answered), 6);
        assert_eq!(Target::Consumer.missing(&since), Some("consumed nothing"));
    }

    #[test]
    fn faults_that_hit_a_start_are_not_counted_among_those_that_hit_work() {
        let life = |consumed, at_work| Life {
            host: 1,
            fault: "killed".to_owned(),
            activity: activity(consumed, 2),
            in_flight: consumed,
            at_work,
        };
        let line = summary(&[life(7, true), life(0, false), life(3, true), life(5, true)]).unwrap();
        assert!(line.starts_with("3 faults hit a host at work"), "{line}");
        assert!(line.contains("consumed 15 (3, 5, 7)"), "{line}");
        assert!(line.contains("in 3 of them"), "{line}");
        assert_eq!(summary(&[life(0, false)]), None);
    }
}
