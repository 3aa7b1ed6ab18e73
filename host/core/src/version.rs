//! One version of a handler, ready to run.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::contract::Terms;
use crate::limits::{Limits, RecordingPolicy, Retry, Tombstones};
use crate::outcome::Guest;

/// One version of a handler, loaded and checked against what the configuration grants.
pub struct Version {
    /// Its number, from 1, per handler.
    pub number: u64,
    /// The component's sha256, lower-case hex.
    pub digest: Arc<str>,
    /// What it consumes and emits.
    pub terms: Terms,
    /// The component itself.
    pub guest: Box<dyn Guest>,
    /// The handler's settings, a JSON object as text.
    pub settings: Arc<str>,
    /// When a failed trigger is tried again.
    pub retry: Retry,
    /// What becomes of records without a value.
    pub tombstones: Tombstones,
    /// How many of the events that it handled last a key remembers; 0 for none.
    pub dedupe: usize,
    /// What one invocation may use.
    pub limits: Limits,
    /// Which invocations are recorded.
    pub recordings: RecordingPolicy,
    /// When it became active.
    pub since: ServesSince,
}

/// When a version became active, according to the store: milliseconds since 1970, later for each activation of a handler.
#[derive(Debug, Default)]
pub struct ServesSince(AtomicI64);

impl ServesSince {
    /// The time; 0 if it has not been set.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }

    /// Sets it, before the version serves or when it is activated again.
    pub fn set(&self, since_millis: i64) {
        self.0.store(since_millis, Ordering::Release);
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({}, {})", self.number, self.digest)
    }
}
