//! How to reach Kafka, and the settings of each kind of client.
//!
//! Every buffer is limited here: by default, a consumer takes up to 64 MiB and a producer up to 1 GiB.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use thiserror::Error;

/// How to reach a Kafka cluster.
#[derive(Clone, Debug, Default)]
pub struct KafkaSettings {
    /// The bootstrap brokers, `host:port` separated by commas.
    pub brokers: String,
    /// Whether to speak TLS.
    pub ssl: bool,
    /// The login, if the cluster asks for one.
    pub sasl: Option<Sasl>,
    /// Settings of librdkafka that are passed through; [`check_option`] checks whether librdkafka accepts one.
    pub options: BTreeMap<String, String>,
}

/// A login at the cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct Sasl {
    /// How the password is verified.
    pub mechanism: SaslMechanism,
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sasl({:?}, {:?}, password hidden)", self.mechanism, self.username)
    }
}

/// How the cluster verifies a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    /// `PLAIN`: the password itself; only over TLS.
    Plain,
    /// `SCRAM-SHA-256`.
    ScramSha256,
    /// `SCRAM-SHA-512`.
    ScramSha512,
}

impl SaslMechanism {
    /// The name in Kafka's protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// A setting of `[kafka.options]` that cannot be used. The value is never shown: some are secrets.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum OptionError {
    /// librdkafka does not know the name.
    #[error("is not a setting of librdkafka")]
    Unknown,
    /// librdkafka does not accept the value.
    #[error("has a value that librdkafka does not accept: {0}")]
    Invalid(String),
}

/// Checks whether librdkafka accepts a setting of `[kafka.options]`.
///
/// # Errors
/// [`OptionError`] if it does not know the name, or does not accept the value.
pub fn check_option(name: &str, value: &str) -> Result<(), OptionError> {
    let mut config = ClientConfig::new();
    config.set(name, value);
    match config.create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(_, reason, ..)) if reason.contains("No such configuration property") => {
            Err(OptionError::Unknown)
        }
        Err(KafkaError::ClientConfig(_, reason, ..)) => Err(OptionError::Invalid(reason.trim_end().to_owned())),
        Err(other) => Err(OptionError::Invalid(other.to_string())),
    }
}

impl KafkaSettings {
    /// Settings for brokers that ask for neither TLS nor a login.
    pub fn plain(brokers: &str) -> Self {
        Self {
            brokers: brokers.to_owned(),
            ..Self::default()
        }
    }

    /// The settings of every client; `defaults` may be changed by the operator, `fixed` may not.
    fn config(&self, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("client.id", "sandman")
            .set("allow.auto.create.topics", "false")
            // A broker that comes back is found within about a second instead of ten.
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.keepalive.enable", "true")
            // For every client, because the library compares `receive.message.max.bytes` with it for any kind of client.
            .set("fetch.max.bytes", "1048576")
            // Partitions that are added to a topic are seen within half a minute instead of five.
            .set("topic.metadata.refresh.interval.ms", "30000")
            // The statistics tell whether brokers are connected.
            .set("statistics.interval.ms", "2000");
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        for (name, value) in &self.options {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        config.set("security.protocol", self.protocol());
        if let Some(sasl) = &self.sasl {
            config
                .set("sasl.mechanism", sasl.mechanism.as_str())
                .set("sasl.username", &sasl.username)
                .set("sasl.password", &sasl.password);
        }
        for (name, value) in fixed {
            config.set(*name, *value);
        }
        let verbose = self.options.contains_key("debug");
        config.set_log_level(if verbose {
            RDKafkaLogLevel::Debug
        } else {
            RDKafkaLogLevel::Info
        });
        config
    }

    fn protocol(&self) -> &'static str {
        match (self.ssl, self.sasl.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        }
    }

    /// A static member of a consumer group that starts where it is told and never skips a record.
    pub(super) fn consumer(&self, group: &str, member: &str) -> ClientConfig {
        let defaults = [
            // Brokers close idle connections, which is normal for a consumer.
            ("log.connection.close", "false"),
            // At most about 16 MiB of records and one more response wait in the client. A response has 1 MiB,
            // compressed; uncompressed, which may be a thousand times as much with gzip, it is in memory all at once.
            ("queued.max.messages.kbytes", "16384"),
            ("queued.min.messages", "10000"),
            ("fetch.message.max.bytes", "1048576"),
            // The limit for a decompressed zstd batch; larger ones cannot be read.
            ("receive.message.max.bytes", "100000000"),
            // A batch that was damaged on disk or in transit is an error and not an event.
            ("check.crcs", "true"),
            // The default waits a second after the queue was full, although workers have long emptied it.
            ("fetch.queue.backoff.ms", "50"),
            // The partitions of a host that does not come back are free after ten seconds instead of 45.
            ("session.timeout.ms", "10000"),
            ("heartbeat.interval.ms", "2000"),
            ("max.poll.interval.ms", "60000"),
        ];
        let fixed = [
            ("group.id", group),
            // A member that returns under this name gets its partitions at once, and the previous member of that name
            // is fenced.
            ("group.instance.id", member),
            // The newer group protocol has a fatal fault in librdkafka 2.12 after a breach of the poll interval.
            ("group.protocol", "classic"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("isolation.level", "read_committed"),
            // An offset that is gone is an error, never a silent jump.
            ("auto.offset.reset", "error"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", "false"),
        ];
        // Only this part of the library's log says that a name belongs to another topic now.
        self.overheard(self.config(&defaults, &fixed), "metadata")
    }

    /// A client that examines single partitions with the settings of a consumer, without a group.
    pub(super) fn probe(&self) -> ClientConfig {
        let mut config = self.consumer("sandman-probe", "");
        config.remove("group.instance.id");
        config
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "10")
            .set("queued.min.messages", "1")
            .set("statistics.interval.ms", "0");
        config
    }

    /// Enables a part of the client's log that the host reads.
    fn overheard(&self, mut config: ClientConfig, part: &str) -> ClientConfig {
        let more = self.options.get("debug");
        let debug = more.map_or_else(|| part.to_owned(), |more| format!("{part},{more}"));
        config.set("debug", debug).set_log_level(RDKafkaLogLevel::Debug);
        config
    }

    /// A reader of a whole small topic, without a group.
    pub(super) fn reader(&self) -> ClientConfig {
        let defaults = [
            ("queued.max.messages.kbytes", "4096"),
            ("queued.min.messages", "1000"),
            ("fetch.max.bytes", "4194304"),
            ("fetch.message.max.bytes", "1048576"),
            // The end of the topic is known after one empty response, which need not take half a second.
            ("fetch.wait.max.ms", "10"),
        ];
        let fixed = [
            // The library requires a group; it is neither joined nor used for commits.
            ("group.id", "sandman-reader"),
            ("isolation.level", "read_committed"),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", "true"),
        ];
        self.config(&defaults, &fixed)
    }

    /// A transactional producer.
    pub(super) fn producer(&self, transactional_id: &str) -> ClientConfig {
        let defaults = [
            ("queue.buffering.max.messages", "20000"),
            ("queue.buffering.max.kbytes", "32768"),
            // The default of a broker, so that an oversized record is refused here, with its topic.
            ("message.max.bytes", "1048588"),
            // Records are sent by a flush once all of a transaction are handed over, or when a batch is full.
            ("linger.ms", "1000"),
            // Deliveries are awaited by the flush.
            ("delivery.report.only.error", "true"),
            // The broker answers "concurrent transactions" for some milliseconds after each commit; the default waits
            // 100 ms before it asks again.
            ("retry.backoff.ms", "1"),
            // How soon the library asks for the leader of a partition again, although a response is under way, doubling
            // up to `retry.backoff.max.ms` (a second). At most five requests are in flight: with 20 ms, responses that
            // take half a second filled a slow network until nothing else got through.
            ("topic.metadata.refresh.fast.interval.ms", "100"),
            ("topic.metadata.propagation.max.ms", "10000"),
            // The open transaction of a killed relay blocks readers for no longer than this.
            ("transaction.timeout.ms", "30000"),
            ("message.timeout.ms", "25000"),
        ];
        let fixed = [
            ("transactional.id", transactional_id),
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("partitioner", "murmur2_random"),
        ];
        // Lost connections must be noticed, because a commit during one requires a new producer. The library reports
        // only some to the error callback, but all to this log, which is otherwise quiet.
        self.overheard(self.config(&defaults, &fixed), "broker")
    }

    /// A producer outside of the host, like that of another service.
    pub(super) fn side_producer(&self) -> ClientConfig {
        let defaults = [
            ("queue.buffering.max.messages", "20000"),
            ("queue.buffering.max.kbytes", "32768"),
            ("statistics.interval.ms", "0"),
        ];
        let fixed = [
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("partitioner", "murmur2_random"),
        ];
        self.config(&defaults, &fixed)
    }

    /// A client that asks for the first and last offsets of partitions: up to the high watermark, including open transactions.
    pub(super) fn extents(&self) -> ClientConfig {
        let fixed = [("isolation.level", "read_uncommitted"), ("statistics.interval.ms", "0")];
        self.config(&[], &fixed)
    }

    /// A client that lists and creates topics.
    pub(super) fn admin(&self) -> ClientConfig {
        self.config(&[], &[("statistics.interval.ms", "0")])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn every_bad_option_is_refused() {
        assert_eq!(check_option("fetch.max.bytes", "1000000"), Ok(()));
        assert_eq!(check_option("no.such.thing", "1"), Err(OptionError::Unknown));
        let wrong = check_option("fetch.wait.max.ms", "soon");
        assert!(matches!(wrong, Err(OptionError::Invalid(_))), "{wrong:?}");
        let over = check_option("fetch.message.max.bytes", "2000000000")
            .unwrap_err()
            .to_string();
        assert!(over.ends_with("1..1000000000"), "one line: {over:?}");
    }

    #[test]
    fn options_change_defaults_but_never_what_is_fixed() {
        let settings = KafkaSettings {
            options: options(&[("session.timeout.ms", "6000"), ("isolation.level", "read_uncommitted")]),
            ..KafkaSettings::plain("localhost:9092")
        };
        let config = settings.consumer("g", "m");
        assert_eq!(config.get("session.timeout.ms"), Some("6000"));
        assert_eq!(config.get("isolation.level"), Some("read_committed"));
    }

    #[test]
    fn added_partitions_are_seen_within_a_minute() {
        let config = KafkaSettings::plain("localhost:9092").consumer("g", "m");
        let refresh = config.get("topic.metadata.refresh.interval.ms").unwrap();
        assert!(refresh.parse::<u64>().unwrap() <= 60_000, "{refresh}");
    }

    #[test]
    fn the_library_accepts_what_each_client_is_set_to() {
        let settings = KafkaSettings {
            ssl: true,
            sasl: Some(Sasl {
                mechanism: SaslMechanism::ScramSha512,
                username: "u".to_owned(),
                password: "p".to_owned(),
            }),
            ..KafkaSettings::plain("localhost:9092")
        };
        for config in [
            settings.consumer("g", "m"),
            settings.extents(),
            settings.reader(),
            settings.producer("t"),
            settings.side_producer(),
            settings.admin(),
        ] {
            config.create_native_config().unwrap();
        }
        assert!(!format!("{settings:?}").contains("\"p\""), "the password shows");
    }
}
