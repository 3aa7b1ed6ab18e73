//! Guests, built once per run, and short ways to call them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use sandman::build_guest::{BuildOptions, build};
use sandman_core::limits::{Allocation, Instances, Limits};
use sandman_core::outcome::{Context, EventView, Outcome, Trigger};
use sandman_sandbox::{InvokeError, Label, Sandbox, SandboxOptions, SandboxedGuest};
use serde_json::Value;

pub(crate) const MIB: u64 = 1 << 20;

pub(crate) fn guests_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests")
}

/// The options that all tests build with: a target directory of their own, since cargo locks the one it runs tests from.
pub(crate) fn build_options() -> BuildOptions {
    let target_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    BuildOptions {
        target_dir: Some(target_dir),
        ..BuildOptions::default()
    }
}

fn built(name: &str) -> Vec<u8> {
    let built = build(&guests_dir().join(name), &build_options()).unwrap_or_else(|fault| panic!("{fault}"));
    std::fs::read(built.path).unwrap()
}

pub(crate) static ECHO: LazyLock<Vec<u8>> = LazyLock::new(|| built("echo"));
pub(crate) static HOSTILE: LazyLock<Vec<u8>> = LazyLock::new(|| built("hostile"));

/// One sandbox for the whole run, as in the host.
pub(crate) static SANDBOX: LazyLock<Arc<Sandbox>> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    Sandbox::new(SandboxOptions::new(dir, 16, 64 * MIB)).unwrap()
});

/// One whose instances come from no pool.
pub(crate) static ON_DEMAND: LazyLock<Arc<Sandbox>> = LazyLock::new(|| {
    let options = SandboxOptions {
        allocation: Allocation::OnDemand,
        ..SandboxOptions::new(None, 16, 64 * MIB)
    };
    Sandbox::new(options).unwrap()
});

pub(crate) fn label(handler: &str) -> Label {
    Label {
        handler: handler.into(),
        version: 7,
    }
}

pub(crate) fn hostile(limits: Limits, instances: Instances) -> SandboxedGuest {
    hostile_in(&SANDBOX, limits, instances)
}

pub(crate) fn hostile_in(sandbox: &Arc<Sandbox>, limits: Limits, instances: Instances) -> SandboxedGuest {
    sandbox.load(label("hostile"), &HOSTILE, limits, instances).unwrap()
}

/// Calls the guest with one event of the key `k`.
pub(crate) fn tell(
    guest: &SandboxedGuest,
    event_type: &str,
    payload: &str,
    state: Option<&str>,
) -> Result<Outcome, InvokeError> {
    tell_attempt(guest, (event_type, payload), state, 1)
}

pub(crate) fn tell_attempt(
    guest: &SandboxedGuest,
    (event_type, payload): (&str, &str),
    state: Option<&str>,
    attempt: u32,
) -> Result<Outcome, InvokeError> {
    let event = EventView {
        key: "k",
        event_id: "0d9f6f0e-7c41-4b5e-9f0c-6a9b6d5f1a2b",
        event_type,
        version: "1.0",
        timestamp: "2025-01-01T00:00:00.000Z",
        source: "test",
        correlation_id: None,
        causation_id: None,
        metadata: None,
        payload,
    };
    let context = Context {
        now_millis: 1_735_689_600_000,
        attempt,
        settings: "{}",
    };
    guest.invoke(Trigger::Event(event), state, context)
}

/// Tells the hostile guest to do something.
pub(crate) fn order(guest: &SandboxedGuest, payload: &Value) -> Result<Outcome, InvokeError> {
    tell(guest, "hostile.told", &payload.to_string(), None)
}
