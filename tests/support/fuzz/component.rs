//! Any bytes as a component, on the way that a deploy takes: size, shape, compiler, instance, description, and a call.

use std::panic;
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use sandman::limits::{Instances, Limits};
use sandman::outcome::{Context, EventView, Trigger};
use sandman::sandbox::{Label, Sandbox, SandboxOptions};

/// Bytes of the largest component that is loaded.
const MOST: usize = 64 << 10;
const MEMORY: u64 = 4 << 20;

static SANDBOX: LazyLock<Arc<Sandbox>> = LazyLock::new(|| {
    let mut options = SandboxOptions::new(None, 2, MEMORY);
    options.component = MOST;
    Sandbox::new(options).expect("a sandbox")
});

/// Bytes of stack for a component of [`MOST`] bytes that is all nested types. A host gives such a component a process of its
/// own; here there is one.
const STACK: usize = 1 << 30;

/// It is refused by name, or it is a guest, which then answers within its limits.
pub fn component(data: &[u8]) {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, || load(data));
        if let Err(panic) = thread.expect("a thread").join() {
            panic::resume_unwind(panic);
        }
    });
}

fn load(data: &[u8]) {
    let limits = Limits {
        time: Duration::from_millis(50),
        memory: MEMORY,
        ..Limits::default()
    };
    let label = Label {
        handler: "stranger".into(),
        version: 7,
    };
    let guest = match SANDBOX.load(label, data, limits, Instances::Fresh) {
        Ok(guest) => guest,
        Err(fault) => {
            let words = fault.to_string();
            return assert!(words.contains("stranger version 7") && words.len() > 25, "{words}");
        }
    };
    assert_eq!(guest.digest(), sandman::sandbox::digest(data));
    let event = EventView {
        key: "k",
        event_id: "0d9f6f0e-7c41-4b5e-9f0c-6a9b6d5f1a2b",
        event_type: "thing.happened",
        version: "1.0",
        timestamp: "2025-01-01T00:00:00.000Z",
        source: "test",
        correlation_id: None,
        causation_id: None,
        metadata: None,
        payload: r#"{"n":1}"#,
    };
    let context = Context {
        now_millis: 1_735_689_600_000,
        attempt: 1,
        settings: "{}",
    };
    let call = || guest.invoke(Trigger::Event(event), None, context);
    let (once, again) = (call(), call());
    match (&once, &again) {
        (Ok(once), Ok(again)) => {
            assert_eq!(once, again, "not a function of what it is given");
            assert!(once.events.len() <= 100_000);
        }
        (Err(fault), _) | (_, Err(fault)) => assert!(!fault.to_string().is_empty()),
    }
    assert!(guest.peak_memory() <= MEMORY);
}
