//! `[kafka]`: the brokers and the settings of the clients.

use std::collections::BTreeMap;
use std::fmt;

use super::environment::Environment;
use super::kafka_options;
use super::kind::{Kind, integer, is_kafka_name};
use super::problem::ProblemReport;
use super::section::Section;
use sandman_core::event::DeadLetterTopic;
use sandman_kafka::{Sasl, SaslMechanism};

/// The address of Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brokers {
    /// An in-process broker on a loopback port, for development only.
    Embedded,
    /// `host:port`, comma separated.
    Servers(String),
}

/// `[kafka]`. `Debug` shows the names of the options and not their values: some are passwords.
#[derive(Clone)]
pub struct KafkaConfig {
    /// The address of Kafka.
    pub brokers: Brokers,
    /// Whether connections are encrypted.
    pub ssl: bool,
    /// Credentials, if the brokers need any.
    pub sasl: Option<Sasl>,
    /// The prefix of topics, before the event type.
    pub topic_prefix: String,
    /// Partitions of topics that the host creates.
    pub partitions: i32,
    /// The names of the topics of dead letters.
    pub dead_letter_topic: DeadLetterTopic,
    /// librdkafka's own settings, passed through.
    pub options: BTreeMap<String, String>,
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("ssl", &self.ssl)
            .field("sasl", &self.sasl)
            .field("topic_prefix", &self.topic_prefix)
            .field("partitions", &self.partitions)
            .field("dead_letter_topic", &self.dead_letter_topic)
            .field("options", &self.options.keys())
            .finish()
    }
}

impl KafkaConfig {
    /// The longest name of a topic, in characters, that leaves room for the name of its dead letter topic.
    pub(super) fn longest_topic(&self) -> usize {
        let pattern = &self.dead_letter_topic.0;
        let added = match pattern.contains(DeadLetterTopic::PLACE) {
            true => pattern.len() - DeadLetterTopic::PLACE.len(),
            false => 0,
        };
        LONGEST_NAME - added
    }

    /// The topic of an event type.
    pub fn topic(&self, event_type: &str) -> String {
        format!("{}{event_type}", self.topic_prefix)
    }
}

/// The most characters of a topic's name in Kafka.
const LONGEST_NAME: usize = 249;
const DEFAULT_BROKERS: &str = "localhost:9092";
/// The default of `kafka.topic_prefix`.
pub const DEFAULT_PREFIX: &str = "dreamscape.";
const IN_ENVIRONMENT: [(&str, &str); 5] = [
    ("ssl", "is set by the variable KAFKA_SSL"),
    (
        "sasl",
        "is set by the variables KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM",
    ),
    ("username", "is set by the variable KAFKA_SASL_USERNAME"),
    (
        "password",
        "is set by the variable KAFKA_SASL_PASSWORD, so that it stands in no file",
    ),
    ("mechanism", "is set by the variable KAFKA_SASL_MECHANISM"),
];

pub(super) fn read(mut section: Section<'_>, environment: Environment) -> KafkaConfig {
    for (key, place) in IN_ENVIRONMENT {
        section.elsewhere(key, place);
    }
    let brokers = section.or("brokers", &brokers(), Brokers::Servers(DEFAULT_BROKERS.to_owned()));
    let embedded = brokers == Brokers::Embedded;
    let ssl = ssl(environment.kafka_ssl.as_deref(), section.report);
    let sasl = sasl(environment, section.report);
    let config = KafkaConfig {
        // The embedded broker has neither encryption nor users.
        ssl: ssl && !embedded,
        sasl: sasl.filter(|_| !embedded),
        brokers,
        topic_prefix: section.or("topic_prefix", &prefix(), DEFAULT_PREFIX.to_owned()),
        partitions: section.or("partitions", &integer(1..=10_000), 3),
        dead_letter_topic: section.or("dead_letter_topic", &dead_letter_topic(), DeadLetterTopic::default()),
        options: kafka_options::read(section.free("options"), section.report),
    };
    section.finish();
    config
}

fn brokers() -> Kind<Brokers> {
    Kind::value(
        "\"embedded\", or one or more of host:port separated by commas, such as \"kafka1:9092,kafka2:9092\"",
        |value| {
            let servers: Vec<&str> = match value {
                toml::Value::String(text) if text == "embedded" => return Some(Brokers::Embedded),
                toml::Value::String(text) => text.split(',').map(str::trim).collect(),
                other => other
                    .as_array()?
                    .iter()
                    .map(toml::Value::as_str)
                    .collect::<Option<_>>()?,
            };
            let good = !servers.is_empty() && servers.iter().all(|server| is_server(server));
            good.then(|| Brokers::Servers(servers.join(",")))
        },
    )
}

fn is_server(server: &str) -> bool {
    let Some((host, port)) = server.rsplit_once(':') else {
        return false;
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let named = is_kafka_name(host, 253);
    let host = address.map_or(named, |address| address.parse::<std::net::Ipv6Addr>().is_ok());
    host && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn prefix() -> Kind<String> {
    Kind::text("up to 100 letters, digits, dots, underscores or dashes", |text| {
        (text.is_empty() || is_kafka_name(text, 100)).then(|| text.to_owned())
    })
}

/// A pattern with the topic's name, or one name for all.
fn dead_letter_topic() -> Kind<DeadLetterTopic> {
    Kind::text(
        "the name of a topic in which {topic} stands for the topic that the dead letter comes from, such as \"{topic}.dlq\" or \
         \"dead-letters\": up to 100 letters, digits, dots, underscores or dashes beside it",
        |text| {
            let around = text.replacen(DeadLetterTopic::PLACE, "", 1);
            is_kafka_name(&around, 100).then(|| DeadLetterTopic(text.into()))
        },
    )
}

fn ssl(value: Option<&str>, report: &ProblemReport) -> bool {
    match value {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            let problem = format!("{other:?} is not allowed");
            report.add("KAFKA_SSL", problem, Some("\"true\" or \"false\"".to_owned()), None);
            false
        }
    }
}

fn sasl(environment: Environment, report: &ProblemReport) -> Option<Sasl> {
    let mechanism = environment.sasl_mechanism.as_deref().unwrap_or("plain");
    let mechanism = match mechanism.to_lowercase().as_str() {
        "plain" => Some(SaslMechanism::Plain),
        "scram-sha-256" => Some(SaslMechanism::ScramSha256),
        "scram-sha-512" => Some(SaslMechanism::ScramSha512),
        _ => {
            let problem = format!("{mechanism:?} is not allowed");
            let allowed = "\"plain\", \"scram-sha-256\", \"scram-sha-512\"".to_owned();
            report.add("KAFKA_SASL_MECHANISM", problem, Some(allowed), None);
            None
        }
    };
    match (environment.sasl_username, environment.sasl_password) {
        (Some(username), Some(password)) => Some(Sasl {
            mechanism: mechanism?,
            username,
            password: password.expose().to_owned(),
        }),
        // A blank one is already reported.
        (Some(_), None) if report.has("KAFKA_SASL_PASSWORD") => None,
        (None, Some(_)) if report.has("KAFKA_SASL_USERNAME") => None,
        (Some(_), None) => {
            report.refuse(
                "KAFKA_SASL_PASSWORD",
                "is missing; KAFKA_SASL_USERNAME is set and needs it",
            );
            None
        }
        (None, Some(_)) => {
            report.refuse(
                "KAFKA_SASL_USERNAME",
                "is missing; KAFKA_SASL_PASSWORD is set and needs it",
            );
            None
        }
        (None, None) => None,
    }
}
