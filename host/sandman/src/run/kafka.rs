//! Creates the Kafka side from the configuration: settings, topics, consumers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;

use sandman_config::{Brokers, Config, HandlerConfig, KafkaConfig, Problem, StoreUrl};
use sandman_core::broker::{Intake, Recreation, TopicSpec};
use sandman_core::lanes::HandlerIx;
use sandman_core::store::{Shard, Store, StoreId};
use sandman_engine::alarm::Alarm;
use sandman_engine::health::HealthView;
use sandman_engine::pipeline::{HandlerIntake, Pipeline, SharedIntake, SharingHandler};
use sandman_kafka::{
    BATCH_BYTES, ConsumerHandle, ConsumerOptions, EmbeddedBroker, HandlerTopics, KafkaBroker, KafkaHealth,
    KafkaSettings, LeaderlessTopics, RefusedClient, cursor_topic,
};

/// Kafka's limit for a member's static name.
const LONGEST_MEMBER: usize = 249;

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

/// The handlers of a group that consume.
pub(super) fn group<'a>(config: &'a Config, group: &'a str) -> impl Iterator<Item = &'a HandlerConfig> {
    let handlers = config.handlers.iter();
    handlers.filter(move |handler| handler.group == group && !handler.topics.is_empty())
}

/// The static name of this host in a group: the group's own name, which begins with that of the deployment unless it is
/// configured. If a deployment may have several hosts, it includes this one's own name; all of them have the same prefix.
pub(super) fn member(config: &Config, is_shared: bool, group: &str) -> String {
    let deployment = &config.host.deployment;
    let mut name = match group.strip_prefix(&**deployment) {
        Some(rest) if rest.starts_with('-') => group.to_owned(),
        _ => format!("{deployment}-{group}"),
    };
    // Another group may have the same name for its member.
    name.truncate(LONGEST_MEMBER - config.host.name.len() - 1);
    if is_shared {
        name = format!("{name}-{}", config.host.name);
    }
    name
}

/// What a consumer has to know of its handlers, and the side of the pipeline that takes their records.
pub(super) fn served(
    handlers: &[(&HandlerConfig, HandlerIx)],
    (pipeline, store, adopt): (&Arc<Pipeline>, &StoreId, bool),
) -> (Vec<HandlerTopics>, Arc<dyn Intake>) {
    let recreation = |handler: &HandlerConfig| if adopt { Recreation::Adopt } else { handler.recreated };
    let served = handlers.iter().map(|(handler, _)| HandlerTopics {
        name: Arc::clone(&handler.name),
        topics: handler.topics.clone(),
        // A handler that takes over the topic of another one of the group begins at the start.
        signature: match handlers {
            [_] => format!("sandman {store}"),
            _ => format!("sandman {store} of {}", handler.name),
        },
    });
    let served = served.collect();
    if let [(handler, ix)] = handlers {
        let intake = HandlerIntake::new(Arc::clone(pipeline), *ix, recreation(handler));
        return (served, Arc::new(intake));
    }
    let sharing = handlers.iter().map(|(handler, ix)| SharingHandler {
        handler: *ix,
        topics: handler.topics.clone(),
        recreation: recreation(handler),
    });
    let intake = SharedIntake::new(Arc::clone(pipeline), sharing.collect());
    (served, Arc::new(intake))
}

/// Starts the consumer of a group, for this store, or for one that takes over the deployment.
pub(super) fn consumer(
    (handlers, intake): (Vec<HandlerTopics>, Arc<dyn Intake>),
    (group, member, adopt): (String, String, bool),
    (settings, health, alarm): (&KafkaSettings, &Arc<KafkaHealth>, &Alarm),
) -> Result<ConsumerHandle> {
    let (alarm, watch) = (alarm.clone(), Arc::clone(health));
    let options = ConsumerOptions {
        handlers,
        group,
        member,
        adopt,
        on_fatal: Box::new(move |names, error| match error.ends_host() {
            true => alarm.raise(&format!("handler `{}`: {error}", names.join("`, `"))),
            false => names.iter().for_each(|name| watch.stopped(name, error)),
        }),
    };
    Ok(sandman_kafka::spawn_consumer(settings, options, intake, health)?)
}
