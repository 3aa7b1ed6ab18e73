//! Each bound ends the invocation that goes over it, with its name, and nothing else.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use sandman_core::limits::{Instances, Limits};
use sandman_sandbox::{Bound, InvokeError, Panic, SandboxedGuest};
use serde_json::json;

use crate::support::{MIB, hostile, order, tell};

fn exceeded(guest: &SandboxedGuest, payload: serde_json::Value) -> Bound {
    match order(guest, &payload).unwrap_err() {
        InvokeError::Exceeded { bound, label } => {
            assert_eq!(label.to_string(), "hostile version 7");
            bound
        }
        other => panic!("{payload}: {other}"),
    }
}

fn text(guest: &SandboxedGuest, payload: serde_json::Value) -> String {
    order(guest, &payload).unwrap_err().to_string()
}

/// After whatever it did, the same guest serves the next.
fn still_serves(guest: &SandboxedGuest) {
    let outcome = order(guest, &json!({"do": "nothing"})).unwrap();
    assert_eq!(outcome.events.len(), 1);
}

#[test]
fn a_loop_ends_with_its_cpu_time() {
    let limit = Duration::from_millis(20);
    for instances in [Instances::Fresh, Instances::Reused] {
        let guest = hostile(
            Limits {
                time: limit,
                ..Limits::default()
            },
            instances,
        );
        assert_eq!(exceeded(&guest, json!({"do": "loop"})), Bound::Time(limit));
        assert_eq!(
            text(&guest, json!({"do": "loop"})),
            "the guest used more than its 20 ms of CPU time"
        );
        still_serves(&guest);
    }
}

#[test]
fn time_is_cpu_time_and_not_the_wall_clock() {
    // Far more threads than the cores that they have, which are not those of the machine: by the wall clock each takes many
    // times its own work, and all of them finish.
    let all = sched_getaffinity(None).unwrap();
    let mut two = CpuSet::new();
    let cores = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
    cores.take(2).for_each(|core| two.set(core));
    sched_setaffinity(None, &two).unwrap();
    let guest = Arc::new(hostile(
        Limits {
            time: Duration::from_secs(2),
            ..Limits::default()
        },
        Instances::Fresh,
    ));
    let threads: Vec<_> = (0..12)
        .map(|_| {
            let guest = Arc::clone(&guest);
            std::thread::spawn(move || order(&guest, &json!({"do": "burn", "n": 20})).map(drop))
        })
        .collect();
    sched_setaffinity(None, &all).unwrap();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Ok(()));
    }
}

#[test]
fn memory_is_bounded_and_named() {
    for instances in [Instances::Fresh, Instances::Reused] {
        let limits = Limits {
            memory: 8 * MIB,
            time: Duration::from_secs(5),
            ..Limits::default()
        };
        let guest = hostile(limits, instances);
        assert_eq!(exceeded(&guest, json!({"do": "allocate"})), Bound::Memory(8 * MIB));
        still_serves(&guest);
    }
}

#[test]
fn endless_recursion_is_a_trap_by_name() {
    let guest = hostile(
        Limits {
            time: Duration::from_secs(5),
            ..Limits::default()
        },
        Instances::Fresh,
    );
    let text = text(&guest, json!({"do": "recurse"}));
    assert_eq!(
        text,
        "the guest trapped: its stack is exhausted: recursion without end, or deeper than host.stack allows"
    );
    still_serves(&guest);
}

#[test]
fn output_is_bounded_before_it_is_copied() {
    let limits = Limits {
        memory: 64 * MIB,
        time: Duration::from_secs(5),
        ..Limits::default()
    };
    let guest = hostile(limits, Instances::Fresh);
    let over = |n: u64| exceeded(&guest, json!({"do": "return-much", "n": n}));
    // Within what may be handed over at once, but more than what may be returned.
    assert_eq!(over(MIB + 1), Bound::Output(MIB));
    assert_eq!(over(5 * MIB), Bound::Transfer(2 * 1024 * 1024 + 64 * 1024));
    // 100 MB do not even fit into the guest's own memory.
    assert_eq!(over(100_000_000), Bound::Memory(64 * MIB));
    still_serves(&guest);
}

#[test]
fn events_are_bounded() {
    let guest = hostile(
        Limits {
            events: 3,
            ..Limits::default()
        },
        Instances::Fresh,
    );
    let many = |n| order(&guest, &json!({"do": "many-events", "n": n}));
    assert_eq!(many(3).unwrap().events.len(), 3);
    assert_eq!(
        exceeded(&guest, json!({"do": "many-events", "n": 4})),
        Bound::Events { got: 4, limit: 3 }
    );
    assert!(matches!(many(10_000), Err(InvokeError::Exceeded { .. })));
}

#[test]
fn a_log_that_floods_is_cut_and_the_outcome_stands() {
    let limits = Limits {
        log: 1000,
        memory: 32 * MIB,
        time: Duration::from_secs(5),
        ..Limits::default()
    };
    for instances in [Instances::Fresh, Instances::Reused] {
        let guest = hostile(limits, instances);
        for _ in 0..2 {
            // Each line counts with its own 7 or 8 bytes and 32 more: 10 × 39 + 15 × 40, and then the end.
            let flood = json!({"do": "flood-log", "n": 10_000});
            let log = logged(|| assert!(order(&guest, &flood).is_ok()));
            assert_eq!(log.len(), 26, "{log:#?}");
            assert!(
                log[0].contains("line 0") && log[0].contains("handler=\"hostile\" version=7"),
                "{}",
                log[0]
            );
            let end = "the guest logged more than limits.log in one invocation; the rest is cut";
            assert!(log[25].contains(end) && log[25].contains("limit=1000"), "{}", log[25]);
        }
        // What counts is what is written: six bytes for each escape. 6 × (7 + 120 + 32), and then the end.
        let escapes = json!({"do": "flood-log", "n": 20, "text": "\u{1b}".repeat(20)});
        let log = logged(|| assert!(order(&guest, &escapes).is_ok()));
        assert_eq!(log.len(), 8, "{log:#?}");
        let log = logged(|| assert!(order(&guest, &json!({"do": "long-log", "n": 1_000_000})).is_ok()));
        assert_eq!(log.len(), 2);
        assert_eq!(log[0].matches('x').count(), 1000 - 32);
        assert!(matches!(
            exceeded(&guest, json!({"do": "long-log", "n": 8_000_000})),
            Bound::Transfer(_)
        ));
        still_serves(&guest);
    }
}

/// The lines that are logged meanwhile on this thread.
fn logged(deed: impl FnOnce()) -> Vec<String> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&lines);
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || Sink(Arc::clone(&writer)))
        .finish();
    tracing::subscriber::with_default(subscriber, deed);
    let bytes = lines.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_panic_is_named_with_its_text_and_place() {
    let guest = hostile(Limits::default(), Instances::Reused);
    let fault = order(&guest, &json!({"do": "panic", "text": "the sky fell: ä"})).unwrap_err();
    let InvokeError::Trap {
        panic: Some(Panic { message, place }),
        ..
    } = &fault
    else {
        panic!("{fault}")
    };
    assert_eq!(message, "the sky fell: ä");
    assert!(place.contains("lib.rs:"), "{place}");
    assert_eq!(
        fault.to_string(),
        format!("the guest panicked at {place}: the sky fell: ä")
    );
    still_serves(&guest);
}

#[test]
fn a_trap_is_named_by_its_kind() {
    let guest = hostile(Limits::default(), Instances::Reused);
    let expected = "the guest trapped: wasm `unreachable` instruction executed";
    assert_eq!(text(&guest, json!({"do": "trap"})), expected);
    still_serves(&guest);
}

#[test]
fn what_is_no_outcome_is_not_taken() {
    let guest = hostile(Limits::default(), Instances::Reused);
    let status = text(&guest, json!({"do": "bad-status"}));
    assert_eq!(
        status,
        "the guest returned a reply with status 99, which is not within 200 to 599"
    );
    let metadata = text(&guest, json!({"do": "bad-metadata"}));
    assert_eq!(
        metadata,
        "the guest returned metadata of hostile.done that is not a JSON object"
    );
    still_serves(&guest);
}

#[test]
fn a_guest_at_its_bounds_disturbs_no_other() {
    let bad = Arc::new(hostile(
        Limits {
            time: Duration::from_millis(300),
            ..Limits::default()
        },
        Instances::Fresh,
    ));
    let good = hostile(Limits::default(), Instances::Fresh);
    let threads: Vec<_> = ["loop", "allocate", "recurse", "panic"]
        .into_iter()
        .map(|deed| {
            let bad = Arc::clone(&bad);
            std::thread::spawn(move || (0..3).all(|_| order(&bad, &json!({ "do": deed })).is_err()))
        })
        .collect();
    while threads.iter().any(|thread| !thread.is_finished()) {
        assert!(tell(&good, "hostile.told", r#"{"do":"nothing"}"#, Some(r#"{"count":1}"#)).is_ok());
    }
    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
}
