//! What an instance keeps of the machine's memory while it waits for its next call.

use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use anyhow::{Context, anyhow, ensure};
use sandman_core::outcome::{EventView, Trigger};
use sandman_sandbox::SandboxedGuest;
use sandman_tests::Result;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Instances that wait at one time.
const WAITING: usize = 24;

/// Lets the calls of several threads meet when the guest logs something: each of them then has an instance of its own.
struct Meeting(Arc<Barrier>);

impl Subscriber for Meeting {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sandman::guest"
    }

    fn event(&self, _: &Event<'_>) {
        self.0.wait();
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The bytes of memory that each of [`WAITING`] idle instances keeps of its own: what is shared with the others, such as pages of the
/// component's initial memory that no call wrote to, is not counted.
///
/// # Errors
/// If a call fails, or the system does not say how much memory is used.
pub fn idle_memory(guest: &SandboxedGuest, event: EventView<'_>) -> Result<u64> {
    let (ready, met, left) = (
        Barrier::new(WAITING + 1),
        Arc::new(Barrier::new(WAITING)),
        Barrier::new(WAITING + 1),
    );
    let alone = Mutex::new(());
    let payload = r#"{"do":"log","text":"here"}"#;
    let event = EventView { payload, ..event };
    let call = || {
        let context = super::CONTEXT;
        guest.invoke(Trigger::Event(event), None, context).map(drop)
    };
    thread::scope(|scope| {
        let callers: Vec<_> = (0..WAITING)
            .map(|_| {
                scope.spawn(|| {
                    // The thread's own memory is there before anything is counted.
                    let first = alone.lock().map_or_else(|_| call(), |_alone| call());
                    ready.wait();
                    ready.wait();
                    let meeting = Meeting(Arc::clone(&met));
                    let second = tracing::subscriber::with_default(meeting, call);
                    left.wait();
                    left.wait();
                    first.and(second)
                })
            })
            .collect();
        ready.wait();
        let before = anonymous();
        ready.wait();
        left.wait();
        let after = anonymous();
        left.wait();
        for caller in callers {
            caller.join().map_err(|_| anyhow!("a caller panicked"))??;
        }
        let (before, after) = (before?, after?);
        ensure!(after > before, "nothing is kept: {before} and {after} bytes");
        // The first calls, one after the other, have left one already.
        Ok((after - before) / (WAITING as u64 - 1))
    })
}

/// The bytes of this process's memory that no file or other process has as well.
fn anonymous() -> Result<u64> {
    let rollup =
        std::fs::read_to_string("/proc/self/smaps_rollup").context("only Linux says how much memory is used")?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes: u64 = kilobytes.context("no line `Anonymous`")?.trim().parse()?;
    Ok(kilobytes << 10)
}
