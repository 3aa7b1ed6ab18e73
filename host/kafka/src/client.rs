//! Handles the client library's log lines, errors and statistics for every client.

use std::sync::Arc;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::health::ClientHealth;
use super::statistics::Statistics;
use sandman_core::printable;

/// The library's log facility for lost connections.
const CONNECTION_LOST: &str = "FAIL";

/// Its facility for offset commits that failed, for which rdkafka has no callback.
const COMMIT_FAILED: &str = "COMMITFAIL";

/// Its facility for doubtful settings.
const CONFIGURATION: &str = "CONFWARN";

/// Sends a client's log to `tracing` and its errors to its health.
pub(super) struct Monitor {
    health: Arc<ClientHealth>,
}

impl Monitor {
    pub(super) fn new(health: Arc<ClientHealth>) -> Self {
        Self { health }
    }

    pub(super) fn health(&self) -> &ClientHealth {
        &self.health
    }

    pub(super) fn on_log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        let client = self.health.name();
        // It may contain text from a broker.
        let line = &*printable::line(line, printable::LONGEST);
        if facility == CONNECTION_LOST {
            self.health.connection_lost();
        }
        if facility == COMMIT_FAILED {
            tracing::debug!(target: "sandman::kafka", client, "{line}; the progress in the store is not affected");
            return;
        }
        // `[kafka.options]` is passed to all clients, and each ignores options that do not apply.
        if facility == CONFIGURATION && line.contains("will be ignored by this") {
            tracing::debug!(target: "sandman::kafka", client, "{line}");
            return;
        }
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::error!(target: "sandman::kafka", client, facility, "{line}");
            }
            RDKafkaLogLevel::Warning => tracing::warn!(target: "sandman::kafka", client, facility, "{line}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "sandman::kafka", client, facility, "{line}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "sandman::kafka", client, facility, "{line}"),
        }
    }

    /// Records the error.
    pub(super) fn on_error(&self, error: &KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        if code == RDKafkaErrorCode::PartitionEOF {
            return;
        }
        let reason = &*printable::line(reason, printable::LONGEST);
        tracing::debug!(target: "sandman::kafka", client = self.health.name(), ?code, "{reason}");
        self.health.error(code, reason);
    }

    /// Records whether a broker is connected.
    pub(super) fn on_statistics(&self, json: &[u8]) {
        match Statistics::parse(json) {
            Ok(statistics) => self.health.set_connected(statistics.connected()),
            Err(error) => {
                tracing::debug!(target: "sandman::kafka", %error, "the client library's statistics cannot be read");
            }
        }
    }
}

/// The context of clients that do nothing else: readers and admin clients.
impl ClientContext for Monitor {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.on_log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.on_error(&error, reason);
    }

    fn stats_raw(&self, json: &[u8]) {
        self.on_statistics(json);
    }
}

impl rdkafka::consumer::ConsumerContext for Monitor {}
