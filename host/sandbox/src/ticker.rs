//! Advances the engine's epoch once a millisecond while guests run.
//!
//! On a thread of its own, because looping guests may occupy every worker. It sleeps while no guest runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use wasmtime::Engine;

/// The length of an epoch.
pub(super) const TICK: Duration = Duration::from_millis(1);
/// Ticks without a guest before the thread goes to sleep: waking it costs more than a tick.
const LINGER: u32 = 50;

#[derive(Default)]
struct TickerState {
    running: AtomicUsize,
    asleep: AtomicBool,
    stop: AtomicBool,
}

/// The thread that ticks; ends when dropped.
pub(super) struct Ticker {
    shared: Arc<TickerState>,
    thread: Thread,
    join: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(super) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(TickerState::default());
        let join = thread::Builder::new().name("sandman-epochs".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || tick(&shared, &engine)
        })?;
        Ok(Self {
            shared,
            thread: join.thread().clone(),
            join: Some(join),
        })
    }

    /// A guest counts as running until the returned value is dropped.
    pub(super) fn running(&self) -> RunningGuest<'_> {
        // Sequentially consistent with the thread's store and load: one of the two sees the other.
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        RunningGuest(&self.shared.running)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.unpark();
        if let Some(join) = self.join.take() {
            // If the thread panicked, nothing more can be done here.
            let _ = join.join();
        }
    }
}

/// Counts as a running guest until it is dropped.
pub(super) struct RunningGuest<'a>(&'a AtomicUsize);

impl Drop for RunningGuest<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn tick(shared: &TickerState, engine: &Engine) {
    let mut idle = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        thread::park_timeout(TICK);
        engine.increment_epoch();
        idle = if shared.running.load(Ordering::SeqCst) == 0 {
            idle + 1
        } else {
            0
        };
        if idle < LINGER {
            continue;
        }
        shared.asleep.store(true, Ordering::SeqCst);
        if shared.running.load(Ordering::SeqCst) == 0 && !shared.stop.load(Ordering::SeqCst) {
            thread::park();
        }
        shared.asleep.store(false, Ordering::SeqCst);
        idle = 0;
    }
}
