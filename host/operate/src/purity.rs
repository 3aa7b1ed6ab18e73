//! Checks that a component is a pure function: each trigger is run twice, and must give the same bytes.
//!
//! The triggers are generated from the contract, so this cannot prove that a handler is pure; but it finds a handler
//! that is obviously not, such as one that counts in a global variable while its instances are reused, before it
//! becomes active.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use sandman_core::contract::Contract;
use sandman_core::outcome::{Context, EventView, Outcome, RequestView, StateChange, Trigger};
use sandman_core::printable;
use sandman_sandbox::{InvokeError, SandboxedGuest};

/// The most triggers that are run: a contract may have hundreds, and the deploy waits.
const MOST: usize = 16;
/// The depth to which nested schemas are followed.
const DEPTH: usize = 8;

/// Two runs of the same trigger gave two outcomes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the component is not pure: the same trigger, {trigger}, gave two outcomes, in which {part} is {first}, and then {second}; \
     take the time from the context, and keep nothing in a global variable"
)]
pub struct Impure {
    /// The event type with its version, or the route.
    pub trigger: String,
    /// The first part of the outcome that differs, for example `the state`.
    pub part: String,
    /// Its value in the first run, cut.
    pub first: String,
    /// Its value in the second run, cut.
    pub second: String,
}

/// A generated trigger.
struct Sample {
    name: String,
    event_type: String,
    version: String,
    payload: String,
    route: Option<TriedRoute>,
}

struct TriedRoute {
    method: String,
    path: String,
    params: Vec<(String, String)>,
}

/// Runs triggers of the contract twice each, first without a state and then with the state that was put.
///
/// # Errors
/// [`Impure`] for the first whose runs differ.
pub(crate) fn check(guest: &SandboxedGuest, settings: &str) -> Result<(), Impure> {
    for sample in samples(guest.contract()).into_iter().take(MOST) {
        let first = twice(guest, &sample, None, settings)?;
        match first {
            Ok(Outcome {
                state: StateChange::Put(state),
                ..
            }) => drop(twice(guest, &sample, Some(&state), settings)?),
            // It has used up its time twice; other triggers would take as long.
            Err(InvokeError::Exceeded { .. }) => return Ok(()),
            _ => {}
        }
    }
    Ok(())
}

fn twice(
    guest: &SandboxedGuest,
    sample: &Sample,
    state: Option<&str>,
    settings: &str,
) -> Result<Result<Outcome, InvokeError>, Impure> {
    let run = || guest.invoke(sample.trigger(), state, context(settings));
    let (first, second) = (run(), run());
    // A run that a limit has ended is not a decision of the guest.
    let bounded = |run: &Result<Outcome, InvokeError>| matches!(run, Err(InvokeError::Exceeded { .. }));
    if first == second || bounded(&first) || bounded(&second) {
        return Ok(first);
    }
    let (part, first, second) = difference(&first, &second);
    Err(Impure {
        trigger: sample.name.clone(),
        part,
        first: cut(&first),
        second: cut(&second),
    })
}

/// The first part that differs, with its name and both values.
fn difference(first: &Result<Outcome, InvokeError>, second: &Result<Outcome, InvokeError>) -> (String, String, String) {
    let (first, second) = (parts(first), parts(second));
    let of = |parts: &[(String, String)], wanted: &str| {
        let found = parts.iter().find(|(name, _)| name == wanted);
        found.map_or_else(|| "nothing".to_owned(), |(_, text)| text.clone())
    };
    let names = first.iter().chain(&second).map(|(name, _)| name);
    let mut all = names.map(|name| (name.clone(), of(&first, name), of(&second, name)));
    all.find(|(_, first, second)| first != second)
        .unwrap_or_else(|| ("something".to_owned(), "one".to_owned(), "another".to_owned()))
}

/// The parts of the result of a run, each with a name and as text.
fn parts(run: &Result<Outcome, InvokeError>) -> Vec<(String, String)> {
    let outcome = match run {
        Ok(outcome) => outcome,
        Err(error) => return vec![("the failure".to_owned(), error.to_string())],
    };
    let mut parts = Vec::new();
    match &outcome.state {
        StateChange::Keep => {}
        StateChange::Put(state) => parts.push(("the state".to_owned(), state.to_string())),
        StateChange::Delete => parts.push(("the state".to_owned(), "deleted".to_owned())),
    }
    for (number, event) in (1..).zip(&outcome.events) {
        let mut text = format!("{} {} {}", event.event_type, event.version, event.payload);
        for (name, more) in [("key", &event.key), ("metadata", &event.metadata)] {
            if let Some(more) = more {
                let _ = write!(text, ", {name} {more}");
            }
        }
        parts.push((format!("event {number}"), text));
    }
    if let Some(reply) = &outcome.reply {
        let body = reply.body.as_deref().unwrap_or("without a body");
        parts.push(("the reply".to_owned(), format!("{} {body}", reply.status)));
    }
    parts
}

fn cut(text: &str) -> String {
    printable::line(text, 300).into_owned()
}

fn context(settings: &str) -> Context<'_> {
    Context {
        now_millis: 1_735_689_600_000,
        attempt: 1,
        settings,
    }
}

impl Sample {
    fn trigger(&self) -> Trigger<'_> {
        match &self.route {
            None => Trigger::Event(EventView {
                key: "key",
                event_id: "0d9f6f0e-7c41-4b5e-9f0c-6a9b6d5f1a2b",
                event_type: &self.event_type,
                version: &self.version,
                timestamp: "2025-01-01T00:00:00.000Z",
                source: "sandman",
                correlation_id: None,
                causation_id: None,
                metadata: None,
                payload: &self.payload,
            }),
            Some(TriedRoute { method, path, params }) => Trigger::Request(RequestView {
                key: "key",
                method,
                route: path,
                params,
                query: &[],
                claims: Some(r#"{"userId":"key"}"#),
                body: (method != "GET").then_some("{}"),
                files: &[],
                correlation_id: "b4a1b0fb-33c2-4b55-8a8b-4b7d58f2c1de",
            }),
        }
    }
}

fn samples(contract: &Contract) -> Vec<Sample> {
    let events = contract.consumes.iter().map(|consumes| {
        let version = consumes
            .versions
            .first()
            .map_or("1.0", |version| version.trim_start_matches('='));
        let schema = consumes
            .schema
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok());
        Sample {
            name: format!("{} {version}", consumes.event_type),
            event_type: consumes.event_type.clone(),
            version: version.to_owned(),
            payload: schema
                .map_or(Value::Object(Map::new()), |schema: Value| {
                    value(&schema, &schema, DEPTH)
                })
                .to_string(),
            route: None,
        }
    });
    let routes = contract.routes.iter().map(|route| Sample {
        name: format!("{} {}", route.method, route.path),
        event_type: String::new(),
        version: String::new(),
        payload: String::new(),
        route: Some(TriedRoute {
            method: route.method.clone(),
            path: route.path.clone(),
            params: parameters(&route.path),
        }),
    });
    events.chain(routes).collect()
}

fn parameters(path: &str) -> Vec<(String, String)> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| (name.to_owned(), "key".to_owned())).collect()
}

/// A small value that fits the simple parts of a schema: types, properties, constants and minimums.
fn value(schema: &Value, root: &Value, depth: usize) -> Value {
    let Some(deeper) = depth.checked_sub(1) else {
        return Value::Null;
    };
    if let Some(place) = schema.get("$ref").and_then(Value::as_str) {
        let target = place.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(Value::Null, |target| value(target, root, deeper));
    }
    let first = |name: &str| schema.get(name)?.as_array()?.first();
    if let Some(constant) = schema.get("const").or_else(|| first("enum")) {
        return constant.clone();
    }
    if let Some(choice) = first("anyOf").or_else(|| first("oneOf")) {
        return value(choice, root, deeper);
    }
    let kind = schema
        .get("type")
        .and_then(|kind| kind.as_str().or_else(|| kind.get(0)?.as_str()));
    match kind {
        Some("string") => {
            let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(1);
            Value::from("k".repeat(usize::try_from(least.clamp(1, 256)).unwrap_or(1)))
        }
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| Value::from(1)),
        Some("boolean") => Value::Bool(true),
        Some("array") => Value::Array(Vec::new()),
        Some("object") | None => {
            let properties = schema
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten();
            Value::Object(
                properties
                    .map(|(name, inner)| (name.clone(), value(inner, root, deeper)))
                    .collect(),
            )
        }
        Some(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_made_of_a_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "id": { "type": "string", "minLength": 3 },
                "age": { "type": "integer", "minimum": 18 },
                "kind": { "enum": ["a", "b"] },
                "inner": { "$ref": "#/$defs/inner" },
                "list": { "type": "array", "items": { "type": "string" } },
                "either": { "anyOf": [{ "type": "boolean" }, { "type": "null" }] },
            },
            "$defs": { "inner": { "type": "object", "properties": { "again": { "$ref": "#/$defs/inner" } } } },
        });
        let made = value(&schema, &schema, 4);
        assert_eq!(
            made,
            json!({
                "id": "kkk", "age": 18, "kind": "a", "inner": { "again": null }, "list": [], "either": true,
            })
        );
    }

    #[test]
    fn the_part_that_differs_is_named() {
        let put = |state: &str| {
            Ok(Outcome {
                state: StateChange::Put(state.into()),
                ..Outcome::default()
            })
        };
        let keep = Ok(Outcome::default());
        let named = |part: &str, first: &str, second: &str| (part.to_owned(), first.to_owned(), second.to_owned());
        assert_eq!(
            difference(&put(r#"{"n":1}"#), &put(r#"{"n":2}"#)),
            named("the state", r#"{"n":1}"#, r#"{"n":2}"#)
        );
        assert_eq!(difference(&keep, &put("1")), named("the state", "nothing", "1"));
        let replied = |status| {
            Ok(Outcome {
                reply: Some(sandman_core::outcome::Reply { status, body: None }),
                ..Outcome::default()
            })
        };
        assert_eq!(
            difference(&replied(200), &replied(204)),
            named("the reply", "200 without a body", "204 without a body")
        );
    }

    #[test]
    fn a_path_has_its_parameters() {
        let pairs = parameters("/users/{userId}/things/{thing}");
        let names: Vec<_> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["userId", "thing"]);
    }
}
