//! `[kafka.options]`: librdkafka's settings are passed through, except those on which the host's guarantees depend.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::environment::told;
use super::problem::ProblemReport;
use super::section::join;
use sandman_kafka::check_option;

const SECTION: &str = "kafka.options";

/// Settings that the host owns, and why.
const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "is set by kafka.brokers"),
    ("metadata.broker.list", "is set by kafka.brokers"),
    ("group.id", "is set by handlers.<name>.group"),
    (
        "group.protocol",
        "is fixed: the newer protocol of this librdkafka can end a consumer for good after a slow poll",
    ),
    (
        "group.instance.id",
        "is derived from host.deployment and the handler's name: a host that starts again has its partitions at once",
    ),
    ("group.remote.assignor", "is fixed with group.protocol"),
    (
        "partition.assignment.strategy",
        "is fixed to cooperative-sticky: partitions that stay are not interrupted",
    ),
    (
        "enable.auto.commit",
        "is fixed: progress is kept in the store and passes an event only with its outcome",
    ),
    ("auto.commit.interval.ms", "is fixed: progress is kept in the store"),
    ("auto.commit.enable", "is fixed: progress is kept in the store"),
    ("enable.auto.offset.store", "is fixed: progress is kept in the store"),
    ("offset.store.method", "is fixed: progress is kept in the store"),
    (
        "auto.offset.reset",
        "is fixed: an offset that no longer exists is a loud stop, never a skip",
    ),
    ("enable.partition.eof", "is fixed by the host's consumer"),
    (
        "isolation.level",
        "is fixed to read_committed: events of aborted transactions are not seen",
    ),
    (
        "partitioner",
        "is fixed to murmur2_random: a user stays on the partition that other clients choose",
    ),
    (
        "transactional.id",
        "is derived from host.deployment: it fences an older relay",
    ),
    (
        "enable.idempotence",
        "is fixed: each batch is published exactly once and in order",
    ),
    ("acks", "is fixed to all replicas: an acknowledged event is not lost"),
    (
        "request.required.acks",
        "is fixed to all replicas: an acknowledged event is not lost",
    ),
    ("max.in.flight", "is fixed: order per key stands on it"),
    (
        "max.in.flight.requests.per.connection",
        "is fixed: order per key stands on it",
    ),
    (
        "delivery.report.only.error",
        "is fixed: the relay awaits every delivery",
    ),
    ("statistics.interval.ms", "is fixed: health is read from the statistics"),
    (
        "security.protocol",
        "is set by the variables KAFKA_SSL and KAFKA_SASL_USERNAME",
    ),
    ("sasl.mechanism", "is set by the variable KAFKA_SASL_MECHANISM"),
    ("sasl.mechanisms", "is set by the variable KAFKA_SASL_MECHANISM"),
    ("sasl.username", "is set by the variable KAFKA_SASL_USERNAME"),
    (
        "sasl.password",
        "is set by the variable KAFKA_SASL_PASSWORD, so that it stands in no file",
    ),
    (
        "allow.auto.create.topics",
        "is fixed: the host makes the topics it needs, and only those",
    ),
    ("enable.gapless.guarantee", "is fixed: order per key stands on it"),
    ("enabled_events", "is fixed by the host's clients"),
    (
        "message.max.bytes",
        "is fixed: the host publishes no record over 1,000,000 bytes",
    ),
    ("log.queue", "is fixed by the host's clients"),
    ("queuing.strategy", "is fixed: order per key stands on it"),
    (
        "plugin.library.paths",
        "is refused: it loads foreign code into the host",
    ),
    (
        "test.mock.num.brokers",
        "is refused: kafka.brokers = \"embedded\" starts the broker for development",
    ),
];

/// Nested tables as librdkafka's dotted names: TOML reads `linger.ms = 5` without quotes as a table.
pub(super) fn flatten(options: Table) -> Table {
    let mut flat = Table::new();
    flatten_into(&mut flat, "", options);
    flat
}

fn flatten_into(flat: &mut Table, prefix: &str, options: Table) {
    for (name, value) in options {
        let name = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            Value::Table(inner) => flatten_into(flat, &name, inner),
            value => {
                flat.insert(name, value);
            }
        }
    }
}

/// The options for librdkafka. A refused value is never shown: some are secrets.
pub(super) fn read(options: Table, report: &ProblemReport) -> BTreeMap<String, String> {
    let mut read = BTreeMap::new();
    for (name, value) in options {
        let path = join(SECTION, &name);
        if let Some((_, reason)) = OWNED.iter().find(|(owned, _)| *owned == name) {
            report.refuse(&path, *reason);
            continue;
        }
        let text = match value {
            Value::String(text) => text,
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Boolean(flag) => flag.to_string(),
            _ => {
                report.refuse(&path, "must be text, a number, true or false");
                continue;
            }
        };
        let secret = name.ends_with("password") || name.ends_with("secret");
        let text = match report.variable(&path) {
            Some(variable) if secret => told(variable, text, report),
            _ => Some(text),
        };
        let Some(text) = text else { continue };
        match check_option(&name, &text) {
            Ok(()) => drop(read.insert(name, text)),
            Err(error) => report.refuse(&path, error.to_string()),
        }
    }
    read
}
