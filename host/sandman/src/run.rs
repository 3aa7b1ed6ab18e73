//! The host: builds every part from the configuration, runs them, and stops them in the right order.

mod admin;
mod consumers;
mod control;
mod descriptors;
mod fleet;
mod http;
mod kafka;
mod known_topics;
mod lag;
mod letters;
mod pages;
mod relays;
mod reload;
mod shortage;
mod start;
mod store;
mod stories;
mod switch;
mod threads;
mod versions;
mod watch;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use crossbeam_channel::{Receiver, Sender, select};

use sandman_config::Config;
use sandman_core::store::{DeploymentStore, StoreError};
use sandman_engine::alarm::Alarm;
use sandman_engine::clock;
use sandman_engine::health::HealthView;
use sandman_engine::meters::Meters;
use sandman_engine::pipeline::Pipeline;
use sandman_engine::registry::Registry;
use sandman_kafka::{EmbeddedBroker, KafkaHealth, KafkaSettings};
use sandman_operate::control::Control;

use admin::Admin;
use consumers::GroupConsumer;
use control::HostControl;
use http::Http;
use relays::Relays;
use switch::Switch;
use threads::{Signals, Threads};
use watch::KafkaWatch;

pub(crate) use kafka::{problems as kafka_problems, topics};
pub use start::pipeline_options;
pub(crate) use store::{open_postgres, open_store, postgres_options, refuse_shared, store_file};

/// How long the start waits for Kafka before the host serves without it.
const KAFKA_WAIT: Duration = Duration::from_secs(10);

/// How often the state of the host is checked.
const TICK: Duration = Duration::from_secs(1);

/// What the command line adds to the configuration.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Take over a deployment whose cursor names another store, or is ahead of this one.
    pub adopt: bool,
    /// Notified when the host is ready, for callers in this process.
    pub started: Option<Sender<Started>>,
}

/// A ready host, for callers in this process.
pub struct Started {
    /// Its queries and commands.
    pub control: Arc<dyn Control>,
    /// How to reach its Kafka.
    pub kafka: KafkaSettings,
}

/// Runs the host until a signal ends it (success) or a part of it cannot continue (an error).
///
/// # Errors
/// Why the host could not start, or had to stop.
pub fn run(config: &Config, options: RunOptions) -> Result<ExitCode> {
    let signals = threads::signals()?;
    descriptors::ensure(config);
    pages::keep_small();
    let mut host = Host::start(config, options)?;
    let verdict = host.serve(&signals);
    let in_time = host.stop(verdict.is_ok().then_some(config.host.grace));
    verdict?;
    if !in_time {
        bail!("stopped, but not everything was finished within host.grace; the next start continues from there");
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
    store: Arc<dyn DeploymentStore>,
    options: RunOptions,
    /// Switches to another configuration, which the main loop carries out.
    ordered: Receiver<Switch>,
    /// Whether the deployment is ours, so that handlers consume.
    consuming: bool,
    consumers: Vec<GroupConsumer>,
    watch: KafkaWatch,
    threads: Threads,
    alarm: Alarm,
    alarmed: Receiver<String>,
    relay_ready: Receiver<()>,
    relays: Relays,
    /// The thread that follows other hosts' deploys.
    versions: Option<Sender<()>>,
    /// Dropped last, because everything else uses it.
    _broker: Option<EmbeddedBroker>,
}

impl Host {
    /// Announces that the host is ready, starts consuming once the deployment is ours, and returns when the host should stop.
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
                    // The publisher was reopened.
                    Ok(()) => {}
                    // The relay has ended, and the alarm says why.
                    Err(_) => self.relay_ready = crossbeam_channel::never(),
                },
                default(TICK) => {}
            }
            self.look();
            self.relays.follow(&mut self.threads)?;
            if !self.consuming && self.is_others_to_publish() {
                self.consume()?;
            }
            if !announced && (self.consuming || Instant::now() >= kafka_wait) {
                if !self.consuming {
                    let brokers = &self.settings.brokers;
                    tracing::warn!(
                        brokers,
                        "kafka cannot be reached yet; consuming begins when it is reachable"
                    );
                }
                announced = true;
                self.announce()?;
            }
        }
    }

    /// Whether other hosts publish all shards of a deployment that is known to belong to this store.
    fn is_others_to_publish(&self) -> bool {
        self.store.is_shared() && self.relays.is_empty() && self.store.backlog().is_ok_and(|backlog| backlog.claimed)
    }

    /// A reload waits for this loop, so it needs a thread of its own. Its result is logged.
    fn reload_aside(&mut self) -> Result<()> {
        let control = Arc::clone(&self.control);
        let reload = move || drop(control.follow("SIGHUP"));
        self.threads.spawn("reload".to_owned(), reload)
    }

    /// The checks of every second: the connection to Kafka, the age of the outbox.
    fn look(&self) {
        let connected = self.health.connected() && self.health.poll_breach().is_none();
        self.view.set_kafka_connected(connected);
        self.view
            .set_store_fault(self.pipeline.store_fault().or_else(|| self.store.in_doubt()));
        if let Err(error @ StoreError::Failed(_)) = self.store.backlog()
            && self.store.is_shared()
        {
            self.alarm.raise(&error);
        }
        self.meters.host.kafka_connected.set(f64::from(u8::from(connected)));
        let breaches = self.health.poll_breaches();
        self.meters.host.kafka_poll_breaches.absolute(breaches);
        self.look_at_handlers();
        for ix in self.pipeline.take_failing() {
            self.control.roll_back_failing(ix);
        }
        self.control.sample();
        self.look_at_fleet();
        self.pipeline.measure();
        if let Ok(size) = self.store.letters_size() {
            self.meters.host.letters.set(size.count as f64);
            self.meters.host.letter_bytes.set(size.bytes as f64);
            self.meters.host.held_bytes.set(size.held_bytes as f64);
        }
        let oldest = self.pipeline.outbox().size().oldest_millis;
        let age = oldest.map_or(0, |oldest| (clock::wall_millis() - oldest).max(0));
        self.meters
            .host
            .outbox_age
            .set(Duration::from_millis(age.unsigned_abs()).as_secs_f64());
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
            // The receiver may be gone.
            started.send(Started { control, kafka }).ok();
        }
        Ok(())
    }

    /// Stops the parts in the order of the flow, so that each can finish its input: no more records, lanes empty,
    /// outbox empty, group left. Without `grace` everything ends at once. Returns whether everything was finished.
    fn stop(mut self, grace: Option<Duration>) -> bool {
        let deadline = Instant::now() + grace.unwrap_or_default();
        self.view.set_ready(false);
        self.watch.stop();
        if let Some(http) = &self.http {
            http.stop();
        }
        for consumer in &self.consumers {
            consumer.handle().quiesce();
        }
        self.control.redriver.stop();
        // Current requests still need the pipeline.
        let mut finished = self.threads.join(http::THREAD, deadline);
        finished &= self.pipeline.drain(deadline);
        let waits = self.pipeline.outbox().size().batches > 0 && !self.store.is_shared();
        if waits || self.health.connected() {
            finished &= self.relays.drain(&mut self.threads, deadline);
        }
        // Without anything to publish, and without Kafka, there is nothing to wait for; nor in a fleet, which goes on without Kafka.
        self.relays.give_up();
        self.versions = None;
        for consumer in &self.consumers {
            consumer.handle().stop();
        }
        let patience = deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_secs(2));
        for consumer in self.consumers.drain(..) {
            if let Err(error) = consumer.into_handle().join(patience) {
                tracing::warn!(%error, "a consumer did not end well");
            }
        }
        self.pipeline.stop();
        self.admin.stop();
        self.threads.join_all(Instant::now() + Duration::from_secs(5));
        finished
    }
}
