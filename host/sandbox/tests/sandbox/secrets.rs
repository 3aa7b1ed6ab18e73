//! A guest that keeps a secret in its memory, whether it ends well or traps, is never seen by the next key.

use std::sync::Arc;

use sandman_core::limits::{Instances, Limits};
use sandman_sandbox::{Sandbox, SandboxedGuest};
use serde_json::json;

use crate::support::{MIB, ON_DEMAND, SANDBOX, hostile_in, order};

/// With a pool of instances, and without.
fn sandboxes() -> [&'static Arc<Sandbox>; 2] {
    [&SANDBOX, &ON_DEMAND]
}

const SECRET: &str = "a secret of 32 bytes, to be found";

/// How many copies of the secret the guest finds in its own memory.
fn found(guest: &SandboxedGuest) -> u64 {
    let outcome = order(guest, &json!({"do": "look", "text": SECRET})).unwrap();
    let payload: serde_json::Value = serde_json::from_str(&outcome.events[0].payload).unwrap();
    payload["found"].as_u64().unwrap()
}

fn limits() -> Limits {
    Limits {
        memory: 32 * MIB,
        time: std::time::Duration::from_secs(10),
        ..Limits::default()
    }
}

#[test]
fn looking_finds_what_is_there() {
    // Without this the other tests would prove nothing: a reused instance that returned well does see its own past.
    for sandbox in sandboxes() {
        let guest = hostile_in(sandbox, limits(), Instances::Reused);
        order(&guest, &json!({"do": "hide", "text": SECRET})).unwrap();
        assert!(found(&guest) >= 10_000);
    }
}

#[test]
fn a_fresh_instance_never_sees_what_another_left() {
    for sandbox in sandboxes() {
        let guest = hostile_in(sandbox, limits(), Instances::Fresh);
        for _ in 0..3 {
            order(&guest, &json!({"do": "hide", "text": SECRET})).unwrap();
            assert!(order(&guest, &json!({"do": "hide-then-trap", "text": SECRET})).is_err());
            // More looks than slots were used: every slot that held the secret is looked at.
            assert!((0..8).all(|_| found(&guest) == 0));
        }
    }
}

#[test]
fn a_trapped_instance_is_never_reused() {
    for sandbox in sandboxes() {
        let guest = hostile_in(sandbox, limits(), Instances::Reused);
        for _ in 0..5 {
            assert!(order(&guest, &json!({"do": "hide-then-trap", "text": SECRET})).is_err());
            assert_eq!(found(&guest), 0);
        }
    }
}

#[test]
fn another_handler_never_sees_what_a_reused_one_keeps() {
    for sandbox in sandboxes() {
        let keeper = hostile_in(sandbox, limits(), Instances::Reused);
        order(&keeper, &json!({"do": "hide", "text": SECRET})).unwrap();
        let other = hostile_in(sandbox, limits(), Instances::Fresh);
        assert!((0..8).all(|_| found(&other) == 0));
        drop(keeper);
        assert!((0..8).all(|_| found(&other) == 0));
    }
}
