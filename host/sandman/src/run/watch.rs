//! The thread that asks Kafka how much every handler still has to do, and evaluates the answers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::control::HostControl;
use super::shortage::Shortage;
use super::threads::Threads;
use super::{Host, kafka};
use sandman_config::HandlerConfig;
use sandman_core::event::iso_millis;
use sandman_core::lanes::HandlerIx;
use sandman_core::store::Pause;
use sandman_engine::health::HandlerHealth;
use sandman_engine::registry::Handler;
use sandman_kafka::{ExtentReader, KafkaSettings, TopicExtents};

/// How often Kafka is asked.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long it may take to answer for one topic or group.
const PATIENCE: Duration = Duration::from_secs(4);
/// The thread that asks Kafka.
pub(super) struct KafkaWatch {
    stop: Sender<()>,
}

impl KafkaWatch {
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
    fn run(mut self) {
        loop {
            let pause = self.look();
            if !matches!(self.stopped.recv_timeout(pause), Err(RecvTimeoutError::Timeout)) {
                break;
            }
        }
        self.reader.close();
    }

    /// Asks once, and returns how long to wait.
    fn look(&mut self) -> Duration {
        let config = self.control.config.load_full();
        let view = &self.control.lag;
        let topics: BTreeSet<_> = config.handlers.iter().flat_map(|handler| &handler.topics).collect();
        let TopicExtents { topics: read, silent } = self.reader.read(&topics, PATIENCE);
        for (topic, told) in read {
            let told = told.map_err(|error| error.to_string());
            view.topics.lock().note(&topic, told, Instant::now());
        }
        view.topics.lock().keep(&topics);
        for handler in config.handlers.iter().filter(|_| !silent) {
            if let Some((ix, _)) = self.control.registry.find(&handler.name) {
                self.look_at_group(ix, handler);
            }
        }
        INTERVAL
    }

    /// Finds out who has the partitions that a handler of this host lacks.
    fn look_at_group(&self, ix: HandlerIx, handler: &HandlerConfig) {
        let view = &self.control.lag;
        let mut missing = view.topics.lock().partitions(&handler.topics);
        let assigned = self.control.pipeline.assigned_to(ix);
        missing.retain(|partition| !assigned.contains(partition));
        if missing.is_empty() {
            view.shortages.lock().remove(&ix);
            return;
        }
        // They may belong to a host of this deployment, which commits to the same store.
        match self.control.store.progress(&handler.name) {
            Ok(progress) => self.control.pipeline.note_elsewhere(ix, progress),
            Err(error) => tracing::debug!(%error, "the progress of other hosts is not known"),
        }
        let now = Instant::now();
        let mut shortages = view.shortages.lock();
        let shortage = shortages.entry(ix).or_insert_with(|| Shortage::of(&missing, now));
        if !shortage.is_to_be_asked(&missing, now) {
            return;
        }
        drop(shortages);
        // Its consumer does not want them, whoever has them, and others may share it.
        let faults = self.control.health.faults();
        if faults.get(&handler.name).is_some_and(|fault| fault.stopped) {
            return;
        }
        let members = match self.reader.members(&handler.group, PATIENCE) {
            Ok(Some(members)) => members,
            Ok(None) => return,
            Err(error) => return tracing::debug!(%error, "it is not known who has the missing partitions"),
        };
        // The id of a static member is its name and a random part.
        let ours = format!("{}-", kafka::member(&self.control.config.load(), false, &handler.group));
        if let Some(shortage) = view.shortages.lock().get_mut(&ix)
            && shortage.is_to_join_again(members, &ours, &assigned, now)
        {
            let missing = missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            tracing::info!(handler = %handler.name, missing, "partitions are unassigned; rejoining the group");
            view.rejoin.lock().insert(ix);
        }
    }
}

impl Host {
    /// Updates the metrics and `/health` for consuming handlers.
    pub(super) fn look_at_handlers(&self) {
        let config = self.control.config.load();
        let view = &self.control.lag;
        let faults = self.health.faults();
        let mut degraded = Vec::new();
        for handler in config.handlers.iter().filter(|handler| !handler.topics.is_empty()) {
            let Some((ix, known)) = self.registry.find(&handler.name) else {
                continue;
            };
            self.measure_topics(ix, handler, known);
            let fault = faults.get(&handler.name);
            let paused = self.pipeline.paused(ix);
            // Always called, because it measures how long something has been missing.
            let lacks = view.reason(ix, handler, self.consuming);
            let reason = fault
                .map(|fault| fault.reason.clone())
                .or_else(|| paused.as_ref().map(|pause| paused_since(&handler.name, pause)))
                .or(lacks)
                .or_else(|| self.full_of_held(ix));
            let stopped = fault.is_some_and(|fault| fault.stopped) || paused.is_some();
            known.meters.degraded.set(f64::from(u8::from(reason.is_some())));
            degraded.extend(reason.map(|reason| HandlerHealth {
                handler: Arc::clone(&handler.name),
                reason,
                stopped,
            }));
        }
        self.view.set_handlers(degraded);
        let to_join = std::mem::take(&mut *view.rejoin.lock());
        self.rejoin(&to_join);
    }

    /// How many partitions of each of the handler's topics are assigned here, and how far the group is behind in them.
    fn measure_topics(&self, ix: HandlerIx, handler: &HandlerConfig, known: &Handler) {
        let assigned = self.pipeline.assigned_to(ix);
        for topic in &handler.topics {
            let Some(meters) = known.meters.topic(topic) else {
                continue;
            };
            let of_topic = assigned.iter().filter(|partition| partition.topic == *topic).count();
            meters.assigned.set(of_topic as f64);
            if let Some(lag) = self.control.lag.of_topic(ix, topic) {
                meters.group_lag.set(lag as f64);
            }
        }
    }

    /// Why further triggers of a handler's held keys hold up its partitions, if they do.
    fn full_of_held(&self, ix: HandlerIx) -> Option<String> {
        let held = match self.pipeline.held(ix) {
            (0, _) | (_, false) => return None,
            (1, true) => "1 key is held".to_owned(),
            (keys, true) => format!("{keys} keys are held"),
        };
        Some(format!(
            "{held}, and store.held is full: further triggers hold up their partitions; see `sandman dlq release`"
        ))
    }
}

fn paused_since(name: &str, pause: &Pause) -> String {
    let (since, why) = (iso_millis(pause.at_millis), &pause.reason);
    format!("paused since {since}: {why}; `sandman resume {name}` resumes it")
}
