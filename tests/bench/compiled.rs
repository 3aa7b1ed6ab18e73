//! The contender that is compiled in: the engine, its store and its Kafka clients as the host has them, with the handler as
//! native code where the sandbox is otherwise. What it costs less than Sandman is what WebAssembly costs.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use sandman::run::pipeline_options;
use sandman_config::{Config, HandlerConfig, StoreUrl};
use sandman_core::broker::{Recreation, TopicSpec};
use sandman_core::contract::{Consumes, Contract, Emits, ServedRoute, Terms};
use sandman_core::limits::{Limits, RecordingPolicy, Retry, Tombstones};
use sandman_core::outcome::{Context, EmittedEvent, Fault, Guest, Outcome, StateChange, Trigger};
use sandman_core::store::{ShardLease, Store};
use sandman_core::version::Version;
use sandman_engine::alarm::Alarm;
use sandman_engine::health::HealthView;
use sandman_engine::meters::Meters;
use sandman_engine::pipeline::{HandlerIntake, Pipeline};
use sandman_engine::registry::{Handler, Registry};
use sandman_engine::relay::Relay;
use sandman_kafka::{
    BATCH_BYTES, ConsumerOptions, HandlerTopics, KafkaBroker, KafkaHealth, KafkaSettings, cursor_topic, spawn_consumer,
};
use sandman_sdk::bindings::sandman::handler::event_types as wit;
use sandman_sdk::wire;
use sandman_store::SqliteStore;
use sandman_tests::Result;

/// Works until it is killed, with the settings of a host's `sandman.toml`.
pub(crate) fn run(file: &Path) -> Result {
    let config = Config::load(file, sandman_config::variables())?;
    let handler = config.handlers.first().context("no handler")?;
    let StoreUrl::Sqlite(path) = &config.store.url else {
        return Err(anyhow!("no store"));
    };
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(path)?);
    let meters = Arc::new(Meters::new());
    let served = Handler::new(
        &handler.name,
        meters.handler(&handler.name, &handler.topics),
        version(&config, handler)?,
    );
    let (alarm, alarmed) = Alarm::new();
    let pipeline = Pipeline::new(
        pipeline_options(&config),
        Arc::new(Registry::new(vec![served])),
        Arc::clone(&store),
        (alarm.clone(), meters.host.clone()),
    )?;
    for _ in 0..config.host.workers {
        let pipeline = Arc::clone(&pipeline);
        thread::spawn(move || pipeline.work());
    }
    let committer = Arc::clone(&pipeline);
    thread::spawn(move || committer.commit());
    let (ready, is_ready) = crossbeam_channel::bounded(1);
    let settings = kafka(&config);
    let health = KafkaHealth::new();
    let give_up: Arc<AtomicBool> = Arc::default();
    let cursor = TopicSpec {
        name: cursor_topic(&config.host.deployment, 0),
        partitions: 1,
        compacted: true,
    };
    let relay = Relay {
        broker: Box::new(KafkaBroker {
            settings: settings.clone(),
            deployment: config.host.deployment.clone(),
            shard: 0,
            topics: vec![cursor],
            health: Arc::clone(&health),
            give_up: Arc::clone(&give_up),
            batch_bytes: BATCH_BYTES.into(),
            leaderless: Default::default(),
        }),
        deployment: config.host.deployment.clone(),
        adopt: Arc::default(),
        store: Arc::clone(&store),
        lease: ShardLease::default(),
        outbox: Arc::clone(pipeline.outbox()),
        meters: Arc::clone(&meters),
        alarm: alarm.clone(),
        drain: Arc::default(),
        view: Arc::new(HealthView::new()),
        give_up,
        ready,
    };
    thread::spawn(move || relay.run());
    is_ready.recv_timeout(Duration::from_secs(60))?;
    let consumer = ConsumerOptions {
        handlers: vec![HandlerTopics {
            name: Arc::clone(&handler.name),
            topics: handler.topics.clone(),
            signature: format!("sandman {}", store.id()),
        }],
        group: handler.group.clone(),
        member: handler.group.clone(),
        adopt: false,
        on_fatal: Box::new(move |_, error| alarm.raise(error)),
    };
    let intake = Arc::new(HandlerIntake::new(Arc::clone(&pipeline), 0, Recreation::default()));
    let _consumer = spawn_consumer(&settings, consumer, intake, &health)?;
    let mut out = std::io::stdout();
    writeln!(out, "ready")?;
    out.flush()?;
    Err(anyhow!("{}", alarmed.recv()?))
}

fn kafka(config: &Config) -> KafkaSettings {
    let servers = match &config.kafka.brokers {
        sandman_config::Brokers::Servers(servers) => servers.as_str(),
        sandman_config::Brokers::Embedded => "",
    };
    KafkaSettings::plain(servers)
}

fn version(config: &Config, handler: &HandlerConfig) -> Result<Version> {
    let contract = contract(bench_stateful::describe());
    let topic = |event_type: &str| config.kafka.topic(event_type).into();
    let terms = Terms::new(&contract, &config.grant(handler), topic);
    Ok(Version {
        number: 1,
        digest: "compiled in".into(),
        terms: terms.map_err(|errors| anyhow!("the contract does not fit: {errors:?}"))?,
        guest: Box::new(CompiledIn),
        settings: "{}".into(),
        retry: Retry::default(),
        tombstones: Tombstones::default(),
        dedupe: 0,
        limits: Limits::default(),
        recordings: RecordingPolicy { rate: 0, keep: 0 },
        since: sandman_core::version::ServesSince::default(),
    })
}

fn contract(told: wit::Contract) -> Contract {
    let consumes = told.consumes.into_iter().map(|consumed| Consumes {
        event_type: consumed.event_type,
        versions: consumed.versions,
        schema: consumed.schema,
    });
    let emits = told.emits.into_iter().map(|emitted| Emits {
        event_type: emitted.event_type,
        version: emitted.version,
        schema: emitted.schema,
    });
    let routes = told.routes.into_iter().map(|route| ServedRoute {
        method: route.method,
        path: route.path,
    });
    Contract {
        consumes: consumes.collect(),
        emits: emits.collect(),
        routes: routes.collect(),
        state_version: told.state_version,
        state_schema: told.state_schema,
    }
}

/// The stateful work behind the port of a guest, with the SDK's own reading and writing of JSON.
struct CompiledIn;

impl Guest for CompiledIn {
    fn invoke(&self, trigger: Trigger<'_>, state: Option<&str>, context: Context<'_>) -> Result<Outcome, Fault> {
        let Trigger::Event(event) = trigger else {
            return Err(Fault::Rejected("no requests".to_owned()));
        };
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let event = wit::Event {
            key: event.key.to_owned(),
            event_id: event.event_id.to_owned(),
            event_type: event.event_type.to_owned(),
            version: event.version.to_owned(),
            timestamp: event.timestamp.to_owned(),
            source: event.source.to_owned(),
            correlation_id: owned(event.correlation_id),
            causation_id: owned(event.causation_id),
            metadata: owned(event.metadata),
            payload: event.payload.to_owned(),
        };
        let context = wit::Context {
            now_millis: context.now_millis,
            attempt: context.attempt,
            settings: context.settings.to_owned(),
        };
        let outcome = wire::run(bench_stateful::on_event, event, owned(state), context)
            .map_err(|failure| Fault::Rejected(format!("{failure:?}")))?;
        let events = outcome.events.into_iter().map(|event| EmittedEvent {
            event_type: event.event_type,
            version: event.version,
            payload: event.payload,
            key: event.key,
            metadata: event.metadata,
        });
        Ok(Outcome {
            state: match outcome.state {
                wit::StateChange::Keep => StateChange::Keep,
                wit::StateChange::Put(text) => StateChange::Put(text.into()),
                wit::StateChange::Delete => StateChange::Delete,
            },
            events: events.collect(),
            reply: None,
        })
    }
}
