//! Creates the Kafka side from the configuration: settings, topics, consumers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;

use sandman_config::{Brokers, Config, HandlerConfig, KafkaConfig, Problem, StoreUrl};
use sandman_core::broker::{Recreation, TopicSpec};
use sandman_core::lanes::HandlerIx;
use sandman_core::store::{Shard, Store, StoreId};
use sandman_engine::alarm::Alarm;
use sandman_engine::health::HealthView;
use sandman_engine::pipeline::{HandlerIntake, Pipeline};
use sandman_kafka::{
    BATCH_BYTES, ConsumerHandle, ConsumerOptions, EmbeddedBroker, KafkaBroker, KafkaHealth, KafkaSettings,
    LeaderlessTopics, RefusedClient, cursor_topic,
};

/// The problems of creating the clients that the host needs: the library refuses some settings only in combination.
/// Nothing is connected.
pub(crate) fn problems(config: &Config) -> Vec<Problem> {
    let refused = sandman_kafka::check_clients(&settings(&config.kafka, None))
        .err()
        .unwrap_or_default();
    let problem = |refused: RefusedClient| {
        let (key, problem) = match refused.option {
            Some(option) => (format!("kafka.options.\"{option}\""), refused.reason),
            None => (
                "kafka.options".to_owned(),
                format!("do not allow creating a Kafka client: {}", refused.reason),
            ),
        };
        Problem {
            key,
            problem,
            allowed: None,
            nearest: None,
            variable: None,
        }
    };
    refused.into_iter().map(problem).collect()
}

/// The configured Kafka settings; `broker` is the embedded one, if it runs.
pub(super) fn settings(config: &KafkaConfig, broker: Option<&EmbeddedBroker>) -> KafkaSettings {
    let brokers = match (&config.brokers, broker) {
        (_, Some(broker)) => broker.brokers().to_owned(),
        (Brokers::Servers(servers), None) => servers.clone(),
        (Brokers::Embedded, None) => String::new(),
    };
    KafkaSettings {
        brokers,
        ssl: config.ssl,
        sasl: config.sasl.clone(),
        options: config.options.clone(),
    }
}

/// Every topic that the host uses: those that the handlers consume and emit to, those of their dead letters, and that
/// of the relay's cursor.
pub(crate) fn topics(config: &Config) -> Vec<TopicSpec> {
    let mut topics = BTreeMap::new();
    let mut add = |name: String, partitions: i32, compacted: bool| {
        topics.insert(
            name.clone(),
            TopicSpec {
                name,
                partitions,
                compacted,
            },
        );
    };
    for handler in &config.handlers {
        for topic in &handler.topics {
            add(topic.to_string(), config.kafka.partitions, false);
            add(config.kafka.dead_letter_topic.of(topic), config.kafka.partitions, false);
        }
        for event_type in &handler.emits {
            add(
                format!("{}{event_type}", config.kafka.topic_prefix),
                config.kafka.partitions,
                false,
            );
        }
    }
    // The embedded broker keeps everything and does not report topic configurations.
    let compacted = config.kafka.brokers != Brokers::Embedded;
    let shards = match &config.store.url {
        StoreUrl::Postgres(_) => config.store.shards,
        StoreUrl::Sqlite(_) | StoreUrl::Memory => 1,
    };
    for shard in 0..shards {
        add(cursor_topic(&config.host.deployment, shard), 1, compacted);
    }
    topics.into_values().collect()
}

/// The same for an existing store, which keeps the number of shards with which it was created, whatever the configuration says.
pub(super) fn topics_of(config: &Config, store: &dyn Store) -> Vec<TopicSpec> {
    let mut config = config.clone();
    config.store.shards = store.shards();
    topics(&config)
}

/// The health of a host that is starting, with the topics that its events go to.
pub(super) fn health_view(config: &Config) -> Arc<HealthView> {
    let view = HealthView::new();
    view.set_topics(published_topics(config));
    Arc::new(view)
}

/// The topics that events go to.
pub(super) fn published_topics(config: &Config) -> Vec<Arc<str>> {
    let emits = config.handlers.iter().flat_map(|handler| &handler.emits);
    let topics: BTreeSet<_> = emits
        .map(|event_type| format!("{}{event_type}", config.kafka.topic_prefix))
        .collect();
    topics.into_iter().map(Arc::from).collect()
}

/// The cluster, for the relay.
pub(super) fn cluster(
    config: &Config,
    (settings, topics, shard): (&KafkaSettings, Vec<TopicSpec>, Shard),
    health: &Arc<KafkaHealth>,
    give_up: &Arc<AtomicBool>,
) -> KafkaBroker {
    let embedded = config.kafka.brokers == Brokers::Embedded;
    KafkaBroker {
        settings: settings.clone(),
        deployment: config.host.deployment.clone(),
        shard: shard.0,
        // The embedded broker already has them, and cannot report their configuration.
        topics: if embedded { Vec::new() } else { topics },
        health: Arc::clone(health),
        give_up: Arc::clone(give_up),
        batch_bytes: BATCH_BYTES.into(),
        leaderless: LeaderlessTopics::default(),
    }
}

/// The static name of this host in the group of a handler. If a deployment may have several hosts, it includes this
/// one's own name; all of them have the same prefix.
pub(super) fn member(config: &Config, is_shared: bool, handler: &str) -> String {
    let deployment = &config.host.deployment;
    match is_shared {
        true => format!("{deployment}-{handler}-{}", config.host.name),
        false => format!("{deployment}-{handler}"),
    }
}

/// Starts the consumer of a handler, for this store, or for one that takes over the deployment.
pub(super) fn consumer(
    handler: &HandlerConfig,
    ix: HandlerIx,
    pipeline: &Arc<Pipeline>,
    (member, store, adopt): (String, &StoreId, bool),
    (settings, health, alarm): (&KafkaSettings, &Arc<KafkaHealth>, &Alarm),
) -> Result<ConsumerHandle> {
    let (alarm, name, watch) = (alarm.clone(), Arc::clone(&handler.name), Arc::clone(health));
    let options = ConsumerOptions {
        handler: Arc::clone(&handler.name),
        group: handler.group.clone(),
        member,
        topics: handler.topics.clone(),
        signature: format!("sandman {store}"),
        adopt,
        on_fatal: Box::new(move |error| match error.ends_host() {
            true => alarm.raise(&format!("handler `{name}`: {error}")),
            false => watch.stopped(&name, error),
        }),
    };
    let recreation = match (adopt, handler.recreated) {
        (true, _) => Recreation::Adopt,
        (false, recreation) => recreation,
    };
    let intake = Arc::new(HandlerIntake::new(Arc::clone(pipeline), ix, recreation));
    Ok(sandman_kafka::spawn_consumer(settings, options, intake, health)?)
}
