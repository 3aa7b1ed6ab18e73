//! The environment overrides the file: `SANDMAN_<SECTION>__<KEY>` sets any key, and DreamScape's own names are understood.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::problem::{ProblemReport, nearest};
use super::secret::Secret;
use super::section::join;

/// Variables of Sandman that do not set a key.
const OWN: [&str; 2] = ["SANDMAN_ADMIN_TOKEN", "SANDMAN_LOG"];
/// Variables that the tests read.
const TESTS: &str = "SANDMAN_TEST_";
const PREFIX: &str = "SANDMAN_";
/// Variables of AWS's own clients.
const AWS: &str = "AWS_";

/// Variables of DreamScape's services, and of PostgreSQL's clients, that are understood.
const DREAMSCAPE: [&str; 9] = [
    "JWT_SECRET",
    "PGPASSWORD",
    "PGPASSFILE",
    "PORT",
    "KAFKA_BROKERS",
    "KAFKA_SSL",
    "KAFKA_SASL_USERNAME",
    "KAFKA_SASL_PASSWORD",
    "KAFKA_SASL_MECHANISM",
];

/// The value of a variable: text, or bytes that are not UTF-8.
#[derive(Clone)]
pub struct Variable(Option<String>);

impl From<String> for Variable {
    fn from(text: String) -> Self {
        Self(Some(text))
    }
}

impl From<std::ffi::OsString> for Variable {
    fn from(bytes: std::ffi::OsString) -> Self {
        Self(bytes.into_string().ok())
    }
}

impl Variable {
    /// The text; `None` if it is not UTF-8.
    pub fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// The environment of this process.
pub fn variables() -> impl Iterator<Item = (String, Variable)> {
    std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.into()))
}

/// Settings that only the environment has.
#[derive(Debug, Default)]
pub(super) struct Environment {
    pub(super) admin_token: Option<Secret>,
    pub(super) jwt_secret: Option<Secret>,
    pub(super) port: Option<String>,
    pub(super) kafka_ssl: Option<String>,
    pub(super) sasl_username: Option<String>,
    pub(super) sasl_password: Option<Secret>,
    pub(super) sasl_mechanism: Option<String>,
    pub(super) pg_password: Option<Secret>,
    pub(super) pg_passfile: Option<String>,
    /// The variables of AWS's own clients: the S3 server and the credentials.
    pub(super) aws: BTreeMap<String, Secret>,
}

/// Overrides the file's table with the environment, records which variable set which key, and returns the settings
/// without a key.
pub(super) fn overlay(
    table: &mut Table,
    variables: impl Iterator<Item = (String, Variable)>,
    report: &mut ProblemReport,
) -> Environment {
    let mut variables = readable(variables, report);
    // Compose files pass unset variables on as empty ones; DreamScape's names follow that habit.
    let mut filled = |name: &str| variables.remove(name).filter(|value| !value.is_empty());
    let brokers = filled("KAFKA_BROKERS");
    let home = filled("HOME");
    let mut environment = Environment {
        admin_token: None,
        jwt_secret: filled("JWT_SECRET").and_then(|text| secret("JWT_SECRET", text, report)),
        port: filled("PORT"),
        kafka_ssl: filled("KAFKA_SSL"),
        sasl_username: filled("KAFKA_SASL_USERNAME").and_then(|text| told("KAFKA_SASL_USERNAME", text, report)),
        sasl_password: filled("KAFKA_SASL_PASSWORD").and_then(|text| secret("KAFKA_SASL_PASSWORD", text, report)),
        sasl_mechanism: filled("KAFKA_SASL_MECHANISM"),
        pg_password: filled("PGPASSWORD").and_then(|text| secret("PGPASSWORD", text, report)),
        // The same path as for `psql`.
        pg_passfile: filled("PGPASSFILE").or_else(|| home.map(|home| format!("{home}/.pgpass"))),
        aws: BTreeMap::new(),
    };
    for (name, text) in variables.iter().filter(|(name, _)| name.starts_with(AWS)) {
        // As above: an empty variable counts as not set.
        if !text.trim().is_empty() {
            environment.aws.insert(name.clone(), Secret::new(text.clone()));
        }
    }
    if let Some(text) = variables.get("SANDMAN_ADMIN_TOKEN") {
        environment.admin_token = token("SANDMAN_ADMIN_TOKEN", text.clone(), report);
    }
    if let Some(brokers) = brokers {
        set(table, &["KAFKA", "BROKERS"], ("KAFKA_BROKERS", brokers), report);
    }
    set_ours(table, variables, report);
    environment
}

/// Variables that set a key of the configuration: `SANDMAN_SECTION__KEY`.
fn set_ours(table: &mut Table, variables: BTreeMap<String, String>, report: &mut ProblemReport) {
    for (name, value) in variables {
        if let Some(key) = name.strip_prefix(PREFIX)
            && !OWN.contains(&name.as_str())
            && !name.starts_with(TESTS)
            && !is_of_kubernetes(key, &value)
        {
            let segments: Vec<_> = key.split("__").collect();
            if segments.len() < 2 || segments.iter().any(|segment| segment.is_empty()) {
                unknown(&name, report);
            } else {
                set(table, &segments, (&name, value), report);
            }
        }
    }
}

/// The variables with text values. If one of ours is not text, this is a mistake: ignoring a secret could disable a protection.
fn readable(variables: impl Iterator<Item = (String, Variable)>, report: &ProblemReport) -> BTreeMap<String, String> {
    let mut read = BTreeMap::new();
    for (name, Variable(text)) in variables {
        match text {
            Some(text) => drop(read.insert(name, text)),
            None if name.starts_with(PREFIX) || DREAMSCAPE.contains(&name.as_str()) => {
                report.refuse(
                    &name,
                    "holds bytes that are no text in UTF-8; set it again, or leave it out",
                );
            }
            None => {}
        }
    }
    read
}

/// A text without trailing whitespace, which files and secret managers add.
pub(super) fn trimmed(name: &str, text: String, report: &ProblemReport) -> String {
    let kept = text.trim_end();
    if kept.len() == text.len() {
        return text;
    }
    report.warn(format!("{name} ends with blanks or a line break, which are taken off"));
    kept.to_owned()
}

/// A text, [`trimmed`]; a blank one is a mistake.
pub(super) fn told(name: &str, text: String, report: &ProblemReport) -> Option<String> {
    if text.trim().is_empty() {
        report.refuse(name, "is empty; leave it out, or set it");
        return None;
    }
    Some(trimmed(name, text, report))
}

/// A secret; a blank one is a mistake.
fn secret(name: &str, text: String, report: &ProblemReport) -> Option<Secret> {
    if text.trim().is_empty() {
        report.refuse(name, "is empty; leave it out, or give it a long random text");
        return None;
    }
    Some(Secret::new(trimmed(name, text, report)))
}

/// A secret that is sent with requests, so it must be valid in an HTTP header.
pub(super) fn token(name: &str, text: String, report: &ProblemReport) -> Option<Secret> {
    let token = secret(name, text, report)?;
    let visible = token.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if !visible {
        let problem = "holds characters that no client can send as a token; use letters, digits and signs of ASCII";
        report.refuse(name, problem);
    }
    visible.then_some(token)
}

/// Whether Kubernetes sets it for a Service whose name begins with ours: `SANDMAN_SERVICE_HOST`, `SANDMAN_PORT`,
/// `SANDMAN_PORT_3002_TCP_ADDR` and the like. `key` is the part after `SANDMAN_`.
fn is_of_kubernetes(key: &str, value: &str) -> bool {
    let words: Vec<_> = key.split('_').collect();
    let number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let of_a_service = |words: &[&str]| match words {
        ["SERVICE", "HOST"] | ["SERVICE", "PORT", ..] => true,
        // Kubernetes' values are addresses; that of our own key with a missing underscore is a number.
        ["PORT"] | ["PORT", _, "TCP" | "UDP" | "SCTP"] => value.contains("://"),
        ["PORT", port, "TCP" | "UDP" | "SCTP", "PROTO" | "PORT" | "ADDR"] => number(port),
        _ => false,
    };
    // A key of ours has two consecutive underscores.
    !words.contains(&"") && (0..words.len()).any(|from| words.get(from..).is_some_and(of_a_service))
}

fn unknown(name: &str, report: &ProblemReport) {
    let allowed = format!("SANDMAN_<SECTION>__<KEY> with two underscores, and {}", OWN.join(", "));
    let problem = "there is no such variable".to_owned();
    report.add(name, problem, Some(allowed), nearest(name, OWN));
}

/// Sets the key that the segments lead to.
fn set(table: &mut Table, segments: &[&str], variable: (&str, String), report: &mut ProblemReport) {
    let mut path = String::new();
    let found = descend(table, segments, &mut path, &mut report.made);
    match found {
        Some((place, known)) => {
            let held = std::mem::replace(place, Value::String(variable.1));
            if known {
                report.held.insert(path.clone(), held);
            }
            report.variables.insert(path, variable.0.to_owned());
        }
        None => report.refuse(
            variable.0,
            format!("leads through {path}, which has no such keys inside"),
        ),
    }
}

/// The table at the path of the segments, created if it is missing, and whether it existed; `None` if a plain value is
/// in the way. Created sections are recorded in `made`.
fn descend<'t>(
    table: &'t mut Table,
    segments: &[&str],
    path: &mut String,
    made: &mut BTreeSet<String>,
) -> Option<(&'t mut Value, bool)> {
    let (first, rest) = segments.split_first()?;
    let key = key_for(table, first, path);
    *path = join(path, &key);
    let known = table.contains_key(&key);
    let entry = table.entry(key);
    if rest.is_empty() {
        return Some((entry.or_insert_with(|| Value::String(String::new())), known));
    }
    if !known {
        made.insert(path.clone());
    }
    match entry.or_insert_with(|| Value::Table(Table::new())) {
        Value::Table(inner) => descend(inner, rest, path, made),
        Value::Array(entries) => {
            let (index, rest) = rest.split_first()?;
            let place = entries.get_mut(index.parse::<usize>().ok()?)?;
            *path = format!("{path}[{index}]");
            match place {
                whole if rest.is_empty() => Some((whole, true)),
                Value::Table(inner) => descend(inner, rest, path, made),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The key of a segment: an existing one, or else the segment in lower case.
fn key_for(table: &Table, segment: &str, path: &str) -> String {
    let there = table.keys().find(|key| in_environment(key) == segment);
    let made = || match path {
        // librdkafka's names have dots, which a variable's name cannot have.
        "kafka.options" => segment.to_lowercase().replace('_', "."),
        _ => segment.to_lowercase(),
    };
    there.cloned().unwrap_or_else(made)
}

/// A key as it is written in a variable's name: `SANDMAN_HANDLERS__<this>__…`.
pub fn in_environment(key: &str) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    key.chars().map(plain).collect()
}
