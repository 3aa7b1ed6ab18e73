//! Waiting with deadlines, and dropping clients that may hang.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long one poll of a consumer blocks at most.
pub(super) const POLL: Duration = Duration::from_millis(100);

/// A point in time at which waiting ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(patience: Duration) -> Self {
        Self(Instant::now() + patience)
    }

    pub(super) fn passed(self) -> bool {
        self.left().is_zero()
    }

    pub(super) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// The time left, but no more than `slice`: for calls that must return in order to check a flag.
    pub(super) fn slice(self, slice: Duration) -> Duration {
        self.left().min(slice)
    }
}

/// Drops a client on a thread of its own, because closing can hang if the cluster does not answer. Returns whether it
/// was done within `patience`; if not, the thread continues detached.
pub(super) fn drop_apart<T: Send + 'static>(name: &str, value: T, patience: Duration) -> bool {
    let (done, waiting) = mpsc::channel();
    let spawned = thread::Builder::new().name(format!("close {name}")).spawn(move || {
        drop(value);
        // The receiver may be gone.
        let _ = done.send(());
    });
    // Without a thread the closure is dropped here, and the value with it.
    let closed = spawned.is_err() || waiting.recv_timeout(patience).is_ok();
    if !closed {
        tracing::warn!(
            client = name,
            "the kafka client did not close within {patience:?} and is left behind"
        );
    }
    closed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_left_behind() {
        struct Hangs(mpsc::Receiver<()>);
        impl Drop for Hangs {
            fn drop(&mut self) {
                let _ = self.0.recv();
            }
        }
        let (release, held) = mpsc::channel();
        assert!(!drop_apart("test", Hangs(held), Duration::from_millis(10)));
        drop(release);
        assert!(drop_apart("test", 1, Duration::from_secs(10)));
    }
}
