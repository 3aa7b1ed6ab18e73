//! The host's threads: named, watched for panics, joined with a deadline.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, bounded};
use tokio::signal::unix::{SignalKind, signal};

use sandman_engine::alarm::Alarm;

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
        // Removes short-lived threads that have ended.
        self.running.retain(|(_, running)| !running.is_finished());
        self.running.push((name, handle.context("a thread cannot be started")?));
        Ok(())
    }

    /// Waits for the thread of that name; returns whether it ended in time.
    pub(super) fn join(&mut self, name: &str, deadline: Instant) -> bool {
        let Some(at) = self.running.iter().position(|(running, _)| running == name) else {
            return true;
        };
        while self.running.get(at).is_some_and(|(_, handle)| !handle.is_finished()) {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        self.running.swap_remove(at);
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

/// The signals of the process.
pub(super) struct Signals {
    /// SIGTERM or SIGINT, once: the second one ends the process at once.
    pub(super) stop: Receiver<&'static str>,
    /// SIGHUP.
    pub(super) reload: Receiver<()>,
}

/// Handles signals from now on.
pub(super) fn signals() -> Result<Signals> {
    let (sender, stop) = bounded(1);
    let (again, reload) = bounded(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _context = runtime.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            let name = loop {
                tokio::select! {
                    _ = terminate.recv() => break "SIGTERM",
                    _ = interrupt.recv() => break "SIGINT",
                    // A pending one also covers later ones.
                    _ = hangup.recv() => drop(again.try_send(())),
                }
            };
            sender.send(name).ok();
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            // Kept until here, because a receiver without a sender would always be ready.
            drop(again);
        });
        end_at_once();
    })?;
    Ok(Signals { stop, reload })
}

/// Nothing is lost: uncommitted work is run again at the next start.
#[expect(clippy::disallowed_methods, reason = "the second signal asks for exactly this")]
fn end_at_once() {
    std::process::exit(ENDED_BY_SIGNAL);
}
