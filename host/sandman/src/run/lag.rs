//! How much each handler still has to do, and whether it can: compares Kafka's partitions with the store's progress and
//! this host's assignments.
//!
//! Lag is the number of records that a handler still has to handle. Up to the read position it is exact. From there to
//! the high watermark every offset counts, because it is not known which of them have records: an open transaction may
//! yet be committed, and partitions of other members are not read here.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::known_topics::KnownTopics;
use super::shortage::Shortage;
use sandman_config::HandlerConfig;
use sandman_core::lanes::HandlerIx;
use sandman_engine::pipeline::Pipeline;

/// How long partitions or extents may be missing before the handler is degraded: a rebalance takes less.
const GRACE: Duration = Duration::from_secs(10);
/// The data about all handlers' topics and groups; written by the thread that asks Kafka, read by everybody.
pub(super) struct LagView {
    pipeline: Arc<Pipeline>,
    pub(super) topics: Mutex<KnownTopics>,
    pub(super) shortages: Mutex<HashMap<HandlerIx, Shortage>>,
    /// Handlers whose consumers are to join their groups again.
    pub(super) rejoin: Mutex<BTreeSet<HandlerIx>>,
    /// Since when something is missing, by handler.
    lacking: Mutex<HashMap<HandlerIx, Instant>>,
}

impl LagView {
    pub(super) fn new(pipeline: &Arc<Pipeline>) -> Self {
        Self {
            pipeline: Arc::clone(pipeline),
            topics: Mutex::default(),
            shortages: Mutex::default(),
            rejoin: Mutex::default(),
            lacking: Mutex::default(),
        }
    }

    /// Records of these topics that the handler still has to handle; `None` without topics, or before Kafka has
    /// reported all their partitions.
    pub(super) fn of(&self, ix: HandlerIx, topics: &[Arc<str>]) -> Option<u64> {
        let lags: Option<Vec<u64>> = topics.iter().map(|topic| self.of_topic(ix, topic)).collect();
        lags.filter(|lags| !lags.is_empty()).map(|lags| lags.iter().sum())
    }

    pub(super) fn of_topic(&self, ix: HandlerIx, topic: &Arc<str>) -> Option<u64> {
        let extents = self.topics.lock().extents(topic)?;
        Some(self.pipeline.waiting(ix, &extents))
    }

    /// Why a handler that should consume these topics does not, or may not; `None` if it does. Short interruptions such
    /// as rebalances are not a reason.
    pub(super) fn reason(&self, ix: HandlerIx, handler: &HandlerConfig, consuming: bool) -> Option<String> {
        let lacks = self.lack(ix, handler, consuming);
        let mut lacking = self.lacking.lock();
        let Some(lacks) = lacks else {
            lacking.remove(&ix);
            return None;
        };
        let since = *lacking.entry(ix).or_insert_with(Instant::now);
        (since.elapsed() > GRACE).then_some(lacks)
    }

    fn lack(&self, ix: HandlerIx, handler: &HandlerConfig, consuming: bool) -> Option<String> {
        let topics = handler.topics.join("`, `");
        if !consuming {
            return Some(format!(
                "it has no partition of `{topics}`: consuming begins when the relay is ready, which it is not; see the log"
            ));
        }
        let group = &handler.group;
        let now = Instant::now();
        if !self.pipeline.assigned_to(ix).is_empty() {
            let unknown = self.topics.lock().unknown(&handler.topics, now);
            let lack = || self.shortages.lock().get(&ix)?.lack(now);
            return unknown.or_else(|| Some(format!("it has not all partitions: in its group `{group}` {}", lack()?)));
        }
        let shortages = self.shortages.lock();
        if shortages.get(&ix).is_some_and(Shortage::is_covered) {
            return None;
        }
        let others = shortages.get(&ix).map(Shortage::others).unwrap_or_default();
        Some(if others.is_empty() {
            format!("it has no partition of `{topics}`: its group `{group}` has not given it any")
        } else {
            format!(
                "it has no partition of `{topics}`: its group `{group}` has other members ({}); stop them, or give the \
                 handler a group of its own",
                others.join(", ")
            )
        })
    }
}
