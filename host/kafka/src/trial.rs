//! Whether the client library makes the clients that the host will have: some settings are refused only beside others.

use rdkafka::admin::AdminClient;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};

use super::settings::KafkaSettings;
use sandman_core::printable;

/// Makes one client of each kind that the host has, from all of its settings but for the brokers, so that nothing is
/// connected to; says what the library says where it refuses one.
///
/// # Errors
/// What is wrong, once for all the clients that have it.
pub fn check_clients(settings: &KafkaSettings) -> Result<(), Vec<String>> {
    let tried = [
        tried::<BaseConsumer<Silent>>(settings.consumer("sandman-check", "sandman-check")),
        tried::<BaseConsumer<Silent>>(settings.reader()),
        tried::<BaseProducer<Silent>>(settings.producer("sandman-check")),
        tried::<AdminClient<Silent>>(settings.admin()),
    ];
    let mut refused: Vec<_> = tried.into_iter().filter_map(Result::err).collect();
    refused.sort_unstable();
    refused.dedup();
    if refused.is_empty() { Ok(()) } else { Err(refused) }
}

fn tried<C: FromClientConfigAndContext<Silent>>(mut config: ClientConfig) -> Result<(), String> {
    config.remove("bootstrap.servers");
    match config.create_with_context::<Silent, C>(Silent) {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientCreation(reason)) => Err(printable::line(&reason, printable::LONGEST).into_owned()),
        Err(error) => Err(printable::line(&error.to_string(), printable::LONGEST).into_owned()),
    }
}

/// Says nothing: a client without brokers complains of that.
struct Silent;

impl ClientContext for Silent {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Silent {}

impl ProducerContext for Silent {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(options: &[(&str, &str)], ssl: bool) -> String {
        let settings = KafkaSettings {
            options: options
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ssl,
            ..KafkaSettings::plain("localhost:9092")
        };
        check_clients(&settings).err().unwrap_or_default().join("; ")
    }

    #[test]
    fn settings_that_are_refused_beside_others_are_named() {
        assert_eq!(refused(&[], false), "");
        assert_eq!(refused(&[("linger.ms", "5"), ("session.timeout.ms", "6000")], true), "");
        for (name, value) in [
            ("transaction.timeout.ms", "1000"),
            ("session.timeout.ms", "90000"),
            ("fetch.max.bytes", "1000"),
            ("receive.message.max.bytes", "1000"),
        ] {
            let refused = refused(&[(name, value)], false);
            assert!(refused.contains(name), "{name}: {refused:?}");
        }
        let refused = refused(&[("ssl.ca.location", "/nowhere/ca.pem")], true);
        assert!(refused.contains("ssl.ca.location"), "{refused:?}");
    }
}
