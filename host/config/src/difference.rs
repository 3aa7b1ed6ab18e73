//! The differences of two configurations for a running host: changes that it can apply, and keys that it reads only once.
//!
//! Every section is destructured field by field, so that a new key does not compile until it is handled here.

use std::sync::Arc;

use super::{AdminConfig, Config, HandlerConfig, HostConfig, HttpConfig, KafkaConfig, StoreConfig, UploadsConfig};

/// The differences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Changed keys that a running host cannot apply.
    pub restart: Vec<String>,
    /// Handlers that are new.
    pub added: Vec<Arc<str>>,
    /// Handlers that were removed.
    pub removed: Vec<Arc<str>>,
    /// Handlers with other event types to emit, limits, retries, settings or instances.
    pub changed: Vec<Arc<str>>,
    /// Handlers that are unchanged, but serve other routes.
    pub regranted: Vec<Arc<str>>,
    /// Whether the routes have changed.
    pub routes: bool,
}

impl Config {
    /// The differences of `new` from this one.
    pub fn difference(&self, new: &Self) -> Difference {
        let mut keys = ChangedKeys::default();
        keys.host(&self.host, &new.host);
        keys.kafka(&self.kafka, &new.kafka);
        keys.storage((&self.store, &self.uploads), (&new.store, &new.uploads));
        keys.listeners((&self.http, &self.admin), (&new.http, &new.admin));
        let mut difference = Difference {
            routes: self.routes != new.routes,
            ..Difference::default()
        };
        for handler in &self.handlers {
            let name = Arc::clone(&handler.name);
            let Some(now) = new.handlers.iter().find(|now| now.name == handler.name) else {
                difference.removed.push(name);
                continue;
            };
            if keys.handler(handler, now) {
                difference.changed.push(name);
            } else if self.grant(handler) != new.grant(now) {
                difference.regranted.push(name);
            }
        }
        let known = |handler: &&HandlerConfig| self.handlers.iter().any(|known| known.name == handler.name);
        let added = new.handlers.iter().filter(|handler| !known(handler));
        difference.added = added.map(|handler| Arc::clone(&handler.name)).collect();
        difference.restart = keys.0;
        difference
    }
}

/// The keys that changed.
#[derive(Default)]
struct ChangedKeys(Vec<String>);

impl ChangedKeys {
    fn add<T: PartialEq>(&mut self, key: &str, old: &T, new: &T) {
        if old != new {
            self.0.push(key.to_owned());
        }
    }

    fn host(&mut self, old: &HostConfig, new: &HostConfig) {
        let HostConfig {
            source,
            deployment,
            name,
            workers,
            allocation,
            grace,
            cache,
            log,
            in_flight,
            in_flight_bytes,
            parked,
            parked_bytes,
            batch,
            compiled,
            // Read again by each deploy.
            component: _,
            versions: _,
            compile_time,
            compile_memory,
            stack,
        } = old;
        self.add("host.source", source, &new.source);
        self.add("host.deployment", deployment, &new.deployment);
        self.add("host.workers", workers, &new.workers);
        self.add("host.allocation", allocation, &new.allocation);
        self.add("host.grace", grace, &new.grace);
        self.add("host.cache", cache, &new.cache);
        self.add("host.log", log, &new.log);
        self.add("host.in_flight", in_flight, &new.in_flight);
        self.add("host.in_flight_bytes", in_flight_bytes, &new.in_flight_bytes);
        self.add("host.name", name, &new.name);
        self.add("host.parked", parked, &new.parked);
        self.add("host.parked_bytes", parked_bytes, &new.parked_bytes);
        self.add("host.batch", batch, &new.batch);
        self.add("host.compiled", compiled, &new.compiled);
        self.add("host.compile_time", compile_time, &new.compile_time);
        self.add("host.compile_memory", compile_memory, &new.compile_memory);
        self.add("host.stack", stack, &new.stack);
    }

    fn kafka(&mut self, old: &KafkaConfig, new: &KafkaConfig) {
        let KafkaConfig {
            brokers,
            ssl,
            sasl,
            topic_prefix,
            partitions,
            dead_letter_topic,
            options,
        } = old;
        self.add("kafka.brokers", brokers, &new.brokers);
        self.add("KAFKA_SSL", ssl, &new.ssl);
        self.add("KAFKA_SASL_USERNAME", sasl, &new.sasl);
        self.add("kafka.topic_prefix", topic_prefix, &new.topic_prefix);
        self.add("kafka.partitions", partitions, &new.partitions);
        self.add("kafka.dead_letter_topic", dead_letter_topic, &new.dead_letter_topic);
        self.add("kafka.options", options, &new.options);
    }

    fn storage(&mut self, old: (&StoreConfig, &UploadsConfig), new: (&StoreConfig, &UploadsConfig)) {
        let StoreConfig {
            url,
            schema,
            shards,
            password,
            passfile,
            outbox,
            dead_letters,
            held,
        } = old.0;
        self.add("store.url", url, &new.0.url);
        self.add("store.schema", schema, &new.0.schema);
        self.add("store.shards", shards, &new.0.shards);
        self.add("PGPASSWORD", password, &new.0.password);
        self.add("PGPASSFILE", passfile, &new.0.passfile);
        self.add("store.outbox", outbox, &new.0.outbox);
        self.add("store.held", held, &new.0.held);
        self.add("store.dead_letters", dead_letters, &new.0.dead_letters);
        let UploadsConfig { url, keep } = old.1;
        self.add("uploads.url", url, &new.1.url);
        self.add("uploads.keep", keep, &new.1.keep);
    }

    fn listeners(&mut self, old: (&HttpConfig, &AdminConfig), new: (&HttpConfig, &AdminConfig)) {
        let HttpConfig {
            listen,
            jwt_secret,
            body,
            upload,
            timeout,
            connections,
            cors,
            cors_headers,
        } = old.0;
        self.add("http.listen", listen, &new.0.listen);
        self.add("JWT_SECRET", jwt_secret, &new.0.jwt_secret);
        self.add("http.body", body, &new.0.body);
        self.add("http.upload", upload, &new.0.upload);
        self.add("http.timeout", timeout, &new.0.timeout);
        self.add("http.connections", connections, &new.0.connections);
        self.add("http.cors", cors, &new.0.cors);
        self.add("http.cors_headers", cors_headers, &new.0.cors_headers);
        let AdminConfig {
            listen,
            tokens,
            read_data,
        } = old.1;
        self.add("admin.listen", listen, &new.1.listen);
        self.add("admin.tokens", tokens, &new.1.tokens);
        self.add("admin.read_data", read_data, &new.1.read_data);
    }

    /// Whether something changed that a running host applies.
    fn handler(&mut self, old: &HandlerConfig, new: &HandlerConfig) -> bool {
        let HandlerConfig {
            name,
            component,
            topics,
            key: keyed_by,
            tombstones,
            dedupe,
            emits,
            group,
            recreated,
            settings,
            instances,
            limits,
            retry,
            recordings,
            replay,
        } = old;
        let key = |key: &str| super::section::join(&super::section::join("handlers", name), key);
        if *component != new.component {
            self.0.push(format!(
                "{} (a running host takes it by `sandman deploy {name} {}`)",
                key("component"),
                new.component.display()
            ));
        }
        self.add(&key("topics"), topics, &new.topics);
        // Triggers in memory are in the lanes of the old keys.
        self.add(&key("key"), keyed_by, &new.key);
        self.add(&key("group"), group, &new.group);
        self.add(&key("recreated"), recreated, &new.recreated);
        let given = (emits, settings, instances, limits, retry);
        let kept = (tombstones, dedupe, recordings, replay);
        given != (&new.emits, &new.settings, &new.instances, &new.limits, &new.retry)
            || kept != (&new.tombstones, &new.dedupe, &new.recordings, &new.replay)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const BASE: &str = r#"
        host = { source = "s" }
        [handlers.a]
        component = "a.wasm"
        topics = ["t"]
        [handlers.b]
        component = "b.wasm"
        topics = ["t"]
    "#;
    const ROUTE: &str = r#"
        [[routes]]
        method = "GET"
        path = "/x/{id}"
        handlers = ["a"]
        key = "path:id"
        auth = "none"
    "#;

    fn config(text: &str) -> Config {
        let config = Config::parse(Path::new("sandman.toml"), text, std::iter::empty::<(String, String)>());
        config.unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn to(new: &str) -> Difference {
        config(BASE).difference(&config(new))
    }

    #[test]
    fn the_same_is_no_difference() {
        assert_eq!(to(BASE), Difference::default());
    }

    #[test]
    fn handlers_and_routes_come_and_go_and_limits_change() {
        let changed = to(&BASE.replace(
            "component = \"b.wasm\"",
            "component = \"b.wasm\"\nlimits = { time = \"1s\" }",
        ));
        assert_eq!((changed.changed, changed.restart), (vec!["b".into()], vec![]));
        let emits = to(&BASE.replace("\"b.wasm\"", "\"b.wasm\"\nemits = [\"x\"]"));
        assert_eq!((emits.changed, emits.restart), (vec!["b".into()], vec![]));
        let tombstones = to(&BASE.replace("\"b.wasm\"", "\"b.wasm\"\ntombstones = \"dead-letter\""));
        assert_eq!((tombstones.changed, tombstones.restart), (vec!["b".into()], vec![]));
        let dedupe = to(&BASE.replace("\"b.wasm\"", "\"b.wasm\"\ndedupe = 0"));
        assert_eq!((dedupe.changed, dedupe.restart), (vec!["b".into()], vec![]));
        let renamed = to(&BASE.replace("handlers.b", "handlers.c"));
        assert_eq!((renamed.added, renamed.removed), (vec!["c".into()], vec!["b".into()]));
        let routed = to(&format!("{BASE}{ROUTE}"));
        assert!(routed.routes && routed.restart.is_empty());
        assert_eq!(routed.regranted, ["a".into()]);
    }

    #[test]
    fn what_is_read_once_is_named_by_its_key() {
        let keys = |from: &str, to_: &str| to(&BASE.replace(from, to_)).restart;
        assert_eq!(
            keys("source = \"s\"", "source = \"other\""),
            ["host.source", "host.deployment", "handlers.a.group", "handlers.b.group"]
        );
        assert_eq!(keys("source = \"s\"", "source = \"s\", workers = 3"), ["host.workers"]);
        assert_eq!(
            keys("source = \"s\"", "source = \"s\", versions = 3"),
            Vec::<String>::new()
        );
        assert_eq!(
            keys("topics = [\"t\"]", "topics = [\"t\"]\nkey = \"payload:/id\""),
            ["handlers.a.key", "handlers.b.key"]
        );
        assert!(
            keys("a.wasm", "x.wasm")[0].contains("handlers.a.component (a running host takes it by `sandman deploy a")
        );
        assert_eq!(
            keys(
                "host =",
                "store.url = \"sqlite:x\"\nadmin.listen = \"127.0.0.1:1\"\nhost ="
            ),
            ["store.url", "admin.listen"]
        );
    }
}
