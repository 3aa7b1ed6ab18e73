//! The reference guest in Rust: see its README in the folder above.

use std::hint::black_box;
use std::time::{SystemTime, UNIX_EPOCH};

use sandman_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

const ROUTE: &str = "/reference/{key}";
const TOLD: &str = r#"{ "type": "object", "required": ["do"], "properties": { "do": { "type": "string" } } }"#;
const COUNTED: &str = r#"{ "type": "object", "required": ["n"], "properties": { "n": { "type": "integer" } } }"#;
const DONE: &str = "reference.done";

#[derive(Deserialize)]
struct Told {
    r#do: String,
    #[serde(default)]
    text: String,
}

/// The state.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Counted {
    /// How often.
    pub n: i64,
}

/// What the handler consumes, emits and serves.
pub fn describe() -> Contract {
    Contract::new()
        .consumes_schema("reference.told", ["1.0"], TOLD)
        .emits(DONE, "1.0")
        .emits_schema("reference.checked", "1.0", COUNTED)
        .serves("GET", ROUTE)
        .serves("PUT", ROUTE)
        .serves("DELETE", ROUTE)
        .state_version(2)
        .state_schema(COUNTED)
}

/// Does as told.
///
/// # Errors
///
/// Where told to.
pub fn on_event(event: Event, state: Option<Counted>, context: Context) -> Result<Outcome<Counted>, Failure> {
    let Told { r#do, text } = event.payload()?;
    let done = |payload: Value| Ok(Outcome::new().emit(DONE, "1.0", &payload));
    match r#do.as_str() {
        "count" => {
            let n = state.unwrap_or_default().n + 1;
            Ok(Outcome::new().emit(DONE, "1.0", &json!({ "n": n })).put(Counted { n }))
        }
        "forget" => Ok(Outcome::new().emit(DONE, "1.0", &json!({})).delete()),
        "echo" => Ok(Outcome::new().emit(DONE, "1.0", &event.payload::<Box<RawValue>>()?)),
        "text" => done(json!({ "text": text, "length": text.chars().count() })),
        "reject" => Err(rejected(text)),
        "retry" if context.attempt == 1 => Err(retry(text)),
        "retry" => done(json!({ "attempt": context.attempt })),
        "panic" => fall(&text),
        "loop" => loop {
            black_box(());
        },
        "allocate" => allocate(),
        "recurse" => done(json!(recurse(1))),
        "many" => Ok((0..1_000).fold(Outcome::new(), |outcome, _| outcome.emit(DONE, "1.0", &json!({})))),
        "log" => {
            log::info(text);
            done(json!({}))
        }
        "context" => {
            let settings: Value = context.settings()?;
            done(json!({ "now": context.now_millis, "attempt": context.attempt, "greeting": settings.get("greeting") }))
        }
        "envelope" => envelope(&event),
        "unfit" => Ok(Outcome::new().emit("reference.checked", "1.0", &json!({ "n": "text" }))),
        "undeclared" => Ok(Outcome::new().emit("reference.other", "1.0", &json!({}))),
        "clock" => done(json!({ "now": clock(), "given": context.now_millis })),
        // The standard library's `HashMap`, which docs/guests.md warns of, is all that Rust has.
        "random" => Err(rejected("there is no random source")),
        "order" => {
            let set: HashSet<&str> = text.split(' ').collect();
            let map: HashMap<&str, usize> = text.split(' ').enumerate().map(|(at, word)| (word, at)).collect();
            done(json!({ "set": set, "map": map.keys().collect::<Vec<_>>() }))
        }
        other => Err(rejected(format!("cannot do {other}"))),
    }
}

fn envelope(event: &Event) -> Result<Outcome<Counted>, Failure> {
    let payload = json!({
        "key": event.key,
        "eventId": event.event_id,
        "version": event.version,
        "source": event.source,
        "timestamp": event.timestamp,
        "correlationId": event.correlation_id,
        "metadata": event.metadata::<Value>()?,
    });
    let emitted = Emitted::new(DONE, "1.0", &payload)
        .key("other")
        .metadata(&json!({ "of": event.event_id }));
    Ok(Outcome::new().emit_event(emitted))
}

#[expect(clippy::disallowed_methods, reason = "it is told to")]
fn clock() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::panic, reason = "it is told to")]
fn fall(text: &str) -> ! {
    panic!("{text}")
}

fn allocate() -> ! {
    let mut all = Vec::new();
    loop {
        all.push(black_box(vec![1_u8; 1 << 20]));
        black_box(&all);
    }
}

#[expect(unconditional_recursion, reason = "it is told to")]
fn recurse(depth: u64) -> u64 {
    black_box(recurse(black_box(depth + 1))) + 1
}

/// Serves one request.
///
/// # Errors
///
/// Where the body is not JSON that can be read.
pub fn on_request(request: Request, state: Option<Counted>, _: Context) -> Result<Outcome<Counted>, Failure> {
    match request.method.as_str() {
        "GET" => Ok(match state {
            Some(counted) => Outcome::new().reply(200, &counted),
            None => Outcome::new().reply(404, &json!({ "error": "nothing" })),
        }),
        "PUT" => {
            let Ok(counted) = request.body::<Counted>() else {
                return Ok(Outcome::new().reply(400, &json!({ "error": "n" })));
            };
            let answer = json!({ "key": request.param("key"), "first": request.query("q") });
            Ok(Outcome::new()
                .emit(DONE, "1.0", &counted)
                .put(counted)
                .reply(200, &answer))
        }
        _ => Ok(Outcome::new().delete().reply_empty(204)),
    }
}

sandman_sdk::export!(describe, event = on_event, request = on_request);
