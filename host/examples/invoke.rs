//! Prints what one invocation costs, in CPU time: `cargo run --release --example invoke [FILE.wasm]`.
//!
//! Without a file it builds and measures the test guest `echo`: a typed event of 400 bytes, a typed state, two events.
#![expect(clippy::print_stdout, reason = "an example that prints what it measures")]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};
use sandman::build_guest::{BuildOptions, build};
use sandman::limits::{Instances, Limits};
use sandman::outcome::{Context, EventView, StateChange, Trigger};
use sandman::sandbox::{Guest, Label, Sandbox, SandboxOptions};

const WARM_UP: u32 = 2_000;
const ROUNDS: u32 = 50_000;

fn main() -> Result<()> {
    let file = match std::env::args_os().nth(1) {
        Some(file) => PathBuf::from(file),
        None => {
            let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/guests/echo");
            let options = BuildOptions {
                show: true,
                ..BuildOptions::default()
            };
            build(dir.as_ref(), &options)?.path
        }
    };
    let wasm = std::fs::read(&file).with_context(|| file.display().to_string())?;
    let cache = std::env::temp_dir().join(format!("sandman-invoke-{}", rustix::process::geteuid().as_raw()));
    let sandbox = Sandbox::new(SandboxOptions::new(cache, 8, 16 << 20))?;
    println!("component    {:>8} bytes", wasm.len());
    for (name, instances) in [("fresh", Instances::Fresh), ("reused", Instances::Reused)] {
        let label = Label {
            handler: "bench".into(),
            version: 1,
        };
        let guest = sandbox.load(label, &wasm, Limits::default(), instances)?;
        println!("{name:<8} {:>10.2} µs per invocation", measure(&guest)?);
    }
    Ok(())
}

fn measure(guest: &Guest) -> Result<f64> {
    let payload = format!(r#"{{"n":1,"text":"{}"}}"#, "x".repeat(380));
    let event = EventView {
        key: "user-00000001",
        event_id: "0d9f6f0e-7c41-4b5e-9f0c-6a9b6d5f1a2b",
        event_type: "thing.happened",
        version: "1.0",
        timestamp: "2025-01-01T00:00:00.000Z",
        source: "bench",
        correlation_id: Some("4b0c7e0e-2f7b-4a6b-8f38-1f8b2b6a9c11"),
        causation_id: None,
        metadata: None,
        payload: &payload,
    };
    let context = Context {
        now_millis: 0,
        attempt: 1,
        settings: "{}",
    };
    let mut state = None;
    let mut started = Duration::ZERO;
    for round in 0..WARM_UP + ROUNDS {
        if round == WARM_UP {
            started = cpu_time();
        }
        let outcome = guest.invoke(Trigger::Event(event), state.as_deref(), context)?;
        if let StateChange::Put(new) = outcome.state {
            state = Some(new);
        }
    }
    Ok((cpu_time() - started).as_secs_f64() * 1e6 / f64::from(ROUNDS))
}

/// The CPU time of this thread: the wall clock would count what else the machine does.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}
