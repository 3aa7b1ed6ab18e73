//! Advances the engine's epoch while guests run.
//!
//! On a thread of its own, because looping guests may occupy every worker. It sleeps while no guest runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use wasmtime::Engine;

/// The shortest and the longest epoch. A thousand wake-ups a second took 2 % of a busy host's CPU time.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(10);
/// Epochs in the time that an invocation may take, so a limit is exceeded by a tenth at most, and by one shortest epoch.
const EPOCHS: u32 = 10;
/// How long no guest must have run before the thread goes to sleep: waking it costs more than a tick.
const LINGER: Duration = Duration::from_millis(50);

/// The length of an epoch that is right for this limit.
fn epoch_for(limit: Duration) -> Duration {
    (limit / EPOCHS).clamp(SHORTEST, LONGEST)
}

/// How many epochs there are until `left` of this limit has passed. They may be shorter, because of another handler's limit.
pub(super) fn epochs_in(left: Duration, limit: Duration) -> u64 {
    let epochs = left.as_nanos().div_ceil(epoch_for(limit).as_nanos());
    u64::try_from(epochs).unwrap_or(u64::MAX)
}

struct TickerState {
    /// The length of an epoch, nanoseconds: that of the shortest limit so far.
    epoch: AtomicU64,
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
        let shared = Arc::new(TickerState {
            epoch: AtomicU64::new(nanos(LONGEST)),
            running: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
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

    /// Makes epochs short enough for invocations with this limit.
    pub(super) fn suit(&self, limit: Duration) {
        self.shared.epoch.fetch_min(nanos(epoch_for(limit)), Ordering::Relaxed);
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

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn tick(shared: &TickerState, engine: &Engine) {
    let mut idle = Duration::ZERO;
    while !shared.stop.load(Ordering::SeqCst) {
        let epoch = Duration::from_nanos(shared.epoch.load(Ordering::Relaxed));
        thread::park_timeout(epoch);
        engine.increment_epoch();
        idle = if shared.running.load(Ordering::SeqCst) == 0 {
            idle + epoch
        } else {
            Duration::ZERO
        };
        if idle < LINGER {
            continue;
        }
        shared.asleep.store(true, Ordering::SeqCst);
        if shared.running.load(Ordering::SeqCst) == 0 && !shared.stop.load(Ordering::SeqCst) {
            thread::park();
        }
        shared.asleep.store(false, Ordering::SeqCst);
        idle = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_a_tenth_of_the_limit_between_one_and_ten_milliseconds() {
        let epochs = [1, 5, 50, 100, 60_000].map(|limit| epoch_for(Duration::from_millis(limit)).as_millis());
        assert_eq!(epochs, [1, 1, 5, 10, 10]);
    }

    #[test]
    fn what_is_left_of_a_limit_is_counted_in_its_epochs() {
        let left = |millis| epochs_in(Duration::from_millis(millis), Duration::from_millis(50));
        assert_eq!([50, 46, 30, 1].map(left), [10, 10, 6, 1]);
    }

    #[test]
    fn epochs_suit_the_shortest_limit() -> Result<(), Box<dyn std::error::Error>> {
        let ticker = Ticker::start(Engine::default())?;
        for limit in [50, 20, 1_000] {
            ticker.suit(Duration::from_millis(limit));
        }
        assert_eq!(ticker.shared.epoch.load(Ordering::Relaxed), 2_000_000);
        Ok(())
    }
}
