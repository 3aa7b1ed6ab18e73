//! The metrics' names, units and meanings, and the buckets of the histograms.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

/// From a reused instance (4 µs) to the largest time limit (60 s).
const HANDLER_SECONDS: &[f64] = &[
    0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05,
    0.1, 0.25, 0.5, 1.0, 5.0, 60.0,
];
/// From one fast commit to a lag of a day.
const LAG_SECONDS: &[f64] = &[
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0, 86_400.0,
];
/// A commit or a transaction: from a fast disk to a time-out.
const COMMIT_SECONDS: &[f64] = &[
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
/// From a request that is refused at the edge to the longest that one may take.
const REQUEST_SECONDS: &[f64] = &[
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0,
    1_200.0,
];
const UNITS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0,
];

const BUCKETS: &[(&str, &[f64])] = &[
    ("sandman_handler_seconds", HANDLER_SECONDS),
    ("sandman_event_lag_seconds", LAG_SECONDS),
    ("sandman_commit_seconds", COMMIT_SECONDS),
    ("sandman_relay_transaction_seconds", COMMIT_SECONDS),
    ("sandman_commit_units", UNITS),
    ("sandman_http_request_seconds", REQUEST_SECONDS),
];

const COUNTERS: &[(&str, &str)] = &[
    (
        "sandman_events_published_total",
        "Events that Kafka acknowledged, by topic; its rate is the production rate",
    ),
    (
        "sandman_publish_failures_total",
        "Failed attempts to publish an event, by topic; it stays in the outbox",
    ),
    (
        "sandman_events_consumed_total",
        "Records consumed, by handler and topic",
    ),
    (
        "sandman_tombstones_total",
        "Records without a value that were skipped, by handler and topic",
    ),
    (
        "sandman_duplicates_total",
        "Events skipped because their key had handled an event with the same `eventId`, by handler and topic",
    ),
    (
        "sandman_invocations_total",
        "Invocations of guests, by handler and how they ended",
    ),
    (
        "sandman_retries_total",
        "Triggers put back for another attempt, by handler and topic",
    ),
    (
        "sandman_dead_letters_total",
        "Triggers given up, by handler and the topic they came from",
    ),
    (
        "sandman_redriven_total",
        "Dead letters that were redriven, by handler and outcome: ok, or failed (given up again)",
    ),
    (
        "sandman_dead_letters_gone_total",
        "Dead letters that were dropped from the store because of store.dead_letters; they are in Kafka",
    ),
    (
        "sandman_recording_bytes_gone_total",
        "Bytes of recordings that were dropped, or not stored, because of record.keep, by handler",
    ),
    (
        "sandman_deploys_total",
        "Deploys and rollbacks, by handler and outcome: active, unchanged or refused",
    ),
    (
        "sandman_commit_failures_total",
        "Group commits that failed; their triggers are run again",
    ),
    (
        "sandman_commit_conflicts_total",
        "Group commits that were refused because another host was faster; triggers whose states have changed are run again",
    ),
    (
        "sandman_commit_reruns_total",
        "Units that were run again after such a commit",
    ),
    (
        "sandman_store_round_trips_total",
        "Statements sent to PostgreSQL on the connection that commits; divided by sandman_commit_seconds_count: by commit",
    ),
    (
        "sandman_lease_changes_total",
        "Shards of the outbox that this host has taken or lost; grows while hosts come and go",
    ),
    (
        "sandman_relay_transaction_failures_total",
        "Relay transactions that failed and were retried",
    ),
    (
        "sandman_kafka_poll_breaches_total",
        "Times that a consumer was removed from its group because it did not poll; it rejoins by itself",
    ),
    (
        "sandman_http_requests_total",
        "Requests that were answered, by method, route and class of the status; what matches no route is `other`",
    ),
    ("sandman_uploads_total", "Uploaded files that were stored"),
    ("sandman_upload_bytes_total", "Bytes of uploaded files that were stored"),
    (
        "sandman_upload_rejections_total",
        "Uploads that were refused, by reason: size, kind, form, store, request (not carried out, the file is removed)",
    ),
    (
        "sandman_upload_sweeps_total",
        "Searches for uploaded files that no state has named for uploads.keep",
    ),
    (
        "sandman_uploads_removed_total",
        "Uploaded files removed because no state named them for uploads.keep",
    ),
];

const GAUGES: &[(&str, Unit, &str)] = &[
    (
        "sandman_relay_held_topics",
        Unit::Count,
        "Topics that refuse a record: the records for them wait, everything else is published; /health names them",
    ),
    (
        "sandman_build_info",
        Unit::Count,
        "Always 1; the label is the version of the host",
    ),
    (
        "sandman_handler_version",
        Unit::Count,
        "1 for the active version of a handler, 0 for those that were active before in this process, by number and digest",
    ),
    (
        "sandman_compile_seconds",
        Unit::Seconds,
        "Time that the last compilation of a component of the handler took",
    ),
    (
        "sandman_kafka_connected",
        Unit::Count,
        "1 while Kafka is connected, else 0",
    ),
    (
        "sandman_outbox_bytes",
        Unit::Bytes,
        "Committed events that Kafka has not acknowledged",
    ),
    (
        "sandman_outbox_batches",
        Unit::Count,
        "Batches of committed events that Kafka has not acknowledged",
    ),
    (
        "sandman_outbox_age_seconds",
        Unit::Seconds,
        "Age of the oldest batch in the outbox, 0 for none",
    ),
    (
        "sandman_dead_letters_kept",
        Unit::Count,
        "Dead letters in the store, which `sandman dlq` lists",
    ),
    (
        "sandman_held_bytes",
        Unit::Bytes,
        "Bytes of the letters that hold a key or wait behind one, limited by store.held",
    ),
    (
        "sandman_dead_letter_bytes",
        Unit::Bytes,
        "Bytes of the dead letters in the store without those of held keys, limited by store.dead_letters",
    ),
    (
        "sandman_recording_bytes",
        Unit::Bytes,
        "Bytes of a handler's recordings in the store, limited by record.keep, by handler",
    ),
    (
        "sandman_hosts",
        Unit::Count,
        "Hosts that share the store on PostgreSQL and were seen in the last 10 seconds; 0 with a store in a file",
    ),
    (
        "sandman_store_oldest_snapshot_transactions",
        Unit::Count,
        "Transactions since the oldest snapshot (xmin) in PostgreSQL's database; while it grows, deleted rows cannot be vacuumed",
    ),
    (
        "sandman_store_oldest_transaction_seconds",
        Unit::Seconds,
        "Age of the oldest transaction in PostgreSQL's database, of any client",
    ),
    (
        "sandman_store_table_bytes",
        Unit::Bytes,
        "Size of a table on PostgreSQL with its indexes, by table",
    ),
    ("sandman_cache_bytes", Unit::Bytes, "States kept in memory"),
    (
        "sandman_http_connections",
        Unit::Count,
        "Connections of clients that are open",
    ),
    (
        "sandman_lanes",
        Unit::Count,
        "Keys that have work in memory, by handler",
    ),
    (
        "sandman_parked_triggers",
        Unit::Count,
        "Triggers that wait behind a backoff of their key, by handler",
    ),
    (
        "sandman_in_flight_triggers",
        Unit::Count,
        "Triggers in memory from intake to commit, by handler",
    ),
    (
        "sandman_group_lag_messages",
        Unit::Count,
        "Records in Kafka that the handler still has to handle, by handler and topic, whichever host has their partitions",
    ),
    (
        "sandman_assigned_partitions",
        Unit::Count,
        "Partitions that this host has, by handler and topic",
    ),
    (
        "sandman_handler_paused",
        Unit::Count,
        "1 while a handler is paused until `sandman resume`, else 0; by handler",
    ),
    (
        "sandman_held_keys",
        Unit::Count,
        "Keys whose events wait behind a dead letter until `sandman dlq release`, by handler",
    ),
    (
        "sandman_handler_degraded",
        Unit::Count,
        "1 while a handler is degraded, for the reason in /health, else 0; by handler",
    ),
];

const HISTOGRAMS: &[(&str, Unit, &str)] = &[
    (
        "sandman_handler_seconds",
        Unit::Seconds,
        "Time of one invocation, failed ones included, by handler",
    ),
    (
        "sandman_event_lag_seconds",
        Unit::Seconds,
        "From the production of an event to the commit of its unit, by handler and topic",
    ),
    ("sandman_commit_seconds", Unit::Seconds, "Time of one group commit"),
    ("sandman_commit_units", Unit::Count, "Units in one group commit"),
    (
        "sandman_http_request_seconds",
        Unit::Seconds,
        "From a request's headers to its answer's, by method and route",
    ),
    (
        "sandman_relay_transaction_seconds",
        Unit::Seconds,
        "Time of one relay transaction, to the acknowledged commit",
    ),
];

/// A recorder with the buckets.
pub(super) fn recorder() -> PrometheusRecorder {
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in BUCKETS {
        // Only an empty list of buckets is refused, and none of them is empty; the call consumes the builder in any case.
        builder = builder
            .set_buckets_for_metric(Matcher::Full((*name).to_owned()), buckets)
            .unwrap_or_default();
    }
    builder.build_recorder()
}

/// Describes every metric to the current recorder.
pub(super) fn describe() {
    for (name, meaning) in COUNTERS {
        describe_counter!(*name, Unit::Count, *meaning);
    }
    for (name, unit, meaning) in GAUGES {
        describe_gauge!(*name, *unit, *meaning);
    }
    for (name, unit, meaning) in HISTOGRAMS {
        describe_histogram!(*name, *unit, *meaning);
    }
}
