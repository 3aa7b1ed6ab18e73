//! What a guest costs in each language: `cargo run --release -p sandman-tests --bin guest_languages [-- LANGUAGE...]`.
//!
//! The reference guest counts: an event of about 400 bytes comes in, a small state and an event go out. Printed are the component's
//! size, how long it takes to build (once more, nothing changed) and to compile, the CPU time of one invocation on a fresh and
//! on a reused instance, the linear memory of an instance, and what an idle instance keeps of the machine's memory.

#[path = "guests_idle.rs"]
mod idle;

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sandman::guest::Language;
use sandman_core::limits::{Instances, Limits};
use sandman_core::outcome::{Context, EventView, Trigger};
use sandman_sandbox::{Label, Sandbox, SandboxOptions, SandboxedGuest, thread_cpu};
use sandman_tests::{Result, reference, repository};

/// Of each call.
const CONTEXT: Context<'_> = Context {
    now_millis: 1_735_689_600_000,
    attempt: 1,
    settings: "{}",
};
const INVOCATIONS: u32 = 3_000;
const MEMORY: u64 = 128 << 20;

fn main() -> Result {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::stdout();
    writeln!(
        out,
        "language     component      build    compile      fresh     reused     memory       idle"
    )?;
    for language in Language::ALL {
        let word = language.word();
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == word) {
            continue;
        }
        match language.missing() {
            Some(missing) => writeln!(out, "{:<12} {missing}", language.title())?,
            None => writeln!(out, "{:<12} {}", language.title(), measure(language)?)?,
        }
    }
    Ok(())
}

fn measure(language: Language) -> Result<String> {
    let component = std::fs::read(reference(language)?)?;
    let built = Instant::now();
    sandman::build_guest::build(
        &repository().join(format!("tests/guests/reference/{}", language.word())),
        &sandman::build_guest::BuildOptions::default(),
    )?;
    let built = built.elapsed();
    // A sandbox as a host with 32 workers has it.
    let sandbox = Sandbox::new(SandboxOptions::new(None, 32, MEMORY))?;
    let load = |instances| {
        let limits = Limits {
            time: Duration::from_secs(10),
            memory: MEMORY,
            ..Limits::default()
        };
        let label = Label {
            handler: Arc::from("reference"),
            version: 1,
        };
        sandbox.load(label, &component, limits, instances)
    };
    let compiling = Instant::now();
    let fresh = load(Instances::Fresh)?;
    let compiled = compiling.elapsed();
    let reused = load(Instances::Reused)?;
    let idle = idle::idle_memory(&load(Instances::Reused)?, event("{}"))?;
    let (on_fresh, on_reused) = (invocation(&fresh)?, invocation(&reused)?);
    Ok(format!(
        "{:>6.2} MB {:>8.2} s {:>8.2} s {:>7.1} us {:>7.1} us {:>6.1} MiB {:>6.2} MiB",
        component.len() as f64 / 1e6,
        built.as_secs_f64(),
        compiled.as_secs_f64(),
        on_fresh.as_secs_f64() * 1e6,
        on_reused.as_secs_f64() * 1e6,
        fresh.peak_memory() as f64 / f64::from(1 << 20),
        idle as f64 / f64::from(1 << 20),
    ))
}

/// The CPU time of one invocation: the least of ten rounds, since others use the machine.
fn invocation(guest: &SandboxedGuest) -> Result<Duration> {
    let payload = format!(r#"{{"do":"count","text":"{}"}}"#, "x".repeat(180));
    let event = event(&payload);
    let mut rounds = Vec::new();
    for _ in 0..10 {
        let began = thread_cpu();
        for _ in 0..INVOCATIONS / 10 {
            let outcome = guest.invoke(Trigger::Event(event), Some(r#"{"n":41}"#), CONTEXT)?;
            black_box(outcome);
        }
        rounds.push((thread_cpu() - began) / (INVOCATIONS / 10));
    }
    rounds.into_iter().min().context("no rounds")
}

fn event(payload: &str) -> EventView<'_> {
    EventView {
        key: "user-00001",
        event_id: "0d9f6f0e-7c41-4b5e-9f0c-6a9b6d5f1a2b",
        event_type: "reference.told",
        version: "1.0",
        timestamp: "2025-01-01T00:00:00.000Z",
        source: "bench",
        correlation_id: Some("b4a1b0fb-33c2-4b55-8a8b-4b7d58f2c1de"),
        causation_id: None,
        metadata: None,
        payload,
    }
}
