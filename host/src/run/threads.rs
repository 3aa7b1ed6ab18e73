//! The host's threads: named, watched for panics, joined with a deadline.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, bounded};
use tokio::signal::unix::{SignalKind, signal};

use crate::alarm::Alarm;

/// Exit code of a process that a signal ended, by the shells' convention: 128 plus SIGINT.
const ENDED_BY_SIGNAL: i32 = 130;

/// The threads of a host.
pub(super) struct Threads {
    alarm: Alarm,
    running: Vec<(String, JoinHandle<()>)>,
}

impl Threads {
    pub(super) fn new(alarm: Alarm) -> Self {
        Self {
            alarm,
            running: Vec::new(),
        }
    }

    /// Starts a thread; a panic in it stops the host.
    pub(super) fn spawn(&mut self, name: String, life: impl FnOnce() + Send + 'static) -> Result<()> {
        let (alarm, watched) = (self.alarm.clone(), name.clone());
        let handle = std::thread::Builder::new().name(name.clone()).spawn(move || {
            if catch_unwind(AssertUnwindSafe(life)).is_err() {
                alarm.raise(&format!("thread `{watched}` panicked; this is a bug of the host"));
            }
        });
        self.running.push((name, handle.context("a thread cannot be started")?));
        Ok(())
    }

    /// Waits for the thread of that name; answers whether it ended in time.
    pub(super) fn join(&mut self, name: &str, deadline: Instant) -> bool {
        let Some(at) = self.running.iter().position(|(running, _)| running == name) else {
            return true;
        };
        let (_, handle) = self.running.swap_remove(at);
        while !handle.is_finished() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        true
    }

    /// Waits for all of them, up to the deadline.
    pub(super) fn join_all(&mut self, deadline: Instant) {
        for name in self.running.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            if !self.join(&name, deadline) {
                tracing::warn!(thread = name, "left behind");
            }
        }
    }
}

/// Hears SIGTERM and SIGINT: the first is reported, the second ends the process at once.
pub(super) fn signals() -> Result<Receiver<&'static str>> {
    let (sender, receiver) = bounded(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _context = runtime.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            sender.send(name).ok();
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        end_at_once();
    })?;
    Ok(receiver)
}

/// Nothing is lost by it: what is not committed is run again at the next start.
#[expect(clippy::disallowed_methods, reason = "the second signal asks for exactly this")]
fn end_at_once() {
    std::process::exit(ENDED_BY_SIGNAL);
}
