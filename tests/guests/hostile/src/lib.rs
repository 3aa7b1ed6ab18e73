//! Misbehaves on demand: the payload's `do` says how. What it does not know is done well.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use sandman_sdk::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Order {
    r#do: String,
    /// How much of it: bytes, events, attempts or millions of steps, as the deed needs.
    #[serde(default)]
    n: u64,
    /// A text to hide, to look for or to fail with.
    #[serde(default)]
    text: String,
}

/// How it describes itself. The tests write another word over the last one in the built component: see [`describe`].
static DESCRIBES: [u8; 29] = *b"hostile describes itself:well";

/// The version of its state's format. The tests write another digit over the last byte.
static FORMAT: [u8; 22] = *b"hostile state format:0";

/// What it keeps from one call to the next, where its instances are reused.
static KEPT: AtomicU64 = AtomicU64::new(0);

/// Can be read in two ways at each level of `nest`, neither of which fits a level that ends in a text.
const BRANCHING: &str = r##"{ "properties": { "nest": { "$ref": "#/$defs/level" } }, "$defs": { "level": { "anyOf": [
    { "type": "array", "items": { "$ref": "#/$defs/level" } },
    { "type": "array", "items": { "$ref": "#/$defs/level" }, "minItems": 0 }
] } } }"##;

/// What the handler consumes and emits.
pub fn describe() -> Contract {
    let honest = Contract::new()
        .consumes("hostile.told", ["1.0"])
        .emits("hostile.done", "1.0")
        .state_version(u32::from(black_box(&FORMAT)[21] - b'0'));
    let how = black_box(&DESCRIBES);
    if how.ends_with(b"trap") {
        trap();
    }
    if how.ends_with(b"more") {
        return honest.emits("hostile.secret", "1.0");
    }
    if how.ends_with(b"deep") {
        return honest.consumes_schema("hostile.told", ["1.0"], BRANCHING);
    }
    if how.ends_with(b"ring") {
        return honest.consumes_schema("hostile.told", ["1.0"], r##"{ "$ref": "#" }"##);
    }
    if how.ends_with(b"vast") {
        return (0..300).fold(honest, |vast, n| vast.emits(&format!("hostile.{n}"), "1.0"));
    }
    honest
}

/// Does as told.
///
/// # Errors
///
/// Where told to.
pub fn on_event(event: Event, state: Option<Value>, context: Context) -> Result<Outcome<Value>, Failure> {
    let order: Order = event.payload()?;
    match order.r#do.as_str() {
        "loop" => spin(),
        "allocate" => allocate(),
        "recurse" => drop(black_box(recurse(1))),
        "panic" => fall(&order.text),
        "trap" => trap(),
        "hide" => hide(&order.text),
        "hide-then-trap" => {
            hide(&order.text);
            trap();
        }
        "burn" => burn(order.n),
        "log-for-ever" => loop {
            log::info("again");
        },
        "log-garbage" => log::info(garbage()),
        "log-beyond" => log::info(beyond(64)),
        "reject-garbage" => return Err(rejected(garbage())),
        "reject-beyond" => return Err(rejected(beyond_of_its_own(64))),
        "flood-log" => (0..order.n).for_each(|line| log::info(format!("line {line} {}", order.text))),
        "long-log" => log::warn("x".repeat(usize::try_from(order.n).unwrap_or(usize::MAX))),
        "reject" => return Err(rejected(order.text)),
        "retry" => return Err(retry(order.text)),
        "fail" if u64::from(context.attempt) <= order.n => {
            return Err(retry(format!("attempt {} of {} that fail", context.attempt, order.n)));
        }
        "trap-first" if u64::from(context.attempt) <= order.n => trap(),
        _ => {}
    }
    Ok(answer(&order, state, &context))
}

fn answer(order: &Order, state: Option<Value>, context: &Context) -> Outcome<Value> {
    let n = usize::try_from(order.n).unwrap_or(usize::MAX);
    let done = json!({ "did": order.r#do, "attempt": context.attempt, "n": order.n });
    let outcome = Outcome::new();
    match order.r#do.as_str() {
        "return-much" => outcome.put(Value::String("x".repeat(n))),
        "many-events" => (0..n).fold(outcome, |outcome, _| outcome.emit("hostile.done", "1.0", &done)),
        "bad-status" => outcome.reply(99, &done),
        "undeclared" => outcome.emit("hostile.secret", "1.0", &done),
        "bad-metadata" => outcome.emit_event(Emitted::new("hostile.done", "1.0", &done).metadata("no object")),
        "keep" => {
            let kept = KEPT.fetch_add(1, Ordering::Relaxed) + 1;
            outcome.emit("hostile.done", "1.0", &json!({ "kept": kept }))
        }
        "look" => outcome.emit("hostile.done", "1.0", &json!({ "found": found(&order.text) })),
        _ => {
            let before = state
                .as_ref()
                .and_then(|state| state.get("count"))
                .and_then(Value::as_u64);
            outcome
                .emit("hostile.done", "1.0", &done)
                .put(json!({ "count": before.unwrap_or(0) + 1 }))
        }
    }
}

/// A text that is none.
#[expect(unsafe_code, reason = "what no safe guest can hand over is the deed")]
#[expect(invalid_from_utf8_unchecked, reason = "the deed itself")]
fn garbage() -> &'static str {
    // SAFETY: none; nothing in here looks at it, and the host must not trust it.
    unsafe { core::str::from_utf8_unchecked(b"\xff\xc0\xaf\xed\xa0\x80") }
}

/// A text of nearly four gigabytes that begins here and does not end in this memory.
#[expect(unsafe_code, reason = "what no safe guest can hand over is the deed")]
fn beyond(at: usize) -> &'static str {
    let length = black_box(u32::MAX as usize - 4096);
    // SAFETY: none; nothing in here looks at it, and the host must not trust it.
    unsafe {
        let bytes = core::slice::from_raw_parts(core::ptr::with_exposed_provenance(at), length);
        core::str::from_utf8_unchecked(bytes)
    }
}

/// The same as a text that nothing copies on its way to the host.
#[expect(unsafe_code, reason = "what no safe guest can hand over is the deed")]
fn beyond_of_its_own(at: usize) -> String {
    let length = black_box(u32::MAX as usize - 4096);
    // SAFETY: none, as above; it is never freed, for its host traps.
    unsafe { String::from_raw_parts(core::ptr::with_exposed_provenance_mut(at), length, length) }
}

fn spin() {
    loop {
        black_box(());
    }
}

fn burn(millions: u64) {
    for step in 0..millions.saturating_mul(1_000_000) {
        black_box(step);
    }
}

fn allocate() {
    let mut kept = Vec::new();
    loop {
        kept.push(black_box(vec![1_u8; 1 << 20]));
    }
}

#[expect(unconditional_recursion, reason = "the deed itself")]
fn recurse(depth: u64) -> u64 {
    black_box(depth) + recurse(black_box(depth + 1))
}

#[expect(clippy::panic, reason = "the deed itself")]
fn fall(text: &str) {
    panic!("{text}");
}

/// A trap without a panic: no text reaches the host.
fn trap() {
    #[cfg(target_family = "wasm")]
    core::arch::wasm32::unreachable();
}

/// Writes the text all over fresh memory and into a table-sized allocation that is never freed.
fn hide(text: &str) {
    let copies: Vec<String> = (0..10_000).map(|_| masked(text)).collect();
    black_box(copies.leak());
}

/// The secret as it lies in memory: not as it lies in the order, which is in memory for everybody to see.
fn masked(text: &str) -> String {
    text.bytes().map(|byte| char::from(byte ^ 1)).collect()
}

/// How often the masked text lies anywhere in this instance's memory, pages beyond the heap included.
fn found(text: &str) -> usize {
    let needle = masked(text);
    let own = 1; // `needle` itself
    occurrences(needle.as_bytes()).saturating_sub(own)
}

#[cfg(target_family = "wasm")]
fn occurrences(needle: &[u8]) -> usize {
    // Growing shows the pages that an instance before may have written.
    core::arch::wasm32::memory_grow::<0>(64);
    let end = core::arch::wasm32::memory_size::<0>() << 16;
    let first = needle.first().copied().unwrap_or_default();
    (1..end.saturating_sub(needle.len()))
        .filter(|&at| byte(at) == first && needle.iter().enumerate().all(|(i, &b)| byte(at + i) == b))
        .count()
}

#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "looking where a guest has no business to look is the deed")]
fn byte(at: usize) -> u8 {
    // SAFETY: below the memory's size, so the read is in bounds for WebAssembly.
    unsafe { core::ptr::with_exposed_provenance::<u8>(at).read_volatile() }
}

#[cfg(not(target_family = "wasm"))]
fn occurrences(_needle: &[u8]) -> usize {
    0
}

sandman_sdk::export!(describe, event = on_event);
