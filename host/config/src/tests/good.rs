//! What is read, and from where.

use std::path::PathBuf;
use std::time::Duration;

use super::{MINIMAL, ROUTE, good, refused};
use crate::*;
use sandman_core::event::EventKey;
use sandman_core::limits::{Allocation, Instances, Tombstones};

#[test]
fn a_minimal_file_gets_the_documented_defaults() {
    let config = good(MINIMAL, &[]);
    assert_eq!(config.host.deployment, "user-service");
    assert!(config.host.workers >= 8);
    assert_eq!(config.host.allocation, Allocation::Pooling);
    assert_eq!(config.host.grace, Duration::from_secs(20));
    assert_eq!(config.host.cache, 64 << 20);
    assert_eq!(
        (config.host.in_flight, config.host.parked, config.host.batch),
        (10_000, 1_000, 5_000)
    );
    assert_eq!(config.host.compiled, PathBuf::from("/etc/sandman/data/compiled"));
    assert_eq!(config.kafka.brokers, Brokers::Servers("localhost:9092".to_owned()));
    assert_eq!(config.kafka.topic("user.updated"), "dreamscape.user.updated");
    assert_eq!(config.kafka.partitions, 3);
    assert_eq!(
        config.store.url,
        StoreUrl::Sqlite("/etc/sandman/data/sandman.db".into())
    );
    assert_eq!(config.store.outbox, 256 << 20);
    assert_eq!(
        config.uploads.url,
        UploadsUrl::Folder(PathBuf::from("/etc/sandman/data/uploads"))
    );
    assert_eq!(config.uploads.keep.as_secs(), 30 * 24 * 60 * 60);
    assert_eq!(config.http.listen.to_string(), "0.0.0.0:3002");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:3902");
    let handler = &config.handlers[0];
    assert_eq!(handler.component, PathBuf::from("/etc/sandman/profile.wasm"));
    assert_eq!(handler.group, "user-service-profile");
    assert_eq!(&*handler.settings, "{}");
    assert_eq!(
        (&handler.key, handler.tombstones, handler.dedupe),
        (&EventKey::Record, Tombstones::Skip, 16)
    );
    assert_eq!(handler.instances, Instances::Fresh);
    assert_eq!(handler.limits, sandman_core::limits::Limits::default());
    assert_eq!(handler.retry, sandman_core::limits::Retry::default());
}

const FULL: &str = r#"
[host]
source = "a"
deployment = "b"
workers = 3
allocation = "on-demand"
grace = "1m"
cache = "1GiB"
log = "json"
in_flight = 10
parked = 5
batch = 7
compiled = "/var/compiled"
[kafka]
brokers = "k1:9092, k2:9093,[::1]:9094"
topic_prefix = ""
partitions = 12
[kafka.options]
linger.ms = 5
"client.id" = "sandman"
[store]
url = "sqlite::memory:"
outbox = 1048576
[uploads]
url = "file:/var/uploads"
[http]
listen = "127.0.0.1:0"
[admin]
listen = "localhost:0"
[handlers.profile]
component = "./target/profile.wasm"
topics = ["t"]
key = "payload:/user/id"
tombstones = "dead-letter"
dedupe = 0
emits = ["user.updated"]
group = "g"
recreated = "restart"
instances = "reused"
settings = { limit = 3, names = ["x"], nested = { on = true, since = 2025-01-01 } }
limits = { time = "100ms", memory = "64KiB", output = "2MiB", events = 0, log = 0 }
retry = { attempts = 1, first = "5ms", factor = 1, max = "5ms" }
[[routes]]
method = "GET"
path = "/users/{id}/{kind}"
handlers = ["profile"]
key = "path:id"
auth = "optional"
"#;

#[test]
fn every_key_is_read() {
    let config = good(FULL, &[]);
    assert_eq!(
        config.kafka.brokers,
        Brokers::Servers("k1:9092,k2:9093,[::1]:9094".to_owned())
    );
    assert_eq!(config.kafka.options["linger.ms"], "5");
    assert_eq!(config.kafka.options["client.id"], "sandman");
    assert_eq!(config.store.url, StoreUrl::Memory);
    assert_eq!(config.host.compiled, PathBuf::from("/var/compiled"));
    assert_eq!(config.host.allocation, Allocation::OnDemand);
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:0");
    let handler = &config.handlers[0];
    assert_eq!(handler.component, PathBuf::from("/etc/sandman/target/profile.wasm"));
    assert_eq!(Some(&handler.key), EventKey::parse("payload:/user/id").as_ref());
    assert_eq!((handler.tombstones, handler.dedupe), (Tombstones::DeadLetter, 0));
    assert_eq!(
        &*handler.settings,
        r#"{"limit":3,"names":["x"],"nested":{"on":true,"since":"2025-01-01"}}"#
    );
    assert_eq!(
        (handler.limits.memory, handler.limits.events, handler.limits.log),
        (64 << 10, 0, 0)
    );
    assert_eq!(handler.recreated, sandman_core::broker::Recreation::Restart);
    assert_eq!(handler.retry.first, Duration::from_millis(5));
    assert_eq!(config.routes[0].key, KeySource::Path("id".to_owned()));
    let grant = config.grant(handler);
    assert!(grant.has_topics && grant.emits.contains("user.updated"));
    assert!(
        grant
            .routes
            .contains(&("GET".to_owned(), "/users/{id}/{kind}".to_owned()))
    );
}

#[test]
fn the_environment_sets_any_key() {
    let text =
        format!("{MINIMAL}\nsettings = {{ maxItems = 1 }}\n[handlers.a-b]\ncomponent = 'x'\ntopics = ['t']\n{ROUTE}");
    let config = good(
        &text,
        &[
            ("SANDMAN_HOST__WORKERS", "5"),
            ("SANDMAN_HANDLERS__PROFILE__LIMITS__TIME", "100ms"),
            ("SANDMAN_HANDLERS__PROFILE__LIMITS__MEMORY", "1048576"),
            ("SANDMAN_HANDLERS__PROFILE__RETRY", "{ attempts = 9 }"),
            ("SANDMAN_HANDLERS__PROFILE__SETTINGS__MAXITEMS", "8"),
            ("SANDMAN_HANDLERS__PROFILE__SETTINGS__NAME", "Ann, Bob"),
            ("SANDMAN_HANDLERS__A_B__TOPICS", "t1, t2"),
            ("SANDMAN_KAFKA__OPTIONS__LINGER_MS", "7"),
            ("SANDMAN_ROUTES__0__METHOD", "POST"),
            ("SANDMAN_LOG", "debug"),
            ("SANDMAN_TEST_BROKER", "kafka"),
            ("SANDMAN_ADMIN_TOKEN", "token"),
            ("SANDMAN_ADMIN__TOKENS__CI", "another"),
            ("PATH", "/bin"),
        ],
    );
    assert_eq!(config.host.workers, 5);
    let (other, profile) = (&config.handlers[0], &config.handlers[1]);
    assert_eq!(profile.limits.time, Duration::from_millis(100));
    assert_eq!(profile.limits.memory, 1 << 20);
    assert_eq!(profile.retry.attempts, 9);
    assert_eq!(&*profile.settings, r#"{"maxItems":8,"name":"Ann, Bob"}"#);
    assert_eq!(other.topics, ["t1".into(), "t2".into()]);
    assert_eq!(config.kafka.options["linger.ms"], "7");
    assert_eq!(config.routes[0].method, "POST");
    let tokens: Vec<_> = config
        .admin
        .tokens
        .iter()
        .map(|(name, token)| (&**name, token.expose()))
        .collect();
    assert_eq!(tokens, [("admin", "token"), ("ci", "another")]);
}

#[test]
fn dreamscapes_own_variables_mean_what_they_mean_there() {
    let text = format!("{MINIMAL}\n[kafka.options]\nssl.key.password = 'hush-as-well'");
    let config = good(
        &text,
        &[
            ("KAFKA_BROKERS", "k1:1,k2:2"),
            ("KAFKA_SSL", "true"),
            ("KAFKA_SASL_USERNAME", "ann"),
            ("KAFKA_SASL_PASSWORD", "hush"),
            ("KAFKA_SASL_MECHANISM", "scram-sha-512"),
            ("JWT_SECRET", "hush-too"),
            ("PORT", "8080"),
        ],
    );
    assert_eq!(config.kafka.brokers, Brokers::Servers("k1:1,k2:2".to_owned()));
    assert!(config.kafka.ssl);
    let sasl = config.kafka.sasl.as_ref().expect("credentials were given");
    assert_eq!(
        (sasl.mechanism.as_str(), sasl.username.as_str()),
        ("SCRAM-SHA-512", "ann")
    );
    assert_eq!(sasl.password, "hush");
    assert_eq!(config.http.listen.to_string(), "0.0.0.0:8080");
    assert!(!format!("{config:?}").contains("hush"), "a secret is shown");
}

#[test]
fn our_variable_wins_over_dreamscapes_and_an_empty_one_is_not_set() {
    let ours = [
        ("KAFKA_BROKERS", "k1:1"),
        ("SANDMAN_KAFKA__BROKERS", "embedded"),
        ("PORT", "1"),
        ("SANDMAN_HTTP__LISTEN", "127.0.0.1:2"),
        ("KAFKA_SSL", "true"),
    ];
    let config = good(MINIMAL, &ours);
    assert_eq!(config.kafka.brokers, Brokers::Embedded);
    assert!(!config.kafka.ssl, "the embedded broker is never encrypted");
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:2");
    let config = good(MINIMAL, &[("KAFKA_BROKERS", ""), ("JWT_SECRET", ""), ("PORT", "")]);
    assert_eq!(config.kafka.brokers, Brokers::Servers("localhost:9092".to_owned()));
    assert!(config.http.jwt_secret.is_none());
}

#[test]
fn a_secret_that_is_missing_where_it_is_needed_is_refused() {
    let text = format!("{MINIMAL}{}", ROUTE.replace("none", "required"));
    refused(&text, &[], "JWT_SECRET", "PUT /users/{userId} needs a token");
    let optional = format!("{MINIMAL}{}", ROUTE.replace("none", "optional"));
    assert!(good(&optional, &[]).warnings()[0].contains("is not set"));
    assert!(good(&text, &[("JWT_SECRET", "short")]).warnings()[0].contains("shorter than 32 bytes"));
    assert!(good(MINIMAL, &[]).warnings().is_empty());
}

const SHIPPED: &str = include_str!("../../../../sandman.toml");

#[test]
fn the_file_at_the_root_is_valid() {
    let config = good(SHIPPED, &[("JWT_SECRET", "a secret that is long enough for HS256")]);
    assert_eq!(config.handlers.len(), 2);
    assert_eq!(config.routes.len(), 5);
    // As in the present service: three routes need no token.
    let warnings = config.warnings();
    assert_eq!(warnings.len(), 3, "{warnings:#?}");
    assert!(warnings.iter().all(|warning| warning.contains("lets strangers write")));
}

/// The commented keys of the shipped file show the defaults; taking the `#` away must change nothing.
#[test]
fn the_defaults_shown_in_the_file_at_the_root_are_the_real_ones() {
    let is_key = |line: &str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let shown: Vec<_> = SHIPPED
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| is_key(line))
        .collect();
    assert!(shown.len() >= 14, "{shown:#?}");
    // Quoted keys are examples of librdkafka's; the number of workers and the host's name depend on the machine.
    let of_the_machine = |key: &str| key.starts_with("workers = ") || key.starts_with("name = \"host-1\"");
    let is_default = |key: &str| is_key(key) && !key.starts_with('"') && !of_the_machine(key);
    let uncommented = |line: &str| match line.strip_prefix("# ") {
        Some(key) if is_default(key) => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    let all: String = SHIPPED.lines().map(uncommented).collect();
    assert_ne!(all, SHIPPED);
    let secret = [("JWT_SECRET", "a secret that is long enough for HS256")];
    assert_eq!(
        format!("{:?}", good(&all, &secret)),
        format!("{:?}", good(SHIPPED, &secret))
    );
}

#[test]
fn a_bucket_is_reached_by_the_variables_of_aws_which_are_not_shown() {
    let environment = [
        ("AWS_ENDPOINT_URL", "https://s3.example:9000"),
        ("AWS_ACCESS_KEY_ID", "ann"),
        ("AWS_SECRET_ACCESS_KEY", "hush\n"),
        ("AWS_SESSION_TOKEN", ""),
    ];
    let config = good(
        &format!("{MINIMAL}\n[uploads]\nurl = \"s3://pictures/users/\""),
        &environment,
    );
    assert!(!format!("{config:?}").contains("hush"));
    assert!(
        config
            .warnings()
            .iter()
            .any(|warning| warning.contains("AWS_SECRET_ACCESS_KEY ends with"))
    );
    let UploadsUrl::S3(bucket) = config.uploads.url else {
        panic!("a bucket");
    };
    assert_eq!((&*bucket.name, &*bucket.prefix), ("pictures", "users"));
    let access: Vec<_> = bucket
        .access
        .iter()
        .map(|(name, value)| (&**name, value.expose()))
        .collect();
    assert_eq!(
        access,
        [
            ("AWS_ACCESS_KEY_ID", "ann"),
            ("AWS_ENDPOINT_URL", "https://s3.example:9000"),
            ("AWS_SECRET_ACCESS_KEY", "hush"),
        ]
    );
}

#[test]
fn a_fleet_that_takes_files_into_a_folder_is_warned_about() {
    let with = |url: &str| {
        let text = format!(
            "{MINIMAL}{ROUTE}\nfiles = [\"avatar\"]\n[store]\nurl = \"postgres://sandman@db/sandman\"\n[uploads]\nurl = \"{url}\""
        );
        let config = good(&text.replace("\"PUT\"", "\"POST\""), &[]);
        config
            .warnings()
            .iter()
            .any(|warning| warning.starts_with("uploads.url"))
    };
    assert!(with("file:uploads") && !with("s3://pictures"));
}
