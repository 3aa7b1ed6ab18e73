//! Builds the parts of the host from the configuration, in the order of their dependencies.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::admin::Admin;
use super::control::HostControl;
use super::http::Http;
use super::relays::{Parts, Relays};
use super::threads::Threads;
use super::watch::KafkaWatch;
use super::{Host, RunOptions, kafka, store, stories, versions};
use sandman_config::{Brokers, Config};
use sandman_core::broker::TopicSpec;
use sandman_core::store::{DeploymentStore, Store};
use sandman_engine::alarm::Alarm;
use sandman_engine::meters::{HostMeters, Meters};
use sandman_engine::pipeline::{self, Pipeline};
use sandman_engine::registry::Registry;
use sandman_kafka::EmbeddedBroker;
use sandman_operate::{deploy, load};

impl Host {
    pub(super) fn start(config: &Config, options: RunOptions) -> Result<Self> {
        let store = store::join_store(config)?;
        let meters = Arc::new(Meters::new());
        let sandbox = load::sandbox(config)?;
        let registry = Arc::new(deploy::registry(config, &sandbox, &*store, &meters)?);
        let topics = kafka::topics_of(config, &*store);
        let broker = start_broker(config, &store, &topics)?;
        let settings = kafka::settings(&config.kafka, broker.as_ref());
        let (alarm, alarmed) = Alarm::new();
        let mut threads = Threads::new(alarm.clone());
        let watchers = (alarm.clone(), meters.host.clone());
        let pipeline = start_pipeline(config, &registry, &store, watchers, &mut threads)?;
        let view = kafka::health_view(config);
        let parts = (&registry, sandbox, &store);
        let (control, ordered) = HostControl::over(config, parts, &pipeline, (&meters, &alarm), &settings);
        control.view.set(Arc::clone(&view)).ok();
        let watch = KafkaWatch::start(&control, &settings, &mut threads)?;
        let admin = Admin::start(&config.admin, Arc::clone(&control) as _, &meters, &view, &mut threads)?;
        *control.address.lock() = format!("http://{}", admin.address);
        let shared: Arc<dyn Store> = Arc::clone(&store) as _;
        let http = Http::start(config, &pipeline, (&store, &view, &meters), &mut threads)?;
        let (ready, relay_ready) = crossbeam_channel::bounded(1);
        let mut relays = Relays::new(Parts {
            config: config.clone(),
            settings: settings.clone(),
            topics,
            health: Arc::clone(&control.health),
            adopt: options.adopt,
            store: shared,
            outbox: Arc::clone(pipeline.outbox()),
            meters: Arc::clone(&meters),
            alarm: alarm.clone(),
            view: Arc::clone(&view),
            ready,
        });
        relays.follow(&mut threads)?;
        let versions = versions::follow(&store, &control, &mut threads)?;
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
            relays,
            versions,
            _broker: broker,
        })
    }
}

fn start_pipeline(
    config: &Config,
    registry: &Arc<Registry>,
    store: &Arc<dyn DeploymentStore>,
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
    for (_, handler) in registry.iter() {
        stories::measure_recordings(handler, &**store).context("the store")?;
    }
    for number in 0..config.host.workers {
        let pipeline = Arc::clone(&pipeline);
        threads.spawn(format!("worker-{number}"), move || pipeline.work())?;
    }
    let committer = Arc::clone(&pipeline);
    threads.spawn("committer".to_owned(), move || committer.commit())?;
    Ok(pipeline)
}

/// Starts the embedded broker, if it is configured. It is empty at each start, so its store forgets Kafka.
fn start_broker(
    config: &Config,
    store: &Arc<dyn DeploymentStore>,
    topics: &[TopicSpec],
) -> Result<Option<EmbeddedBroker>> {
    match &config.kafka.brokers {
        Brokers::Servers(_) => Ok(None),
        Brokers::Embedded => {
            store.forget_kafka().context("the store")?;
            Ok(Some(EmbeddedBroker::start(topics)?))
        }
    }
}

/// The options of the pipeline from the configuration.
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
