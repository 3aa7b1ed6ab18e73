//! The environment over the file: `SANDMAN_<SECTION>__<KEY>` sets any key, and DreamScape's own names are understood.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::problem::{Report, nearest};
use super::secret::Secret;
use super::section::join;

/// Variables of ours that set no key, and what reads them.
const OWN: [&str; 2] = ["SANDMAN_ADMIN_TOKEN", "SANDMAN_LOG"];
/// Variables that the tests read.
const TESTS: &str = "SANDMAN_TEST_";
const PREFIX: &str = "SANDMAN_";

/// The environment of this process; a variable that is not UTF-8 is none of ours.
pub fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// What the environment alone may set.
#[derive(Debug, Default)]
pub(super) struct Environment {
    pub(super) admin_token: Option<Secret>,
    pub(super) jwt_secret: Option<Secret>,
    pub(super) port: Option<String>,
    pub(super) kafka_ssl: Option<String>,
    pub(super) sasl_username: Option<String>,
    pub(super) sasl_password: Option<Secret>,
    pub(super) sasl_mechanism: Option<String>,
}

/// Lays the environment over the file's table, notes which variable set which key, and gives what has no key.
pub(super) fn overlay(
    table: &mut Table,
    variables: impl Iterator<Item = (String, String)>,
    report: &mut Report,
) -> Environment {
    let mut variables: BTreeMap<_, _> = variables.collect();
    // Compose files pass unset variables on as empty ones; DreamScape's names follow that habit.
    let mut filled = |name: &str| variables.remove(name).filter(|value| !value.is_empty());
    let brokers = filled("KAFKA_BROKERS");
    let mut environment = Environment {
        admin_token: None,
        jwt_secret: filled("JWT_SECRET").map(Secret::new),
        port: filled("PORT"),
        kafka_ssl: filled("KAFKA_SSL"),
        sasl_username: filled("KAFKA_SASL_USERNAME"),
        sasl_password: filled("KAFKA_SASL_PASSWORD").map(Secret::new),
        sasl_mechanism: filled("KAFKA_SASL_MECHANISM"),
    };
    if let Some(token) = variables.get("SANDMAN_ADMIN_TOKEN") {
        if token.trim().is_empty() {
            report.refuse(
                "SANDMAN_ADMIN_TOKEN",
                "is empty; leave it out, or give it a long random text",
            );
        }
        environment.admin_token = Some(Secret::new(token.clone()));
    }
    if let Some(brokers) = brokers {
        set(table, &["KAFKA", "BROKERS"], ("KAFKA_BROKERS", brokers), report);
    }
    for (name, value) in variables {
        if let Some(key) = name.strip_prefix(PREFIX)
            && !OWN.contains(&name.as_str())
            && !name.starts_with(TESTS)
        {
            let segments: Vec<_> = key.split("__").collect();
            if segments.len() < 2 || segments.iter().any(|segment| segment.is_empty()) {
                unknown(&name, report);
            } else {
                set(table, &segments, (&name, value), report);
            }
        }
    }
    environment
}

fn unknown(name: &str, report: &Report) {
    let allowed = format!("SANDMAN_<SECTION>__<KEY> with two underscores, and {}", OWN.join(", "));
    let problem = "there is no such variable".to_owned();
    report.add(name, problem, Some(allowed), nearest(name, OWN));
}

/// Sets the key that the segments lead to.
fn set(table: &mut Table, segments: &[&str], variable: (&str, String), report: &mut Report) {
    let mut path = String::new();
    let found = descend(table, segments, &mut path);
    match found {
        Some(place) => {
            *place = Value::String(variable.1);
            report.variables.insert(path, variable.0.to_owned());
        }
        None => report.refuse(
            variable.0,
            format!("leads through {path}, which has no such keys inside"),
        ),
    }
}

/// The place that the segments lead to, made where it is missing; `None` where a plain value is in the way.
fn descend<'t>(table: &'t mut Table, segments: &[&str], path: &mut String) -> Option<&'t mut Value> {
    let (first, rest) = segments.split_first()?;
    let key = key_for(table, first, path);
    *path = join(path, &key);
    let entry = table.entry(key);
    if rest.is_empty() {
        return Some(entry.or_insert_with(|| Value::String(String::new())));
    }
    match entry.or_insert_with(|| Value::Table(Table::new())) {
        Value::Table(inner) => descend(inner, rest, path),
        Value::Array(entries) => {
            let (index, rest) = rest.split_first()?;
            let place = entries.get_mut(index.parse::<usize>().ok()?)?;
            *path = format!("{path}[{index}]");
            match place {
                whole if rest.is_empty() => Some(whole),
                Value::Table(inner) => descend(inner, rest, path),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The key that a segment means: one that is there, else the segment in lower case.
fn key_for(table: &Table, segment: &str, path: &str) -> String {
    let there = table.keys().find(|key| in_environment(key) == segment);
    let made = || match path {
        // librdkafka's names have dots, which a variable's name cannot have.
        "kafka.options" => segment.to_lowercase().replace('_', "."),
        _ => segment.to_lowercase(),
    };
    there.cloned().unwrap_or_else(made)
}

/// A key as it is written in a variable's name.
pub(super) fn in_environment(key: &str) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    key.chars().map(plain).collect()
}
