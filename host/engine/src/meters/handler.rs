//! Handles of one handler, made once and used on the hot path.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Gauge, Histogram, Label, counter, gauge, histogram};

/// How an invocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invoked {
    /// With an outcome.
    Ok,
    /// The guest rejected the trigger.
    Rejected,
    /// The guest asked for a retry.
    Retry,
    /// The guest trapped.
    Trap,
    /// A limit was exceeded.
    Exceeded,
    /// The outcome violates the contract or the grants.
    Contract,
}

impl Invoked {
    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Rejected => "rejected",
            Self::Retry => "retry",
            Self::Trap => "trap",
            Self::Exceeded => "exceeded",
            Self::Contract => "contract",
        }
    }
}

/// Handles of one handler.
#[derive(Clone, Debug)]
pub struct HandlerMeters {
    /// Seconds of one invocation, failed ones included.
    pub seconds: Histogram,
    /// Keys that have work in memory.
    pub lanes: Gauge,
    /// Triggers that wait behind a backoff of their key.
    pub parked: Gauge,
    /// Triggers in memory, from intake to commit.
    pub in_flight: Gauge,
    /// 1 while the handler is degraded, as in `/health`; else 0.
    pub degraded: Gauge,
    /// 1 while it is paused until somebody resumes it; else 0.
    pub paused: Gauge,
    /// Keys that are held until somebody releases them.
    pub held_keys: Gauge,
    /// Bytes of its recordings in the store.
    pub recording_bytes: Gauge,
    /// Bytes of recordings that were dropped for newer ones.
    pub recording_bytes_gone: Counter,
    redriven: [Counter; 2],
    invocations: Invocations,
    topics: Vec<(Arc<str>, HandlerTopicMeters)>,
}

/// Handles of one handler in one topic.
#[derive(Clone, Debug)]
pub struct HandlerTopicMeters {
    /// Records taken in.
    pub consumed: Counter,
    /// Records without a value that were skipped.
    pub tombstones: Counter,
    /// Events skipped because their key had handled them before.
    pub duplicates: Counter,
    /// Triggers put back for another attempt.
    pub retries: Counter,
    /// Triggers given up.
    pub dead_letters: Counter,
    /// Seconds from the event's production to the commit of its unit.
    pub event_lag: Histogram,
    /// Records in Kafka that the handler still has to handle, in all partitions of the topic; NaN until Kafka has
    /// reported how many there are.
    pub group_lag: Gauge,
    /// Partitions of the topic that this host has.
    pub assigned: Gauge,
}

/// A counter that the host itself can read.
#[derive(Clone, Debug)]
pub struct Counted {
    counter: Counter,
    total: Arc<AtomicU64>,
}

impl Counted {
    /// Adds `more` to it.
    pub fn increment(&self, more: u64) {
        self.counter.increment(more);
        self.total.fetch_add(more, Ordering::Relaxed);
    }
}

/// Invocations since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Those that ended with an outcome.
    pub ok: u64,
    /// All others.
    pub failed: u64,
}

#[derive(Clone, Debug)]
struct Invocations {
    ok: Counted,
    rejected: Counted,
    retry: Counted,
    trap: Counted,
    exceeded: Counted,
    contract: Counted,
}

impl HandlerMeters {
    /// Registers with the current recorder.
    pub(super) fn new<T: AsRef<str>>(handler: &str, topics: &[T]) -> Self {
        let labels = || vec![Label::new("handler", handler.to_owned())];
        let failed = Arc::new(AtomicU64::new(0));
        let outcome = |invoked: Invoked| {
            let outcome = Label::from_static_parts("outcome", invoked.label());
            let labels = [labels(), vec![outcome]].concat();
            Counted {
                counter: counter!("sandman_invocations_total", labels),
                total: match invoked {
                    Invoked::Ok => Arc::default(),
                    _ => Arc::clone(&failed),
                },
            }
        };
        let topics = topics.iter().map(AsRef::as_ref);
        Self {
            seconds: histogram!("sandman_handler_seconds", labels()),
            lanes: gauge!("sandman_lanes", labels()),
            parked: gauge!("sandman_parked_triggers", labels()),
            in_flight: gauge!("sandman_in_flight_triggers", labels()),
            degraded: gauge!("sandman_handler_degraded", labels()),
            paused: gauge!("sandman_handler_paused", labels()),
            held_keys: gauge!("sandman_held_keys", labels()),
            recording_bytes: gauge!("sandman_recording_bytes", labels()),
            recording_bytes_gone: counter!("sandman_recording_bytes_gone_total", labels()),
            redriven: ["failed", "ok"].map(|outcome| {
                let outcome = Label::from_static_parts("outcome", outcome);
                counter!("sandman_redriven_total", [labels(), vec![outcome]].concat())
            }),
            invocations: Invocations {
                ok: outcome(Invoked::Ok),
                rejected: outcome(Invoked::Rejected),
                retry: outcome(Invoked::Retry),
                trap: outcome(Invoked::Trap),
                exceeded: outcome(Invoked::Exceeded),
                contract: outcome(Invoked::Contract),
            },
            topics: topics
                .map(|topic| (Arc::from(topic), HandlerTopicMeters::new(handler, topic)))
                .collect(),
        }
    }

    /// A dead letter was redriven, and handled or given up again.
    pub fn redriven(&self, handled: bool) {
        let [failed, ok] = &self.redriven;
        if handled { ok } else { failed }.increment(1);
    }

    /// The counter of invocations that ended this way.
    pub fn invoked(&self, invoked: Invoked) -> &Counted {
        match invoked {
            Invoked::Ok => &self.invocations.ok,
            Invoked::Rejected => &self.invocations.rejected,
            Invoked::Retry => &self.invocations.retry,
            Invoked::Trap => &self.invocations.trap,
            Invoked::Exceeded => &self.invocations.exceeded,
            Invoked::Contract => &self.invocations.contract,
        }
    }

    /// The handler consumes nothing any more.
    pub fn idle(&self) {
        self.degraded.set(0.0);
        for (_, topic) in &self.topics {
            topic.assigned.set(0.0);
            topic.group_lag.set(f64::NAN);
        }
    }

    /// How many invocations there were.
    pub fn totals(&self) -> Totals {
        Totals {
            ok: self.invocations.ok.total.load(Ordering::Relaxed),
            failed: self.invocations.trap.total.load(Ordering::Relaxed),
        }
    }

    /// The handles of one of its topics. Handlers have a handful of topics, so this looks through a short list.
    pub fn topic(&self, topic: &str) -> Option<&HandlerTopicMeters> {
        self.topics
            .iter()
            .find(|(name, _)| &**name == topic)
            .map(|(_, meters)| meters)
    }
}

impl HandlerTopicMeters {
    fn new(handler: &str, topic: &str) -> Self {
        let labels = || {
            vec![
                Label::new("handler", handler.to_owned()),
                Label::new("topic", topic.to_owned()),
            ]
        };
        let group_lag = gauge!("sandman_group_lag_messages", labels());
        group_lag.set(f64::NAN);
        Self {
            consumed: counter!("sandman_events_consumed_total", labels()),
            tombstones: counter!("sandman_tombstones_total", labels()),
            duplicates: counter!("sandman_duplicates_total", labels()),
            retries: counter!("sandman_retries_total", labels()),
            dead_letters: counter!("sandman_dead_letters_total", labels()),
            event_lag: histogram!("sandman_event_lag_seconds", labels()),
            group_lag,
            assigned: gauge!("sandman_assigned_partitions", labels()),
        }
    }
}
