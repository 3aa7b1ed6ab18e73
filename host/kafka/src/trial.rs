//! Whether the client library can create the clients of the host: some settings are refused only in combination.

use std::fs;

use rdkafka::admin::AdminClient;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};

use super::settings::KafkaSettings;
use sandman_core::printable;

/// Options that name a file, which the library reads for TLS.
const FILES: [&str; 5] = [
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.keystore.location",
    "ssl.crl.location",
];

/// Why a client cannot be created.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefusedClient {
    /// The invalid option, if it is a single one.
    pub option: Option<&'static str>,
    /// What is wrong with it.
    pub reason: String,
}

/// Creates one client of each kind that the host has, from all settings except the brokers, so that it does not
/// connect, and returns the library's errors.
///
/// # Errors
/// Each problem once, even if it concerns several clients.
pub fn check_clients(settings: &KafkaSettings) -> Result<(), Vec<RefusedClient>> {
    let mut refused: Vec<_> = FILES.iter().filter_map(|option| unreadable(settings, option)).collect();
    // The library passes on the error of its TLS library for such a file.
    let is_told = |reason: &String| FILES.iter().any(|option| reason.contains(option)) && !refused.is_empty();
    let made = made(settings).into_iter().filter(|reason| !is_told(reason));
    let made: Vec<_> = made.map(|reason| RefusedClient { option: None, reason }).collect();
    refused.extend(made);
    if refused.is_empty() { Ok(()) } else { Err(refused) }
}

fn unreadable(settings: &KafkaSettings, option: &'static str) -> Option<RefusedClient> {
    let file = settings.options.get(option).filter(|_| settings.ssl)?;
    // With "probe" the library searches the system's own; the CA certificates may be a folder.
    let read = match (file.as_str(), fs::metadata(file)) {
        ("probe", _) => return None,
        (_, Ok(found)) if found.is_dir() => return None,
        (_, Ok(_)) => fs::File::open(file).map(drop),
        (_, Err(error)) => Err(error),
    };
    let error = read.err()?;
    Some(RefusedClient {
        option: Some(option),
        reason: format!(
            "the file {} cannot be read: {error}",
            printable::line(file, printable::LONGEST)
        ),
    })
}

fn made(settings: &KafkaSettings) -> Vec<String> {
    let tried = [
        tried::<BaseConsumer<SilentContext>>(settings.consumer("sandman-check", "sandman-check")),
        tried::<BaseConsumer<SilentContext>>(settings.reader()),
        tried::<BaseProducer<SilentContext>>(settings.producer("sandman-check")),
        tried::<AdminClient<SilentContext>>(settings.admin()),
    ];
    let mut refused: Vec<_> = tried.into_iter().filter_map(Result::err).collect();
    refused.sort_unstable();
    refused.dedup();
    refused
}

fn tried<C: FromClientConfigAndContext<SilentContext>>(mut config: ClientConfig) -> Result<(), String> {
    config.remove("bootstrap.servers");
    match config.create_with_context::<SilentContext, C>(SilentContext) {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientCreation(reason)) => Err(printable::line(&reason, printable::LONGEST).into_owned()),
        Err(error) => Err(printable::line(&error.to_string(), printable::LONGEST).into_owned()),
    }
}

/// Logs nothing, because a client without brokers reports that as an error.
struct SilentContext;

impl ClientContext for SilentContext {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for SilentContext {}

impl ProducerContext for SilentContext {
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
        let refused = check_clients(&settings).err().unwrap_or_default();
        let told = refused.iter().map(|refused| match refused.option {
            Some(option) => format!("{option}: {}", refused.reason),
            None => refused.reason.clone(),
        });
        told.collect::<Vec<_>>().join("; ")
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
        assert_eq!(
            refused,
            "ssl.ca.location: the file /nowhere/ca.pem cannot be read: No such file or directory (os error 2)"
        );
        let pair = [("ssl.ca.location", "/nowhere/ca.pem"), ("session.timeout.ms", "90000")];
        let refused = self::refused(&pair, true);
        assert!(
            refused.contains("/nowhere/ca.pem") && refused.contains("session.timeout.ms"),
            "{refused:?}"
        );
    }
}
