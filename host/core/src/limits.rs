//! The limits of one invocation and the retry policy: values that the configuration gives each handler.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What one invocation of a guest may use. Exceeding any of them ends the invocation, never the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// CPU time of the invocation, 1 ms to 60 s.
    #[serde(rename = "timeMillis", serialize_with = "to_millis", deserialize_with = "of_millis")]
    pub time: Duration,
    /// All linear memories together, in bytes, 64 KiB to 1 GiB.
    pub memory: u64,
    /// Everything the guest returns together, in bytes.
    pub output: u64,
    /// Events the guest returns.
    pub events: u32,
    /// Log text of one invocation, in bytes; the rest is cut, and the log says so.
    pub log: u64,
    /// The component itself, in bytes, 64 KiB to 256 MiB.
    pub component: u64,
    /// The parts of an instance of the component.
    pub parts: ComponentParts,
}

/// How many of each thing an instance of a component may consist of. A Rust guest has three core instances, a JavaScript one
/// on QuickJS 13, a Python one 38.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentParts {
    /// Core instances, 1 to 256.
    pub core_instances: u32,
    /// Linear memories, 1 to 16.
    pub memories: u32,
    /// Tables, 1 to 64.
    pub tables: u32,
    /// Elements of one table, 1 to 1,000,000: about the number of functions that are called by their address.
    pub table_elements: u32,
}

impl Default for ComponentParts {
    fn default() -> Self {
        Self {
            core_instances: 64,
            memories: 4,
            tables: 8,
            table_elements: 20_000,
        }
    }
}

impl ComponentParts {
    /// The larger of both, number by number.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            core_instances: self.core_instances.max(other.core_instances),
            memories: self.memories.max(other.memories),
            tables: self.tables.max(other.tables),
            table_elements: self.table_elements.max(other.table_elements),
        }
    }

    /// The first number that is larger than in `most`: its name in the configuration, and the limit.
    pub fn over(&self, most: &Self) -> Option<(&'static str, u32)> {
        let pairs = [
            ("core_instances", self.core_instances, most.core_instances),
            ("memories", self.memories, most.memories),
            ("tables", self.tables, most.tables),
            ("table_elements", self.table_elements, most.table_elements),
        ];
        let over = pairs.iter().find(|(_, wanted, bound)| wanted > bound);
        over.map(|(name, _, bound)| (*name, *bound))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_millis(50),
            memory: 16 << 20,
            output: 1 << 20,
            events: 32,
            log: 16 << 10,
            component: 32 << 20,
            parts: ComponentParts::default(),
        }
    }
}

fn to_millis<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn of_millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

/// Which invocations of a handler are recorded: all failures, and a sample of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingPolicy {
    /// Successful invocations that are recorded per second; with 0 nothing is recorded, not even failures.
    pub rate: u32,
    /// Bytes of recordings that are kept; the oldest are dropped first.
    pub keep: u64,
}

impl Default for RecordingPolicy {
    fn default() -> Self {
        Self {
            rate: 20,
            keep: 32 << 20,
        }
    }
}

/// What a deploy does with a component whose outcomes differ from the recorded ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplayPolicy {
    /// Nothing is replayed.
    Off,
    /// It is refused for new failures; other differences are shown.
    #[default]
    Failures,
    /// It is refused for any difference, unless the deploy accepts them.
    Strict,
}

/// Whether an invocation gets an instance of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Instances {
    /// A new instance for every invocation: nothing is carried over to the next one.
    #[default]
    Fresh,
    /// Instances are kept for the next invocation of the same version, and dropped after a trap.
    Reused,
}

/// What to do with records without a value, which delete a key from a compacted topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tombstones {
    /// They are skipped and counted: they cannot be events, which always have a value.
    #[default]
    Skip,
    /// Each becomes a dead letter, like any other record that is not an event.
    DeadLetter,
}

/// Where instances come from. It changes what they cost, never what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allocation {
    /// Slots that are reserved once: a new instance takes one in microseconds, but they reserve address space that is
    /// never used.
    #[default]
    Pooling,
    /// Each instance is mapped when it is made and unmapped when it is dropped.
    OnDemand,
}

/// When a failed trigger is run again. The defaults are those of DreamScape's events: 3 attempts, after 1, 2, 4 seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Attempts in all, from 1.
    pub attempts: u32,
    /// The wait after the first failure.
    pub first: Duration,
    /// The factor by which each wait is longer than the one before, from 1.0.
    pub factor: f64,
    /// The longest wait.
    pub max: Duration,
    /// What happens when a trigger is given up.
    pub exhausted: Exhausted,
    /// When the handler pauses because it gives up so many triggers; `None`: never.
    pub failing: Option<Failing>,
}

/// What happens when a trigger is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exhausted {
    /// It becomes a dead letter, and its key continues without it.
    #[default]
    DeadLetter,
    /// It becomes a dead letter, and later triggers of its key wait in the store until the key is released.
    HoldKey,
    /// It stays where it is, and the handler consumes nothing until it is resumed.
    PauseHandler,
}

/// When a handler counts as failing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Failing {
    /// It has given up more than this share of the last triggers, 0.0 to 1.0.
    pub share: f64,
    /// How many of the last triggers count.
    pub of: u32,
    /// A version that was deployed within this time is rolled back first; zero: never.
    pub rollback: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 3,
            first: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_secs(30),
            exhausted: Exhausted::default(),
            failing: None,
        }
    }
}

impl Retry {
    /// How long to wait after `failed` failures (from 1), or `None` if the trigger is to be given up.
    pub fn wait_after(&self, failed: u32) -> Option<Duration> {
        if failed >= self.attempts {
            return None;
        }
        let exponent = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.first.as_secs_f64() * self.factor.powi(exponent);
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(self.max);
        Some(wait.min(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_by_the_factor_up_to_the_bound_and_end_with_the_attempts() {
        let retry = Retry {
            attempts: 8,
            ..Retry::default()
        };
        let waits: Vec<_> = (1..=8)
            .map(|failed| retry.wait_after(failed).map(|wait| wait.as_secs()))
            .collect();
        assert_eq!(
            waits,
            [Some(1), Some(2), Some(4), Some(8), Some(16), Some(30), Some(30), None]
        );
        assert_eq!(Retry::default().wait_after(3), None);
    }
}
