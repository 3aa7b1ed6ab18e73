//! Every mistake is named.

use std::path::Path;

use super::{MINIMAL, ROUTE, good, load, problems, refused};
use crate::Config;

const VALUES: &[(&str, &str, &str, &str)] = &[
    ("host", "workers = 0", "host.workers", "a whole number from 1 to 1024"),
    ("host", "workers = \"4\"", "host.workers", "\"4\" is not allowed"),
    ("host", "allocation = \"slots\"", "host.allocation", "on-demand"),
    ("host", "grace = \"20\"", "host.grace", "a duration from 100ms to 10m"),
    ("host", "grace = \"2h\"", "host.grace", "\"2h\" is not allowed"),
    ("host", "cache = \"16MB\"", "host.cache", "KiB, MiB, GiB"),
    ("host", "log = \"xml\"", "host.log", "\"text\", \"json\""),
    ("host", "parked = 20000", "host.parked", "more than in_flight (10000)"),
    ("host", "batch = -1", "host.batch", "from 1 to"),
    ("host", "deployment = \"a b\"", "host.deployment", "letters, digits"),
    ("host", "compiled = \"\"", "host.compiled", "not empty"),
    ("kafka", "brokers = \"\"", "kafka.brokers", "host:port"),
    ("kafka", "brokers = \"localhost\"", "kafka.brokers", "host:port"),
    ("kafka", "brokers = \"a:1,embedded\"", "kafka.brokers", "host:port"),
    ("kafka", "brokers = \"ssl://a:1\"", "kafka.brokers", "host:port"),
    ("kafka", "partitions = 0", "kafka.partitions", "from 1 to 10000"),
    ("kafka", "topic_prefix = \"a/b\"", "kafka.topic_prefix", "up to 100"),
    ("kafka", "ssl = true", "kafka.ssl", "KAFKA_SSL"),
    ("kafka", "sasl = {}", "kafka.sasl", "KAFKA_SASL_USERNAME"),
    ("kafka", "options = 3", "kafka.options", "a table of keys"),
    ("store", "url = \"mysql://x\"", "store.url", "\"sqlite:PATH\""),
    ("store", "url = \"sqlite:\"", "store.url", "\"sqlite:PATH\""),
    ("store", "outbox = 1", "store.outbox", "from 64KiB to 1TiB"),
    ("uploads", "url = \"s3://x\"", "uploads.url", "\"file:PATH\""),
    (
        "uploads",
        "url = \"s3://ann:hush@pictures\"",
        "uploads.url",
        "\"s3://BUCKET/PREFIX\"",
    ),
    ("http", "listen = \"3002\"", "http.listen", "an IP address and a port"),
    ("http", "jwt_secret = \"x\"", "http.jwt_secret", "JWT_SECRET"),
    ("http", "body = \"1GiB\"", "http.body", "from 1KiB to 64MiB"),
    ("http", "upload = 0", "http.upload", "from 1KiB to 64MiB"),
    ("http", "timeout = \"1h\"", "http.timeout", "from 100ms to 10m"),
    ("http", "connections = 0", "http.connections", "from 1 to 100000"),
    ("http", "cors = [\"*\"]", "http.cors", "an origin"),
    ("http", "cors = [\"https://a.example/\"]", "http.cors", "no slash"),
    ("http", "cors = [\"https://A.example\"]", "http.cors", "lower-case"),
    (
        "http",
        "cors = [\"https://a.example:443\"]",
        "http.cors",
        "not the usual one",
    ),
    (
        "http",
        "cors_headers = [\"*\", \"b3\"]",
        "http.cors_headers",
        "[\"*\"], or",
    ),
    ("http", "cors_headers = [\"B3\"]", "http.cors_headers", "lower-case"),
    ("http", "cors_headers = [\"a b\"]", "http.cors_headers", "a header"),
    (
        "http",
        "cors_headers = [\"b3\", \"b3\"]",
        "http.cors_headers",
        "at most once",
    ),
    (
        "admin",
        "listen = \"0.0.0.0:3902\"",
        "admin.listen",
        "SANDMAN_ADMIN_TOKEN",
    ),
    (
        "admin",
        "listen = \"127.0.0.1:3002\"",
        "admin.listen",
        "taken by http.listen",
    ),
    ("admin", "token = \"x\"", "admin.token", "SANDMAN_ADMIN_TOKEN"),
    (
        "admin",
        "tokens = { ci = \"x\" }",
        "admin.tokens.ci",
        "SANDMAN_ADMIN__TOKENS__CI",
    ),
];

#[test]
fn every_bad_value_is_named_with_its_key_and_what_is_allowed() {
    for (section, line, key, words) in VALUES.iter().copied() {
        let text = match section {
            "host" => MINIMAL.replace("[host]", &format!("[host]\n{line}")),
            _ => format!("{MINIMAL}\n[{section}]\n{line}"),
        };
        refused(&text, &[], key, words);
    }
}

const HANDLERS: &[(&str, &str, &str)] = &[
    (
        "key = \"userId\"",
        "handlers.profile.key",
        "such as \"payload:/userId\"",
    ),
    ("key = \"payload:userId\"", "handlers.profile.key", "a JSON pointer"),
    ("key = 7", "handlers.profile.key", "\"record\""),
    (
        "tombstones = \"drop\"",
        "handlers.profile.tombstones",
        "\"skip\", \"dead-letter\"",
    ),
    ("dedupe = 1001", "handlers.profile.dedupe", "from 0 to 1000"),
    (
        "limits = { time = \"0ms\" }",
        "handlers.profile.limits.time",
        "from 1ms to 1m",
    ),
    (
        "limits = { memory = \"5TiB\" }",
        "handlers.profile.limits.memory",
        "\"5TiB\" is not allowed",
    ),
    (
        "limits = { memory = 1 }",
        "handlers.profile.limits.memory",
        "from 64KiB to 1GiB",
    ),
    (
        "limits = { output = 0 }",
        "handlers.profile.limits.output",
        "from 1B to 64MiB",
    ),
    (
        "limits = { events = 10001 }",
        "handlers.profile.limits.events",
        "from 0 to 10000",
    ),
    ("limits = { log = \"x\" }", "handlers.profile.limits.log", "a size"),
    ("limits = \"none\"", "handlers.profile.limits", "a table of keys"),
    (
        "limits = { mem = 1 }",
        "handlers.profile.limits.mem",
        "did you mean `memory`?",
    ),
    (
        "retry = { attempts = 0 }",
        "handlers.profile.retry.attempts",
        "from 1 to 1000",
    ),
    ("retry = { first = 1 }", "handlers.profile.retry.first", "a duration"),
    (
        "retry = { factor = 0.5 }",
        "handlers.profile.retry.factor",
        "a number from 1.0 to 100.0",
    ),
    ("retry = { factor = nan }", "handlers.profile.retry.factor", "a number"),
    (
        "retry = { max = \"10ms\" }",
        "handlers.profile.retry.max",
        "shorter than first",
    ),
    (
        "instances = \"pooled\"",
        "handlers.profile.instances",
        "\"fresh\", \"reused\"",
    ),
    (
        "recreated = \"skip\"",
        "handlers.profile.recreated",
        "\"stop\", \"restart\"",
    ),
    ("group = \"\"", "handlers.profile.group", "1 to 249"),
    ("emits = \"user.updated\"", "handlers.profile.emits", "a list"),
    ("emits = [\"a\", \"a\"]", "handlers.profile.emits", "at most once"),
    ("emits = [\"a b\"]", "handlers.profile.emits", "letters, digits"),
    ("settings = 1", "handlers.profile.settings", "a table of keys"),
    (
        "settings = { x = inf }",
        "handlers.profile.settings.x",
        "does not exist in JSON",
    ),
    (
        "component_path = \"x\"",
        "handlers.profile.component_path",
        "did you mean `component`?",
    ),
    ("zzz = 1", "handlers.profile.zzz", "allowed: component, topics"),
];

#[test]
fn every_bad_handler_is_named() {
    for (line, key, words) in HANDLERS.iter().copied() {
        refused(&format!("{MINIMAL}{line}"), &[], key, words);
    }
    let no_component = MINIMAL.replace("component", "#");
    refused(&no_component, &[], "handlers.profile.component", "is missing");
    let no_source = MINIMAL.replace("source", "#");
    refused(&no_source, &[], "host.source", "is missing");
    let idle = MINIMAL.replace("topics", "#");
    refused(&idle, &[], "handlers.profile.topics", "nothing would ever call it");
    let relay = MINIMAL.replace("dreamscape.user.created", "user-service.relay");
    refused(&relay, &[], "handlers.profile.topics", "the relay's own topic");
    let name = MINIMAL.replace("handlers.profile", "handlers.Profile");
    refused(&name, &[], "handlers.Profile", "lower-case letters");
    refused("[host]\nsource = \"a\"", &[], "handlers", "there is none");
    let both = "topics = ['t', 'dreamscape.user.created']\ngroup = 'user-service-profile'";
    let group = format!("{MINIMAL}\n[handlers.b]\ncomponent = 'x'\n{both}");
    let words = "dreamscape.user.created is consumed by handlers.b too, in the same group \"user-service-profile\"";
    refused(&group, &[], "handlers.profile.topics", words);
    let alike = format!(
        "{MINIMAL}\n[handlers.a-b]\ncomponent = 'x'\ntopics = ['t']\n[handlers.a_b]\ncomponent = 'x'\ntopics = ['t']"
    );
    refused(&alike, &[], "handlers.a_b", "is written like handlers.a-b");
}

#[test]
fn every_bad_route_is_named() {
    let cases = [
        ("\"PUT\"", "\"put\"", "method", "\"GET\", \"POST\""),
        ("\"/users/{userId}\"", "\"users/{userId}\"", "path", "a path such as"),
        (
            "\"/users/{userId}\"",
            "\"/users/{userId}/\"",
            "path",
            "no slash at the end",
        ),
        (
            "\"/users/{userId}\"",
            "\"/{userId}/{userId}\"",
            "path",
            "each parameter once",
        ),
        ("\"/users/{userId}\"", "\"/a/../{userId}\"", "path", "a path such as"),
        (
            "\"/users/{userId}\"",
            "\"/health/{userId}\"",
            "path",
            "answered by the host",
        ),
        ("[\"profile\"]", "[]", "handlers", "at least one"),
        ("[\"profile\"]", "[\"profil\"]", "handlers", "did you mean `profile`?"),
        (
            "[\"profile\"]",
            "[\"profile\", \"profile\"]",
            "handlers",
            "at most once",
        ),
        ("path:userId", "path:user", "key", "no parameter {user}"),
        ("path:userId", "header:userId", "key", "\"claim:NAME\""),
        ("path:userId", "claim:userId", "auth", "must be \"required\""),
        ("\"none\"", "\"maybe\"", "auth", "\"required\", \"optional\", \"none\""),
        ("method", "methods", "methods", "did you mean `method`?"),
    ];
    for (from, to, key, words) in cases {
        let text = format!("{MINIMAL}{}", ROUTE.replace(from, to));
        let found = problems(&text, &[]);
        let key = format!("routes[0].{key}");
        let named = found.iter().find(|problem| problem.key == key).map(ToString::to_string);
        assert!(
            named.as_ref().is_some_and(|named| named.contains(words)),
            "{key}: {words}: {found:#?}"
        );
    }
    let twice = format!("{MINIMAL}{ROUTE}{}", ROUTE.replace("userId", "id"));
    refused(&twice, &[], "routes[1].path", "the same requests as routes[0]");
    refused(&format!("{MINIMAL}\n[routes]\nx = 1"), &[], "routes", "[[routes]]");
}

#[test]
fn every_bad_variable_is_named() {
    let cases = [
        (
            "SANDMAN_HOST__WORKERS",
            "many",
            "host.workers",
            "(set by SANDMAN_HOST__WORKERS)",
        ),
        ("SANDMAN_HOST__WORKRES", "3", "host.workres", "did you mean `workers`?"),
        ("SANDMAN_HOTS__WORKERS", "3", "hots", "did you mean `host`?"),
        ("SANDMAN_LOGS", "debug", "SANDMAN_LOGS", "did you mean `SANDMAN_LOG`?"),
        (
            "SANDMAN_HOST_WORKERS",
            "3",
            "SANDMAN_HOST_WORKERS",
            "SANDMAN_<SECTION>__<KEY>",
        ),
        (
            "SANDMAN_HOST__SOURCE__X",
            "3",
            "SANDMAN_HOST__SOURCE__X",
            "leads through host.source",
        ),
        ("SANDMAN_ADMIN_TOKEN", " ", "SANDMAN_ADMIN_TOKEN", "is empty"),
        (
            "SANDMAN_KAFKA__OPTIONS__GROUP_ID",
            "x",
            "kafka.options.\"group.id\"",
            "handlers.<name>.group",
        ),
        ("KAFKA_BROKERS", "nowhere", "kafka.brokers", "(set by KAFKA_BROKERS)"),
        ("KAFKA_SSL", "yes", "KAFKA_SSL", "\"true\" or \"false\""),
        ("KAFKA_SASL_USERNAME", "ann", "KAFKA_SASL_PASSWORD", "is missing"),
        ("KAFKA_SASL_PASSWORD", "hush", "KAFKA_SASL_USERNAME", "is missing"),
        (
            "KAFKA_SASL_MECHANISM",
            "gssapi",
            "KAFKA_SASL_MECHANISM",
            "\"scram-sha-256\"",
        ),
        ("PORT", "eighty", "PORT", "a port number"),
    ];
    for (name, value, key, words) in cases {
        refused(MINIMAL, &[(name, value)], key, words);
    }
}

#[test]
fn what_a_bucket_needs_is_named_by_its_variable() {
    let text = format!("{MINIMAL}\n[uploads]\nurl = \"s3://pictures/users\"");
    let cases = [
        (
            "AWS_ACCESS_KEY_ID",
            "ann",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ACCESS_KEY_ID is set",
        ),
        (
            "AWS_SECRET_ACCESS_KEY",
            "hush",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY is set",
        ),
        (
            "AWS_ENDPOINT_URL",
            "s3.example:9000",
            "AWS_ENDPOINT_URL",
            "https://s3.example:9000",
        ),
        (
            "AWS_ENDPOINT_URL_S3",
            "s3.example",
            "AWS_ENDPOINT_URL_S3",
            "leave it out",
        ),
    ];
    for (name, value, key, words) in cases {
        refused(&text, &[(name, value)], key, words);
        // Without a bucket they are none of ours.
        good(MINIMAL, &[(name, value)]);
    }
    let shown = format!("{:#?}", problems(&text, &[("AWS_SECRET_ACCESS_KEY", "hush")]));
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn librdkafka_settings_that_the_host_owns_are_refused_with_the_reason() {
    let cases = [
        ("bootstrap.servers", "kafka.brokers"),
        ("enable.auto.commit", "progress is kept in the store"),
        ("isolation.level", "read_committed"),
        ("partitioner", "murmur2_random"),
        ("transactional.id", "host.deployment"),
        ("sasl.password", "KAFKA_SASL_PASSWORD"),
    ];
    for (option, words) in cases {
        let text = format!("{MINIMAL}\n[kafka.options]\n\"{option}\" = \"topsecret\"");
        refused(&text, &[], &crate::section::join("kafka.options", option), words);
        assert!(!problems(&text, &[])[0].to_string().contains("topsecret"));
    }
    let text = format!("{MINIMAL}\n[kafka.options]\n\"client.id\" = [1]");
    refused(&text, &[], "kafka.options.\"client.id\"", "must be text");
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let text = MINIMAL.replace("source", "sorce").replace("topics", "topcis");
    let errors =
        load(&format!("{text}\n[stroe]\nurl = 1"), &[("SANDMAN_HOST__GRACE", "x")]).expect_err("many mistakes");
    let keys: Vec<_> = errors.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "host.source",
            "host.grace",
            "host.sorce",
            "handlers.profile.topcis",
            "stroe"
        ]
    );
    let text = errors.to_string();
    assert!(text.starts_with("5 mistakes in the configuration /etc/sandman/sandman.toml\n  host.source: is missing"));
    assert!(
        text.contains("stroe: there is no such key; did you mean `store`?"),
        "{text}"
    );
}

#[test]
fn a_syntax_error_has_its_line_and_column() {
    refused("[host]\nsource = \n", &[], "line 2, column 10", "");
    refused(
        "[host]\nsource = \"a\"\nsource = \"b\"",
        &[],
        "line 3, column 1",
        "duplicate key",
    );
}

#[test]
fn a_file_that_is_not_there_says_so() {
    let errors = Config::load(
        Path::new("/nowhere/sandman.toml"),
        std::iter::empty::<(String, String)>(),
    )
    .expect_err("no such file");
    assert!(errors.to_string().contains("the file cannot be read"), "{errors}");
}

#[test]
fn a_fleet_may_hold_keys_and_pause_handlers() {
    let on = |lines: &str| format!("{MINIMAL}{lines}\n[store]\nurl = \"postgres://sandman@db/sandman\"\n");
    for word in ["dead-letter", "hold-key", "pause-handler"] {
        good(&on(&format!("exhausted = \"{word}\"")), &[]);
    }
    good(&on("failing = { share = 0.5 }"), &[]);
}
