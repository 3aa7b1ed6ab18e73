//! A `sandman.toml` for one behaviour.

use std::fmt::Write;
use std::path::Path;

/// How long a group waits for a member that was killed: the least that a broker takes that was not told otherwise.
const SESSION: &str = "6000";

/// One handler's table.
#[derive(Clone, Debug)]
pub struct Handler {
    name: String,
    topics: Vec<String>,
    emits: Vec<String>,
    lines: Vec<(String, String)>,
}

impl Handler {
    /// A handler that runs a component.
    pub fn new(name: &str, component: &Path) -> Self {
        Self {
            name: name.to_owned(),
            topics: Vec::new(),
            emits: Vec::new(),
            lines: vec![("component".to_owned(), quoted(&component.to_string_lossy()))],
        }
    }

    /// Consumes these topics.
    #[must_use]
    pub fn consumes(mut self, topics: &[&String]) -> Self {
        self.topics = topics.iter().map(|topic| (*topic).clone()).collect();
        self
    }

    /// May publish these event types.
    #[must_use]
    pub fn emits(mut self, types: &[&str]) -> Self {
        self.emits = types.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Any other key, its value as TOML.
    #[must_use]
    pub fn set(mut self, key: &str, toml: &str) -> Self {
        self.lines.retain(|(known, _)| known != key);
        self.lines.push((key.to_owned(), toml.to_owned()));
        self
    }
}

/// The whole file.
#[derive(Clone, Debug)]
pub struct Settings {
    deployment: String,
    prefix: String,
    lines: Vec<(String, String)>,
    handlers: Vec<Handler>,
    routes: Vec<String>,
    variables: Vec<(String, String)>,
    faulty: bool,
}

impl Settings {
    /// A host that shares nothing with those of other behaviours but the broker.
    pub(crate) fn new(deployment: &str, prefix: &str, brokers: &str) -> Self {
        let settings = Self {
            deployment: deployment.to_owned(),
            prefix: prefix.to_owned(),
            lines: Vec::new(),
            handlers: Vec::new(),
            routes: Vec::new(),
            variables: Vec::new(),
            faulty: false,
        };
        settings
            .set("host.source", &quoted("user-service"))
            .set("host.deployment", &quoted(deployment))
            .set("kafka.brokers", &quoted(brokers))
            .set("kafka.topic_prefix", &quoted(prefix))
            // Large components take long on a debug build whose cores are busy.
            .set("host.compile_time", &quoted("10m"))
            // A host that was killed leaves the group soon.
            .set("kafka.options.\"session.timeout.ms\"", SESSION)
            .set("kafka.options.\"heartbeat.interval.ms\"", "500")
            .set("store.url", &quoted("sqlite:data/sandman.db"))
            .set("uploads.url", &quoted("file:data/uploads"))
            .set("http.listen", &quoted("127.0.0.1:0"))
            .set("admin.listen", &quoted("127.0.0.1:0"))
    }

    /// Sets a key by its path, such as `host.workers`, to a value in TOML.
    #[must_use]
    pub fn set(mut self, path: &str, toml: &str) -> Self {
        self.lines.retain(|(known, _)| known != path);
        self.lines.push((path.to_owned(), toml.to_owned()));
        self
    }

    /// Leaves a key out.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        self.lines.retain(|(known, _)| known != path);
        self
    }

    /// Adds a handler.
    #[must_use]
    pub fn handler(mut self, handler: Handler) -> Self {
        self.handlers.push(handler);
        self
    }

    /// Sets a variable of the host's environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs the binary that has faults compiled in, with one of them: what `SANDMAN_TEST_<name>` is to say.
    #[must_use]
    pub fn fault(mut self, name: &str, value: &str) -> Self {
        self.faulty = true;
        self.variable(&format!("SANDMAN_TEST_{name}"), value)
    }

    /// Whether the binary with faults is meant.
    pub(crate) fn is_faulty(&self) -> bool {
        self.faulty
    }

    /// What the host's environment says.
    pub(crate) fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// Adds a route that anybody may ask, `POST /path/{key}`, answered by these handlers.
    #[must_use]
    pub fn route(self, path: &str, handlers: &[&str]) -> Self {
        self.route_for("POST", path, handlers)
    }

    /// The same for another method.
    #[must_use]
    pub fn route_for(mut self, method: &str, path: &str, handlers: &[&str]) -> Self {
        let key = path.split(['{', '}']).nth(1).unwrap_or("key");
        self.routes.push(format!(
            "[[routes]]\nmethod = {method:?}\npath = {path:?}\nhandlers = {handlers:?}\nkey = \"path:{key}\"\nauth = \"none\""
        ));
        self
    }

    /// The same for a form that may hold a picture in the field `avatar`.
    #[must_use]
    pub fn route_with_avatar(self, path: &str, handlers: &[&str]) -> Self {
        let mut settings = self.route(path, handlers);
        if let Some(route) = settings.routes.last_mut() {
            route.push_str("\nfiles = [\"avatar\"]");
        }
        settings
    }

    /// Every topic that the host reads or writes.
    pub(crate) fn topics(&self) -> Vec<String> {
        let mut topics = vec![format!("{}.relay", self.deployment)];
        for handler in &self.handlers {
            topics.extend(
                handler
                    .topics
                    .iter()
                    .flat_map(|topic| [topic.clone(), format!("{topic}.dlq")]),
            );
            topics.extend(handler.emits.iter().map(|name| format!("{}{name}", self.prefix)));
        }
        topics.sort();
        topics.dedup();
        topics
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (path, value) in &self.lines {
            let _ = writeln!(text, "{path} = {value}");
        }
        for handler in &self.handlers {
            let _ = writeln!(text, "\n[handlers.{}]", handler.name);
            let _ = writeln!(text, "topics = {:?}", handler.topics);
            let _ = writeln!(text, "emits = {:?}", handler.emits);
            for (key, value) in &handler.lines {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        for route in &self.routes {
            let _ = writeln!(text, "\n{route}");
        }
        text
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}
