//! The host: builds every part from the configuration, runs them, and ends them in the right order.

mod admin;
mod control;
mod descriptors;
mod http;
mod kafka;
mod known_topics;
mod lag;

pub(crate) use kafka::{problems as kafka_problems, topics};
mod reload;
mod shortage;
mod stories;
mod switch;
mod threads;
mod watch;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use crossbeam_channel::{Receiver, Sender, select};

use sandman_config::{Brokers, Config, HandlerConfig, StoreUrl};
use sandman_core::broker::TopicSpec;
use sandman_core::lanes::HandlerIx;
use sandman_core::store::{LetterStore, ShardLease, Store};
use sandman_engine::alarm::Alarm;
use sandman_engine::clock;
use sandman_engine::health::HealthView;
use sandman_engine::meters::{HostMeters, Meters};
use sandman_engine::pipeline::{self, Pipeline};
use sandman_engine::registry::Registry;
use sandman_engine::relay::Relay;
use sandman_kafka::{ConsumerHandle, EmbeddedBroker, KafkaHealth, KafkaSettings};
use sandman_operate::control::Control;
use sandman_operate::deploy;
use sandman_operate::load;
use sandman_store::SqliteStore;

use admin::Admin;
use control::HostControl;
use http::Http;
use switch::Switch;
use threads::{Signals, Threads};
use watch::KafkaWatch;

/// How long the start waits for Kafka before it says that it serves without it.
const KAFKA_WAIT: Duration = Duration::from_secs(10);

/// How often the state of the host is looked at.
const TICK: Duration = Duration::from_secs(1);

/// What the command line adds to the configuration.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Take over a deployment whose cursor names another store, or is ahead of this one.
    pub adopt: bool,
    /// Who in this process wants to know that the host is ready.
    pub started: Option<Sender<Started>>,
}

/// A host that is ready, for whoever started it in this process.
pub struct Started {
    /// What can be asked and ordered.
    pub control: Arc<dyn Control>,
    /// How its Kafka is reached.
    pub kafka: KafkaSettings,
}

/// Runs the host until a signal ends it (success) or a part of it cannot go on (an error).
///
/// # Errors
/// Why the host could not start, or had to stop.
pub fn run(config: &Config, options: RunOptions) -> Result<ExitCode> {
    let signals = threads::signals()?;
    descriptors::ensure(config);
    let mut host = Host::start(config, options)?;
    let verdict = host.serve(&signals);
    let in_time = host.stop(verdict.is_ok().then_some(config.host.grace));
    verdict?;
    if !in_time {
        bail!("stopped, but not everything was finished within host.grace; the next start goes on where this one was");
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// The parts of a running host.
struct Host {
    registry: Arc<Registry>,
    control: Arc<HostControl>,
    pipeline: Arc<Pipeline>,
    settings: KafkaSettings,
    health: Arc<KafkaHealth>,
    meters: Arc<Meters>,
    view: Arc<HealthView>,
    admin: Admin,
    http: Option<Http>,
    store: Arc<SqliteStore>,
    options: RunOptions,
    /// Switches to another configuration, to be made in the loop.
    ordered: Receiver<Switch>,
    /// The deployment is ours: handlers consume.
    consuming: bool,
    consumers: Vec<(HandlerIx, ConsumerHandle)>,
    watch: KafkaWatch,
    threads: Threads,
    alarm: Alarm,
    alarmed: Receiver<String>,
    relay_ready: Receiver<()>,
    drain_relay: Arc<AtomicBool>,
    give_up: Arc<AtomicBool>,
    /// Dropped last: everything else speaks to it.
    _broker: Option<EmbeddedBroker>,
}

impl Host {
    fn start(config: &Config, options: RunOptions) -> Result<Self> {
        let store = open_store(config)?;
        let meters = Arc::new(Meters::new());
        let sandbox = load::sandbox(config)?;
        let registry = Arc::new(deploy::registry(config, &sandbox, &*store, &meters)?);
        let topics = kafka::topics(config);
        let broker = start_broker(config, &store, &topics)?;
        let settings = kafka::settings(&config.kafka, broker.as_ref());
        let (alarm, alarmed) = Alarm::new();
        let mut threads = Threads::new(alarm.clone());
        let watchers = (alarm.clone(), meters.host.clone());
        let pipeline = start_pipeline(config, &registry, &store, watchers, &mut threads)?;
        let view = kafka::health_view(config);
        let parts = (&registry, sandbox, &store);
        let (control, ordered) = HostControl::over(config, parts, &pipeline, (&meters, &alarm), &settings);
        let watch = KafkaWatch::start(&control, &settings, &mut threads)?;
        let admin = Admin::start(&config.admin, Arc::clone(&control) as _, &meters, &view, &mut threads)?;
        let shared: Arc<dyn Store> = Arc::clone(&store) as _;
        let http = Http::start(config, &pipeline, (&store, &view, &meters), &mut threads)?;
        let (ready, relay_ready) = crossbeam_channel::bounded(1);
        let (drain_relay, give_up) = (Arc::default(), Arc::default());
        let relay = Relay {
            broker: Box::new(kafka::cluster(config, (&settings, topics), &control.health, &give_up)),
            deployment: config.host.deployment.clone(),
            adopt: options.adopt,
            store: shared,
            lease: ShardLease::default(),
            outbox: Arc::clone(pipeline.outbox()),
            meters: Arc::clone(&meters),
            alarm: alarm.clone(),
            view: Arc::clone(&view),
            drain: Arc::clone(&drain_relay),
            give_up: Arc::clone(&give_up),
            ready,
        };
        threads.spawn("relay".to_owned(), move || relay.run())?;
        Ok(Self {
            health: Arc::clone(&control.health),
            registry,
            control,
            pipeline,
            settings,
            meters,
            view,
            admin,
            http,
            store,
            options,
            ordered,
            consuming: false,
            consumers: Vec::new(),
            watch,
            threads,
            alarm,
            alarmed,
            relay_ready,
            drain_relay,
            give_up,
            _broker: broker,
        })
    }

    /// Says that the host is ready, consumes once the deployment is ours, and returns when the host is to stop.
    fn serve(&mut self, signals: &Signals) -> Result<()> {
        self.control.start_redriver(&mut self.threads)?;
        let kafka_wait = Instant::now() + KAFKA_WAIT;
        let mut announced = false;
        loop {
            select! {
                recv(self.alarmed) -> reason => {
                    let reason = reason.unwrap_or_default();
                    self.view.set_fatal(reason.clone());
                    bail!("{reason}");
                }
                recv(signals.stop) -> signal => {
                    tracing::info!(signal = signal.unwrap_or_default(), "stopping; a second signal ends at once");
                    return Ok(());
                }
                recv(signals.reload) -> _ => self.reload_aside()?,
                recv(self.ordered) -> order => {
                    if let Ok(order) = order {
                        self.switch(order);
                    }
                }
                recv(self.relay_ready) -> ready => match ready {
                    Ok(()) if !self.consuming => self.consume()?,
                    // The publisher was opened anew.
                    Ok(()) => {}
                    // The relay has ended, and the alarm says why.
                    Err(_) => self.relay_ready = crossbeam_channel::never(),
                },
                default(TICK) => {}
            }
            self.look();
            if !announced && (self.consuming || Instant::now() >= kafka_wait) {
                if !self.consuming {
                    let brokers = &self.settings.brokers;
                    tracing::warn!(brokers, "kafka cannot be reached yet; consuming begins when it can");
                }
                announced = true;
                self.announce()?;
            }
        }
    }

    /// A reload waits for this very loop, so it has a thread of its own. The log says how it went.
    fn reload_aside(&mut self) -> Result<()> {
        let control = Arc::clone(&self.control);
        let reload = move || drop(control.follow("SIGHUP"));
        self.threads.spawn("reload".to_owned(), reload)
    }

    /// What has to be asked for once a second: the connection to Kafka, the age of the outbox.
    fn look(&self) {
        let connected = self.health.connected() && self.health.poll_breach().is_none();
        self.view.set_kafka_connected(connected);
        self.view.set_store_fault(self.pipeline.store_fault());
        self.meters.host.kafka_connected.set(f64::from(u8::from(connected)));
        let breaches = self.health.poll_breaches();
        self.meters.host.kafka_poll_breaches.absolute(breaches);
        self.look_at_handlers();
        for ix in self.pipeline.take_failing() {
            self.control.roll_back_failing(ix);
        }
        self.control.sample();
        self.pipeline.measure();
        if let Ok(size) = self.store.letters_size() {
            self.meters.host.letters.set(size.count as f64);
            self.meters.host.letter_bytes.set(size.bytes as f64);
        }
        let oldest = self.pipeline.outbox().size().oldest_millis;
        let age = oldest.map_or(0, |oldest| (clock::wall_millis() - oldest).max(0));
        self.meters
            .host
            .outbox_age
            .set(Duration::from_millis(age.unsigned_abs()).as_secs_f64());
    }

    fn consume(&mut self) -> Result<()> {
        self.consuming = true;
        let config = self.control.config.load_full();
        for handler in &config.handlers {
            if let Some((ix, _)) = self.registry.find(&handler.name) {
                self.consume_one(handler, ix)?;
            }
        }
        Ok(())
    }

    fn consume_one(&mut self, handler: &HandlerConfig, ix: HandlerIx) -> Result<()> {
        if !handler.topics.is_empty() {
            self.health.well(&handler.name);
            let reach = (&self.settings, &self.health, &self.alarm);
            let config = self.control.config.load();
            let identity = (&*config.host.deployment, self.store.id(), self.options.adopt);
            let consumer = kafka::consumer(handler, ix, &self.pipeline, identity, reach)?;
            self.consumers.push((ix, consumer));
        }
        Ok(())
    }

    /// The one line on stdout: scripts wait for it.
    fn announce(&mut self) -> Result<()> {
        self.view.set_ready(true);
        let mut out = std::io::stdout().lock();
        write!(out, "sandman ready: admin http://{}", self.admin.address)?;
        if let Some(http) = &self.http {
            write!(out, ", http http://{}", http.address)?;
        }
        writeln!(out)?;
        out.flush()?;
        if let Some(started) = self.options.started.take() {
            let control = Arc::clone(&self.control) as _;
            let kafka = self.settings.clone();
            // Whoever wanted to know may be gone.
            started.send(Started { control, kafka }).ok();
        }
        Ok(())
    }

    /// Ends the parts in the order of the flow, so that each can finish what the one before it gave: no more records,
    /// lanes empty, outbox empty, group left. Without `grace` everything ends at once. Answers whether all was finished.
    fn stop(mut self, grace: Option<Duration>) -> bool {
        let deadline = Instant::now() + grace.unwrap_or_default();
        self.view.set_ready(false);
        self.watch.stop();
        if let Some(http) = &self.http {
            http.stop();
        }
        for (_, consumer) in &self.consumers {
            consumer.quiesce();
        }
        self.control.redriver.stop();
        // Requests that have begun still need the pipeline.
        let mut finished = self.threads.join(http::THREAD, deadline);
        finished &= self.pipeline.drain(deadline);
        self.drain_relay.store(true, Ordering::Relaxed);
        if self.pipeline.outbox().size().batches > 0 || self.health.connected() {
            finished &= self.threads.join("relay", deadline);
        }
        // Without anything to publish, and without Kafka, there is nothing to wait for.
        self.give_up.store(true, Ordering::Relaxed);
        for (_, consumer) in &self.consumers {
            consumer.stop();
        }
        let patience = deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_secs(2));
        for (_, consumer) in self.consumers.drain(..) {
            if let Err(error) = consumer.join(patience) {
                tracing::warn!(%error, "a consumer did not end well");
            }
        }
        self.pipeline.stop();
        self.admin.stop();
        self.threads.join_all(Instant::now() + Duration::from_secs(5));
        finished
    }
}

fn start_pipeline(
    config: &Config,
    registry: &Arc<Registry>,
    store: &Arc<SqliteStore>,
    watchers: (Alarm, HostMeters),
    threads: &mut Threads,
) -> Result<Arc<Pipeline>> {
    let options = pipeline_options(config);
    let pipeline =
        Pipeline::new(options, Arc::clone(registry), Arc::clone(store) as _, watchers).context("the store")?;
    pipeline.load_letters(
        store.held_keys().context("the store")?,
        store.pauses().context("the store")?,
    );
    for number in 0..config.host.workers {
        let pipeline = Arc::clone(&pipeline);
        threads.spawn(format!("worker-{number}"), move || pipeline.work())?;
    }
    let committer = Arc::clone(&pipeline);
    threads.spawn("committer".to_owned(), move || committer.commit())?;
    Ok(pipeline)
}

/// The embedded broker, if it is the one that is configured. It starts empty each time, so its store forgets Kafka.
fn start_broker(config: &Config, store: &Arc<SqliteStore>, topics: &[TopicSpec]) -> Result<Option<EmbeddedBroker>> {
    match &config.kafka.brokers {
        Brokers::Servers(_) => Ok(None),
        Brokers::Embedded => {
            store.forget_kafka().context("the store")?;
            Ok(Some(EmbeddedBroker::start(topics)?))
        }
    }
}

/// Opens the configured store; with the embedded broker, the one beside it.
///
/// # Errors
/// If it cannot be opened, for example because a host has it.
pub(crate) fn open_store(config: &Config) -> Result<Arc<SqliteStore>> {
    let store = match store_file(config) {
        Some(path) => SqliteStore::open(&path)?,
        None => SqliteStore::in_memory()?,
    };
    Ok(Arc::new(store))
}

/// The file of the configured store; `None` for one in memory.
pub(crate) fn store_file(config: &Config) -> Option<PathBuf> {
    match &config.store.url {
        // A store of its own: what forgets Kafka must never be the one of a real cluster.
        StoreUrl::Sqlite(path) if config.kafka.brokers == Brokers::Embedded => Some(path.with_extension("embedded.db")),
        StoreUrl::Sqlite(path) => Some(path.clone()),
        StoreUrl::Memory => None,
    }
}

/// What the configuration says of the pipeline.
pub fn pipeline_options(config: &Config) -> pipeline::Options {
    pipeline::Options {
        source: config.host.source.clone(),
        cache_bytes: usize::try_from(config.host.cache).unwrap_or(usize::MAX),
        in_flight: config.host.in_flight,
        in_flight_bytes: usize::try_from(config.host.in_flight_bytes).unwrap_or(usize::MAX),
        parked: config.host.parked,
        parked_bytes: usize::try_from(config.host.parked_bytes).unwrap_or(usize::MAX),
        batch: config.host.batch,
        outbox_bytes: config.store.outbox,
        store_pause: Duration::from_secs(1),
        patience: Duration::from_millis(500),
        dead_letter_topic: config.kafka.dead_letter_topic.clone(),
        dead_letters: config.store.dead_letters,
        held_bytes: config.store.held,
    }
}
