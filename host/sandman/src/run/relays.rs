//! The relays of this host: one for each shard of the outbox that it publishes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use crossbeam_channel::Sender;

use sandman_config::Config;
use sandman_core::broker::TopicSpec;
use sandman_core::store::{Shard, ShardLease, Store};
use sandman_engine::alarm::Alarm;
use sandman_engine::health::HealthView;
use sandman_engine::meters::Meters;
use sandman_engine::outbox::OutboxFeed;
use sandman_engine::relay::Relay;
use sandman_kafka::{KafkaHealth, KafkaSettings};

use super::kafka;
use super::threads::Threads;

/// The parts that all relays share.
pub(super) struct Parts {
    pub(super) config: Config,
    pub(super) settings: KafkaSettings,
    pub(super) topics: Vec<TopicSpec>,
    pub(super) health: Arc<KafkaHealth>,
    pub(super) adopt: bool,
    pub(super) store: Arc<dyn Store>,
    pub(super) outbox: Arc<OutboxFeed>,
    pub(super) meters: Arc<Meters>,
    pub(super) alarm: Alarm,
    pub(super) view: Arc<HealthView>,
    /// Notified when a relay knows that the deployment is ours.
    pub(super) ready: Sender<()>,
}

/// How often a host that stops looks whether its shards are still its own.
const LEASES: Duration = Duration::from_millis(200);

/// The running relays.
pub(super) struct Relays {
    parts: Parts,
    running: BTreeMap<Shard, RunningRelay>,
    /// Whether the next relay of a shard may take over a deployment that does not belong to the store.
    adopt: BTreeMap<Shard, Arc<AtomicBool>>,
    drain: Arc<AtomicBool>,
}

struct RunningRelay {
    lease: ShardLease,
    give_up: Arc<AtomicBool>,
    /// The name of its thread.
    thread: String,
}

impl Relays {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            parts,
            running: BTreeMap::new(),
            adopt: BTreeMap::new(),
            drain: Arc::default(),
        }
    }

    /// Starts relays for new shards of this host, and ends those of shards that it has lost.
    pub(super) fn follow(&mut self, threads: &mut Threads) -> Result<()> {
        let leases = self.parts.store.leases();
        self.running.retain(|_, running| {
            let goes_on = leases.contains(&running.lease);
            if !goes_on {
                running.give_up.store(true, Ordering::Relaxed);
            }
            goes_on
        });
        for lease in leases {
            if !self.running.contains_key(&lease.shard) {
                self.start(lease, threads)?;
            }
        }
        Ok(())
    }

    fn start(&mut self, lease: ShardLease, threads: &mut Threads) -> Result<()> {
        let parts = &self.parts;
        let give_up = Arc::default();
        let topics = parts.topics.clone();
        let adopt = self.adopt.entry(lease.shard);
        let adopt = adopt.or_insert_with(|| Arc::new(AtomicBool::new(parts.adopt)));
        let relay = Relay {
            broker: Box::new(kafka::cluster(
                &parts.config,
                (&parts.settings, topics, lease.shard),
                &parts.health,
                &give_up,
            )),
            deployment: parts.config.host.deployment.clone(),
            adopt: Arc::clone(adopt),
            store: Arc::clone(&parts.store),
            lease,
            outbox: Arc::clone(&parts.outbox),
            meters: Arc::clone(&parts.meters),
            alarm: parts.alarm.clone(),
            view: Arc::clone(&parts.view),
            drain: Arc::clone(&self.drain),
            give_up: Arc::clone(&give_up),
            ready: parts.ready.clone(),
        };
        // Short: the system cuts the names of threads.
        let thread = match lease.shard.0 {
            0 => "relay".to_owned(),
            shard => format!("relay-{shard}"),
        };
        threads.spawn(thread.clone(), move || relay.run())?;
        let running = RunningRelay { lease, give_up, thread };
        self.running.insert(lease.shard, running);
        Ok(())
    }

    /// Whether this host has nothing to publish: there are more hosts than shards.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Publishes what is there, up to the deadline, and returns whether all of it was. What is left in a fleet is published by
    /// the next host that takes the shard; but the last host to stop leaves nothing, so that the store can be moved.
    pub(super) fn drain(&self, threads: &mut Threads, deadline: Instant) -> bool {
        self.drain.store(true, Ordering::Relaxed);
        let mut finished = true;
        for running in self.running.values() {
            while !threads.join(&running.thread, deadline.min(Instant::now() + LEASES)) {
                if Instant::now() >= deadline {
                    finished = false;
                    break;
                }
                self.end_those_without_lease();
            }
        }
        finished || self.parts.store.is_shared()
    }

    /// A shard that another host has taken meanwhile is that host's to publish.
    fn end_those_without_lease(&self) {
        let leases = self.parts.store.leases();
        let lost = self.running.values().filter(|running| !leases.contains(&running.lease));
        lost.for_each(|running| running.give_up.store(true, Ordering::Relaxed));
    }

    /// Ends all of them at once.
    pub(super) fn give_up(&self) {
        for running in self.running.values() {
            running.give_up.store(true, Ordering::Relaxed);
        }
    }
}
