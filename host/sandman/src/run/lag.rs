//! How much each handler has still to do, and whether it can: what Kafka has, beside what the store has and what this
//! host was given.
//!
//! Lag is the records that a handler has still to handle. Up to where a partition was read it is exact. From there to the
//! high watermark every offset counts, since nobody can tell which of them hold records: an open transaction may yet be
//! committed, and of a partition that another member has nothing is read here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::control::HostControl;
use super::threads::Threads;
use super::{Host, kafka};
use sandman_config::HandlerConfig;
use sandman_core::broker::Extent;
use sandman_core::event::TopicPartition;
use sandman_core::lanes::HandlerIx;
use sandman_engine::health::HandlerHealth;
use sandman_engine::pipeline::Pipeline;
use sandman_kafka::{ExtentReader, GroupMember, KafkaSettings, PartitionExtent};

/// How often Kafka is asked.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long it may take to answer for one topic or group.
const PATIENCE: Duration = Duration::from_secs(4);
/// What was told longer ago is not known any more. Longer than an election takes.
const OLD: Duration = Duration::from_secs(30);
/// How long a handler may lack something before it is degraded: a rebalance takes less.
const GRACE: Duration = Duration::from_secs(10);
/// How long a partition may be nobody's before the group is joined again. The client library sees partitions that are added
/// within half a minute and then does so by itself.
const NOBODYS: Duration = Duration::from_secs(40);
/// The same for a topic of which no partition is assigned to anybody, as after a start with other topics.
const TOPIC_NOBODYS: Duration = Duration::from_secs(4);

/// A topic, as Kafka last told it.
#[derive(Debug, Default)]
struct Topic {
    partitions: BTreeMap<i32, Option<(Extent, Instant)>>,
    /// Why it was not told at the last attempt.
    fault: Option<String>,
}

/// A handler that has not all partitions of its topics.
#[derive(Debug)]
struct Shortage {
    missing: BTreeSet<TopicPartition>,
    since: Instant,
    /// Who else is in its group.
    others: Vec<GroupMember>,
    /// The group was joined again for it.
    joined: bool,
}

/// What is known of all handlers' topics and groups; written by the thread that asks, read by everybody.
pub(super) struct LagView {
    pipeline: Arc<Pipeline>,
    topics: Mutex<HashMap<Arc<str>, Topic>>,
    shortages: Mutex<HashMap<HandlerIx, Shortage>>,
    /// Handlers whose consumers are to join their groups again.
    rejoin: Mutex<BTreeSet<HandlerIx>>,
    /// Since when a handler lacks something.
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

    /// Records of these topics that the handler has still to handle; `None` without topics, or before Kafka has told of
    /// all their partitions.
    pub(super) fn of(&self, ix: HandlerIx, topics: &[Arc<str>]) -> Option<u64> {
        let lags: Option<Vec<u64>> = topics.iter().map(|topic| self.of_topic(ix, topic)).collect();
        lags.filter(|lags| !lags.is_empty()).map(|lags| lags.iter().sum())
    }

    fn of_topic(&self, ix: HandlerIx, topic: &Arc<str>) -> Option<u64> {
        let extents: Vec<_> = {
            let topics = self.topics.lock();
            let known = topics.get(topic).filter(|known| !known.partitions.is_empty())?;
            let extents = known.partitions.iter().map(|(partition, told)| {
                let (extent, _) = (*told)?;
                Some((named(topic, *partition), extent))
            });
            extents.collect::<Option<_>>()?
        };
        Some(self.pipeline.waiting(ix, &extents))
    }

    /// Notes what Kafka said of a topic. What a leader did not tell now is kept as it was told before.
    fn note(&self, topic: &Arc<str>, told: Result<Vec<PartitionExtent>, String>) {
        let now = Instant::now();
        let mut topics = self.topics.lock();
        let known = topics.entry(Arc::clone(topic)).or_default();
        let told = match told {
            Ok(told) => told,
            Err(fault) => {
                known.fault = Some(fault);
                return;
            }
        };
        known.fault = None;
        let before = std::mem::take(&mut known.partitions);
        for PartitionExtent { partition, extent } in told {
            let number = partition.partition;
            let earlier = || before.get(&number).copied().flatten();
            let extent = extent.map(|extent| (extent, now)).or_else(earlier);
            known.partitions.insert(number, extent);
        }
    }

    fn partitions(&self, topics: &[Arc<str>]) -> BTreeSet<TopicPartition> {
        let known = self.topics.lock();
        let of = |topic: &Arc<str>| {
            let partitions = known
                .get(topic)
                .map(|known| known.partitions.keys().copied().collect::<Vec<_>>());
            partitions.unwrap_or_default()
        };
        let named = |topic: &Arc<str>| {
            of(topic)
                .into_iter()
                .map(|partition| named(topic, partition))
                .collect::<Vec<_>>()
        };
        topics.iter().flat_map(named).collect()
    }

    /// What of these topics is not known, and why; `None` if all is.
    fn unknown(&self, topics: &[Arc<str>]) -> Option<String> {
        let known = self.topics.lock();
        let mut unknown = Vec::new();
        for topic in topics {
            let Some(known) = known.get(topic) else {
                unknown.push(format!("of `{topic}`"));
                continue;
            };
            let is_old = |told: &Option<(Extent, Instant)>| told.is_none_or(|(_, at)| at.elapsed() > OLD);
            let old = known.partitions.iter().filter(|(_, told)| is_old(told));
            let old: Vec<String> = old.map(|(partition, _)| partition.to_string()).collect();
            let why = known.fault.as_deref().unwrap_or("its leader does not answer");
            if known.partitions.is_empty() {
                unknown.push(format!("of `{topic}` ({why})"));
            } else if !old.is_empty() {
                unknown.push(format!("of `{topic}`, partitions {} ({why})", old.join(", ")));
            }
        }
        (!unknown.is_empty()).then(|| format!("the ends of partitions are not known: {}", unknown.join("; ")))
    }

    /// Why a handler that is to consume these topics does not, or may not; `None` if it does. What a rebalance explains is
    /// no reason yet.
    fn reason(&self, ix: HandlerIx, handler: &HandlerConfig, consuming: bool) -> Option<String> {
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
                "it has no partition of `{topics}`: consuming begins when the relay is ready, and it is not; the log says why"
            ));
        }
        if !self.pipeline.assigned_to(ix).is_empty() {
            return self.unknown(&handler.topics);
        }
        let shortages = self.shortages.lock();
        let others = shortages
            .get(&ix)
            .map(|shortage| shortage.others.as_slice())
            .unwrap_or_default();
        let group = &handler.group;
        Some(if others.is_empty() {
            format!("it has no partition of `{topics}`: its group `{group}` has not given it any")
        } else {
            let others: Vec<&str> = others.iter().map(|member| member.client.as_str()).collect();
            format!(
                "it has no partition of `{topics}`: its group `{group}` has other members ({}); stop them, or give the \
                 handler a group of its own",
                others.join(", ")
            )
        })
    }
}

fn named(topic: &Arc<str>, partition: i32) -> TopicPartition {
    TopicPartition {
        topic: Arc::clone(topic),
        partition,
    }
}

/// The thread that asks Kafka.
pub(super) struct Watch {
    stop: Sender<()>,
}

impl Watch {
    pub(super) fn start(control: &Arc<HostControl>, settings: &KafkaSettings, threads: &mut Threads) -> Result<Self> {
        let reader = ExtentReader::open(settings, &control.health)?;
        let (stop, stopped) = bounded(1);
        let watching = Watching {
            control: Arc::clone(control),
            reader,
            stopped,
        };
        threads.spawn("extents".to_owned(), move || watching.run())?;
        Ok(Self { stop })
    }

    pub(super) fn stop(&self) {
        self.stop.try_send(()).ok();
    }
}

struct Watching {
    control: Arc<HostControl>,
    reader: ExtentReader,
    stopped: Receiver<()>,
}

impl Watching {
    fn run(self) {
        while let Err(crossbeam_channel::RecvTimeoutError::Timeout) = self.stopped.recv_timeout(self.look()) {}
        self.reader.close();
    }

    /// Asks once, and returns how long to rest.
    fn look(&self) -> Duration {
        let config = self.control.config.load_full();
        let view = &self.control.lag;
        let topics: BTreeSet<_> = config.handlers.iter().flat_map(|handler| &handler.topics).collect();
        let mut silent = false;
        for topic in topics {
            // Where one topic is not told for want of an answer, the others need not wait for it as well.
            let patience = if silent { Duration::ZERO } else { PATIENCE };
            let started = Instant::now();
            let told = self.reader.read(topic, patience).map_err(|error| error.to_string());
            silent |= told.is_err() && started.elapsed() >= PATIENCE;
            view.note(topic, told);
        }
        view.topics
            .lock()
            .retain(|topic, _| config.handlers.iter().any(|handler| handler.topics.contains(topic)));
        for handler in config.handlers.iter().filter(|_| !silent) {
            if let Some((ix, _)) = self.control.registry.find(&handler.name) {
                self.look_at_group(ix, handler);
            }
        }
        INTERVAL
    }

    /// Finds out who has the partitions that a handler of this host has not, and has it join again for those that nobody
    /// has: a member that comes again under its name is given what it had, and not what has come since.
    fn look_at_group(&self, ix: HandlerIx, handler: &HandlerConfig) {
        let view = &self.control.lag;
        let mut missing = view.partitions(&handler.topics);
        let assigned = self.control.pipeline.assigned_to(ix);
        missing.retain(|partition| !assigned.contains(partition));
        if missing.is_empty() {
            view.shortages.lock().remove(&ix);
            return;
        }
        {
            let mut shortages = view.shortages.lock();
            let shortage = shortages.entry(ix).or_insert_with(|| Shortage::of(&missing));
            if shortage.missing != missing {
                *shortage = Shortage::of(&missing);
            }
            if shortage.since.elapsed() < INTERVAL {
                return;
            }
        }
        let ours = kafka::member(&self.control.config.load().host.deployment, &handler.name);
        let members = match self.reader.members(&handler.group, PATIENCE) {
            Ok(Some(members)) => members,
            Ok(None) => return,
            Err(error) => return tracing::debug!(%error, "it is not known who has the missing partitions"),
        };
        if let Some(shortage) = view.shortages.lock().get_mut(&ix)
            && shortage.is_to_join_again(members, &ours, &assigned)
        {
            let missing = missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            tracing::info!(handler = %handler.name, missing, "partitions are nobody's; joining the group again");
            view.rejoin.lock().insert(ix);
        }
    }
}

impl Shortage {
    fn of(missing: &BTreeSet<TopicPartition>) -> Self {
        Self {
            missing: missing.clone(),
            since: Instant::now(),
            others: Vec::new(),
            joined: false,
        }
    }

    /// Takes in who is in the group, `ours` among them, of which this host has `assigned`. Says, once, whether the group is
    /// to be joined again.
    fn is_to_join_again(&mut self, members: Vec<GroupMember>, ours: &str, assigned: &BTreeSet<TopicPartition>) -> bool {
        let taken: BTreeSet<_> = members
            .iter()
            .flat_map(|member| member.partitions.iter().cloned())
            .collect();
        self.others = members
            .into_iter()
            .filter(|member| !member.id.starts_with(ours))
            .collect();
        let nobodys: Vec<_> = self.missing.difference(&taken).collect();
        let has_some = |topic: &Arc<str>| assigned.iter().chain(&taken).any(|partition| partition.topic == *topic);
        let patience = match nobodys.iter().all(|partition| has_some(&partition.topic)) {
            true => NOBODYS,
            false => TOPIC_NOBODYS,
        };
        let due = !nobodys.is_empty() && !self.joined && self.since.elapsed() > patience;
        self.joined |= due;
        due
    }
}

impl Host {
    /// Sets what the metrics and `/health` say of the handlers that consume.
    pub(super) fn look_at_handlers(&self) {
        let config = self.control.config.load();
        let view = &self.control.lag;
        let mut degraded = Vec::new();
        for handler in config.handlers.iter().filter(|handler| !handler.topics.is_empty()) {
            let Some((ix, known)) = self.registry.find(&handler.name) else {
                continue;
            };
            let assigned = self.pipeline.assigned_to(ix);
            for topic in &handler.topics {
                let Some(meters) = known.meters.topic(topic) else {
                    continue;
                };
                let of_topic = assigned.iter().filter(|partition| partition.topic == *topic).count();
                meters.assigned.set(of_topic as f64);
                if let Some(lag) = view.of_topic(ix, topic) {
                    meters.group_lag.set(lag as f64);
                }
            }
            let reason = view.reason(ix, handler, self.consuming);
            known.meters.degraded.set(f64::from(u8::from(reason.is_some())));
            degraded.extend(reason.map(|reason| HandlerHealth {
                handler: Arc::clone(&handler.name),
                reason,
            }));
        }
        self.view.set_handlers(degraded);
        for ix in std::mem::take(&mut *view.rejoin.lock()) {
            if let Some((_, consumer)) = self.consumers.iter().find(|(of, _)| *of == ix) {
                consumer.rejoin();
            }
        }
    }
}
