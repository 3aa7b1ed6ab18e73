//! `[handlers.<name>]`: a handler, its topics and event types, and its limits.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::environment::in_environment;
use super::host::HostConfig;
use super::kafka::KafkaConfig;
use super::kind::{Kind, duration, integer, is_kafka_name, kafka_name, list, number, one_of, size, text};
use super::problem::ProblemReport;
use super::section::{Section, resolve};
use super::settings;
use sandman_core::broker::Recreation;
use sandman_core::event::EventKey;
use sandman_core::limits::{
    ComponentParts, Exhausted, Failing, Instances, Limits, RecordingPolicy, ReplayPolicy, Retry, Tombstones,
};

const LONGEST_NAME: usize = 63;
/// The default number of recent events of a key: a retrying producer has few more than its batches in flight.
const DEDUPE: usize = 16;

/// `[handlers.<name>]`.
#[derive(Clone, Debug)]
pub struct HandlerConfig {
    /// Its name: lower-case letters, digits, underscores and dashes.
    pub name: Arc<str>,
    /// The component of its first version.
    pub component: PathBuf,
    /// Topics that it consumes; a handler with only routes has none.
    pub topics: Vec<Arc<str>>,
    /// Where the key of an event comes from; the key of a request is its route's.
    pub key: EventKey,
    /// What to do with records without a value.
    pub tombstones: Tombstones,
    /// How many recent events a key remembers, so that a producer's retry is handled once; 0 for none.
    pub dedupe: usize,
    /// Event types it may publish; each goes to the topic `<prefix><type>`.
    pub emits: BTreeSet<String>,
    /// Its consumer group.
    pub group: String,
    /// What to do with its progress in a topic that was deleted and created again.
    pub recreated: Recreation,
    /// Its own settings, a JSON object as text.
    pub settings: Arc<str>,
    /// Whether each invocation gets an instance of its own.
    pub instances: Instances,
    /// What one invocation may use.
    pub limits: Limits,
    /// When a failed trigger is tried again.
    pub retry: Retry,
    /// Which invocations are recorded.
    pub recordings: RecordingPolicy,
    /// What a deploy does with outcomes that differ from the recorded ones.
    pub replay: ReplayPolicy,
}

impl HandlerConfig {
    /// A handler for a component without a configuration: named after its file, with the default limits.
    pub fn of_file(component: &Path) -> Self {
        let name = component
            .file_stem()
            .map_or_else(Default::default, |stem| stem.to_string_lossy());
        Self {
            name: name.into(),
            component: component.to_owned(),
            topics: Vec::new(),
            key: EventKey::default(),
            tombstones: Tombstones::default(),
            dedupe: DEDUPE,
            emits: BTreeSet::new(),
            group: String::new(),
            recreated: Recreation::default(),
            settings: "{}".into(),
            instances: Instances::Fresh,
            limits: Limits::default(),
            retry: Retry::default(),
            recordings: RecordingPolicy::default(),
            replay: ReplayPolicy::default(),
        }
    }
}

const TOMBSTONES: &[(&str, Tombstones)] = &[("skip", Tombstones::Skip), ("dead-letter", Tombstones::DeadLetter)];
const EXHAUSTED: &[(&str, Exhausted)] = &[
    ("dead-letter", Exhausted::DeadLetter),
    ("hold-key", Exhausted::HoldKey),
    ("pause-handler", Exhausted::PauseHandler),
];
const RECREATED: &[(&str, Recreation)] = &[("stop", Recreation::Stop), ("restart", Recreation::Restart)];
const REPLAYS: &[(&str, ReplayPolicy)] = &[
    ("off", ReplayPolicy::Off),
    ("failures", ReplayPolicy::Failures),
    ("strict", ReplayPolicy::Strict),
];
const INSTANCES: &[(&str, Instances)] = &[("fresh", Instances::Fresh), ("reused", Instances::Reused)];

pub(super) fn read_all(
    sections: Vec<(String, Section<'_>)>,
    host: &HostConfig,
    kafka: &KafkaConfig,
    report: &ProblemReport,
) -> Vec<HandlerConfig> {
    let mut handlers = Vec::new();
    for (name, section) in sections {
        if !is_handler_name(&name) {
            let allowed = "lower-case letters, digits, underscores and dashes, 63 at most, the first a letter";
            let problem = format!("{name:?} is not allowed as a handler's name");
            report.add(
                &super::section::join("handlers", &name),
                problem,
                Some(allowed.to_owned()),
                None,
            );
        }
        handlers.extend(read(&name, section, host, kafka));
    }
    check_unique(&handlers, report);
    handlers
}

fn read(name: &str, mut section: Section<'_>, host: &HostConfig, kafka: &KafkaConfig) -> Option<HandlerConfig> {
    let component = section.required("component", &text());
    let topics = section.or("topics", &list(kafka_name(kafka.longest_topic())), Vec::new());
    let relay = format!("{}.relay", host.deployment);
    if topics.contains(&relay) {
        section.refuse("topics", format!("{relay} is the relay's own topic"));
    }
    let dead = topics
        .iter()
        .find(|topic| topics.contains(&kafka.dead_letter_topic.of(topic)));
    if let Some(topic) = dead {
        let problem = format!("has {topic} and the topic of its dead letters as well (kafka.dead_letter_topic)");
        section.refuse("topics", problem);
    }
    let key = section.or("key", &event_key(), EventKey::default());
    if topics.is_empty() && key != EventKey::Record {
        let problem = "is of events, and the handler has no topics; the key of a request is that of its route";
        section.refuse("key", problem);
    }
    let tombstones = section.or("tombstones", &one_of(TOMBSTONES), Tombstones::default());
    let dedupe = section.or("dedupe", &integer(0..=1_000), DEDUPE);
    let longest = kafka.longest_topic().saturating_sub(kafka.topic_prefix.len());
    let emits = section.or("emits", &list(kafka_name(longest)), Vec::new());
    let group = section.or("group", &kafka_name(249), format!("{}-{name}", host.deployment));
    let recreated = section.or("recreated", &one_of(RECREATED), Recreation::default());
    let settings = settings::read(&mut section);
    let instances = section.or("instances", &one_of(INSTANCES), Instances::Fresh);
    let limits = read_limits(section.section("limits"), host);
    let retry = Retry {
        exhausted: section.or("exhausted", &one_of(EXHAUSTED), Exhausted::default()),
        failing: read_failing(section.section("failing")),
        ..read_retry(section.section("retry"))
    };
    let recordings = read_record(section.section("record"));
    let replay = section.or("replay", &one_of(REPLAYS), ReplayPolicy::default());
    let folder = section.report.folder.clone();
    section.finish();
    Some(HandlerConfig {
        name: name.into(),
        component: resolve(&folder, &component?),
        topics: topics.into_iter().map(Arc::from).collect(),
        key,
        tombstones,
        dedupe,
        emits: emits.into_iter().collect(),
        group,
        recreated,
        settings,
        instances,
        limits,
        retry,
        recordings,
        replay,
    })
}

fn event_key() -> Kind<EventKey> {
    Kind::text(
        "\"record\", the key of the record, or \"payload:POINTER\" with a JSON pointer to a place in the payload, such as \
         \"payload:/userId\"",
        EventKey::parse,
    )
}

fn read_limits(mut section: Section<'_>, host: &HostConfig) -> Limits {
    let default = Limits::default();
    let most = u64::try_from(host.component).unwrap_or(u64::MAX);
    let limits = Limits {
        time: section.or(
            "time",
            &duration(Duration::from_millis(1)..=Duration::from_secs(60)),
            default.time,
        ),
        memory: section.or("memory", &size(64 << 10..=1 << 30), default.memory),
        output: section.or("output", &size(1..=64 << 20), default.output),
        events: section.or("events", &integer(0..=10_000), default.events),
        log: section.or("log", &size(0..=16 << 20), default.log),
        component: section.or("component", &size(64 << 10..=256 << 20), most),
        parts: read_parts(&mut section),
    };
    if limits.component > most {
        section.refuse("component", format!("is more than host.component, {most} bytes"));
    }
    section.finish();
    limits
}

fn read_parts(section: &mut Section<'_>) -> ComponentParts {
    let default = ComponentParts::default();
    ComponentParts {
        core_instances: section.or("core_instances", &integer(1..=256), default.core_instances),
        memories: section.or("memories", &integer(1..=16), default.memories),
        tables: section.or("tables", &integer(1..=64), default.tables),
        table_elements: section.or("table_elements", &integer(1..=1_000_000), default.table_elements),
    }
}

fn read_record(mut section: Section<'_>) -> RecordingPolicy {
    let default = RecordingPolicy::default();
    let policy = RecordingPolicy {
        rate: section.or("rate", &integer(0..=1_000), default.rate),
        keep: section.or("keep", &size(64 << 10..=16 << 30), default.keep),
    };
    section.finish();
    policy
}

/// Off at a share of 1.0, because more than all triggers cannot fail.
fn read_failing(mut section: Section<'_>) -> Option<Failing> {
    let share = section.or("share", &number(0.0..=1.0), 1.0);
    let of = section.or("of", &integer(1..=10_000), 100);
    let day = Duration::from_secs(24 * 3600);
    let rollback = section.or("rollback", &duration(Duration::ZERO..=day), Duration::ZERO);
    section.finish();
    (share < 1.0).then_some(Failing { share, of, rollback })
}

fn read_retry(mut section: Section<'_>) -> Retry {
    let default = Retry::default();
    let day = Duration::from_secs(24 * 3600);
    let first = section.or("first", &duration(Duration::from_millis(1)..=day), default.first);
    let retry = Retry {
        attempts: section.or("attempts", &integer(1..=1_000), default.attempts),
        first,
        factor: section.or("factor", &number(1.0..=100.0), default.factor),
        max: section.or("max", &duration(Duration::from_millis(1)..=day), default.max.max(first)),
        ..default
    };
    if retry.max < retry.first {
        section.refuse("max", "is shorter than first, the first wait");
    }
    section.finish();
    retry
}

/// Whether a handler may have this name, which is used in consumer groups, metrics and variables.
pub fn is_handler_name(name: &str) -> bool {
    let lower = !name.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'.');
    lower && is_kafka_name(name, LONGEST_NAME) && name.starts_with(|first: char| first.is_ascii_lowercase())
}

/// Handlers of one group share a consumer, which gives each record to one of them; similar names could not be told apart
/// in variables.
fn check_unique(handlers: &[HandlerConfig], report: &ProblemReport) {
    let mut readers = BTreeMap::new();
    let mut names = BTreeMap::new();
    for handler in handlers {
        let name = &handler.name;
        for topic in &handler.topics {
            if let Some(other) = readers.insert((&handler.group, topic), name) {
                let problem = format!(
                    "{topic} is consumed by handlers.{other} too, in the same group {:?}; handlers that share a group need \
                     different topics: give one of them another group",
                    handler.group
                );
                report.refuse(&format!("handlers.{name}.topics"), problem);
            }
        }
        if let Some(other) = names.insert(in_environment(name), name) {
            let problem = format!("is written like handlers.{other} in a variable's name; rename one of them");
            report.refuse(&format!("handlers.{name}"), problem);
        }
    }
}
