//! The metrics of the host, with their units and meanings, in one place.
//!
//! Handles are created once per handler and topic; measuring is an atomic operation and creates no labels. Nothing is
//! labelled by user. [`Meters::render`] gives the text that Prometheus reads.

mod catalogue;
mod handler;
mod http;
mod rates;
mod versions;

use std::fmt;

use metrics::{Counter, Gauge, Histogram, Label, counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusHandle, PrometheusRecorder};

pub use handler::{Counted, HandlerMeters, HandlerTopicMeters, Invoked, Totals};
pub use http::{HttpMeters, RouteMeters, UploadRejection};
pub use rates::{Rate, Rates};

/// All metrics of one host. Each host has its own, so that two in one process (tests) do not mix.
pub struct Meters {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// The host's own handles.
    pub host: HostMeters,
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

/// Handles that belong to no handler and no topic.
#[derive(Clone, Debug)]
pub struct HostMeters {
    /// Bytes of committed events that Kafka has not acknowledged.
    pub outbox_bytes: Gauge,
    /// Batches of committed events that Kafka has not acknowledged.
    pub outbox_batches: Gauge,
    /// Seconds since the oldest of them was committed, 0 for none.
    pub outbox_age: Gauge,
    /// Units in one group commit.
    pub commit_units: Histogram,
    /// Seconds of one group commit.
    pub commit_seconds: Histogram,
    /// Group commits that failed.
    pub commit_failures: Counter,
    /// Group commits that were refused because another host was faster.
    pub commit_conflicts: Counter,
    /// Units that were run again after such a commit.
    pub commit_reruns: Counter,
    /// Seconds of one relay transaction, from the first record to the acknowledged commit.
    pub relay_seconds: Histogram,
    /// Relay transactions that failed and were tried again.
    pub relay_failures: Counter,
    /// Topics that refuse a record: what goes to them waits.
    pub held_topics: Gauge,
    /// Statements that were sent on the connection that commits.
    pub store_round_trips: Counter,
    /// Shards of the outbox that this host has taken or lost.
    pub lease_changes: Counter,
    /// Hosts that share the store and count as running.
    pub hosts: Gauge,
    /// Transactions since the oldest snapshot in the database.
    pub oldest_snapshot: Gauge,
    /// The age of the oldest transaction in the database.
    pub oldest_transaction: Gauge,
    /// Bytes of states kept in memory.
    pub cache_bytes: Gauge,
    /// Dead letters in the store.
    pub letters: Gauge,
    /// Their bytes, without those of held keys.
    pub letter_bytes: Gauge,
    /// Bytes of the letters of held keys.
    pub held_bytes: Gauge,
    /// Dead letters that were dropped because the store keeps no more.
    pub letters_gone: Counter,
    /// 1 while Kafka is connected, else 0.
    pub kafka_connected: Gauge,
    /// How often a consumer was removed from its group because it did not poll.
    pub kafka_poll_breaches: Counter,
}

/// Handles of one topic that we publish to.
#[derive(Clone, Debug)]
pub struct TopicMeters {
    /// Events that Kafka acknowledged.
    pub published: Counter,
    /// Attempts to publish an event that failed; it stays in the outbox and is tried again.
    pub failed: Counter,
}

impl Default for Meters {
    fn default() -> Self {
        Self::new()
    }
}

impl Meters {
    /// Fresh metrics, all at zero.
    pub fn new() -> Self {
        let recorder = catalogue::recorder();
        let handle = recorder.handle();
        let host = with_local_recorder(&recorder, || {
            catalogue::describe();
            gauge!("sandman_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
            HostMeters {
                outbox_bytes: gauge!("sandman_outbox_bytes"),
                outbox_batches: gauge!("sandman_outbox_batches"),
                outbox_age: gauge!("sandman_outbox_age_seconds"),
                commit_units: histogram!("sandman_commit_units"),
                commit_seconds: histogram!("sandman_commit_seconds"),
                commit_failures: counter!("sandman_commit_failures_total"),
                commit_conflicts: counter!("sandman_commit_conflicts_total"),
                commit_reruns: counter!("sandman_commit_reruns_total"),
                relay_seconds: histogram!("sandman_relay_transaction_seconds"),
                relay_failures: counter!("sandman_relay_transaction_failures_total"),
                held_topics: gauge!("sandman_relay_held_topics"),
                store_round_trips: counter!("sandman_store_round_trips_total"),
                lease_changes: counter!("sandman_lease_changes_total"),
                hosts: gauge!("sandman_hosts"),
                oldest_snapshot: gauge!("sandman_store_oldest_snapshot_transactions"),
                oldest_transaction: gauge!("sandman_store_oldest_transaction_seconds"),
                cache_bytes: gauge!("sandman_cache_bytes"),
                letters: gauge!("sandman_dead_letters_kept"),
                letter_bytes: gauge!("sandman_dead_letter_bytes"),
                held_bytes: gauge!("sandman_held_bytes"),
                letters_gone: counter!("sandman_dead_letters_gone_total"),
                kafka_connected: gauge!("sandman_kafka_connected"),
                kafka_poll_breaches: counter!("sandman_kafka_poll_breaches_total"),
            }
        });
        Self { recorder, handle, host }
    }

    /// Sets the size of one of the store's tables.
    pub fn table(&self, table: &str, bytes: u64) {
        let labels = vec![Label::new("table", table.to_owned())];
        with_local_recorder(&self.recorder, || {
            gauge!("sandman_store_table_bytes", labels).set(bytes as f64);
        });
    }

    /// The handles of a topic that we publish to; the same ones each time.
    pub fn topic(&self, topic: &str) -> TopicMeters {
        let labels = || vec![Label::new("topic", topic.to_owned())];
        with_local_recorder(&self.recorder, || TopicMeters {
            published: counter!("sandman_events_published_total", labels()),
            failed: counter!("sandman_publish_failures_total", labels()),
        })
    }

    /// The handles of a handler and the topics it consumes; the same ones each time.
    pub fn handler<T: AsRef<str>>(&self, handler: &str, topics: &[T]) -> HandlerMeters {
        with_local_recorder(&self.recorder, || HandlerMeters::new(handler, topics))
    }

    /// The handles of the handlers' listener; the same ones each time.
    pub fn http(&self) -> HttpMeters {
        with_local_recorder(&self.recorder, HttpMeters::new)
    }

    /// The handles of a route, by its pattern; the same ones each time.
    pub fn route(&self, method: &str, route: &str) -> RouteMeters {
        with_local_recorder(&self.recorder, || RouteMeters::new(method, route))
    }

    /// Everything, as Prometheus reads it (text format 0.0.4).
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Aggregates the values that histograms have collected since the last call. To be called about once a second:
    /// until then every single value is kept.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used() -> Meters {
        let meters = Meters::new();
        meters.host.commit_seconds.record(0.004);
        meters.topic("user.updated").published.increment(3);
        let handler = meters.handler("profile", &["user.created"]);
        handler.invoked(Invoked::Trap).increment(1);
        handler.seconds.record(0.000_015);
        let topic = handler.topic("user.created").expect("a topic it consumes");
        topic.consumed.increment(2);
        topic.group_lag.set(7.0);
        topic.event_lag.record(0.02);
        let http = meters.http();
        http.connections.increment(1.0);
        http.rejected(UploadRejection::Kind);
        meters.route("PUT", "/users/{id}").answered(204, 0.003);
        meters
    }

    #[test]
    fn values_are_rendered_with_their_labels() {
        let text = used().render();
        for line in [
            "sandman_events_published_total{topic=\"user.updated\"} 3",
            "sandman_invocations_total{handler=\"profile\",outcome=\"trap\"} 1",
            "sandman_invocations_total{handler=\"profile\",outcome=\"ok\"} 0",
            "sandman_events_consumed_total{handler=\"profile\",topic=\"user.created\"} 2",
            "sandman_group_lag_messages{handler=\"profile\",topic=\"user.created\"} 7",
            "sandman_handler_seconds_bucket{handler=\"profile\",le=\"0.000025\"} 1",
            "sandman_event_lag_seconds_count{handler=\"profile\",topic=\"user.created\"} 1",
            "sandman_commit_seconds_count 1",
            "sandman_http_connections 1",
            "sandman_upload_rejections_total{reason=\"kind\"} 1",
            "sandman_http_requests_total{method=\"PUT\",route=\"/users/{id}\",status=\"2xx\"} 1",
            "sandman_http_requests_total{method=\"PUT\",route=\"/users/{id}\",status=\"5xx\"} 0",
            "sandman_http_request_seconds_bucket{method=\"PUT\",route=\"/users/{id}\",le=\"0.005\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn every_metric_is_described_and_named_after_the_conventions() {
        let text = used().render();
        let described = |name: &str| text.lines().any(|line| line.starts_with(&format!("# HELP {name} ")));
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let mut count = 0;
        for line in types {
            let (name, kind) = line.split_once(' ').expect("a name and a type");
            assert!(name.starts_with("sandman_"), "{name} has no prefix");
            assert!(described(name), "{name} is not described");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
            assert_ne!(kind, "summary", "{name} has no buckets");
            count += 1;
        }
        assert!(count >= 20, "only {count} metrics in\n{text}");
    }

    #[test]
    fn two_hosts_do_not_share_their_metrics() {
        let first = used();
        assert!(!Meters::new().render().contains("profile"));
        assert!(first.render().contains("profile"));
    }

    #[test]
    fn asking_twice_gives_the_same_handles() {
        let meters = used();
        meters.topic("user.updated").published.increment(1);
        assert!(
            meters
                .render()
                .contains("sandman_events_published_total{topic=\"user.updated\"} 4")
        );
    }
}
