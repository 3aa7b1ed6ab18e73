//! Bounds of one invocation and the policy for trying again: values that the configuration gives each handler.

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
    /// Log text of one invocation, in bytes; what is over is cut, and the cut is logged.
    pub log: u64,
    /// The component itself, in bytes, 64 KiB to 256 MiB.
    pub component: u64,
    /// What an instance of the component is made of.
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

    /// The first number that is larger than in `most`: its name in the configuration, and the bound.
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

/// Which invocations of a handler are recorded. Failures are, and a sample of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingPolicy {
    /// Invocations in a second that are recorded although they succeed; with 0 none is recorded, failures neither.
    pub rate: u32,
    /// Bytes of recordings that are kept; the oldest go first.
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
    /// New failures refuse it; other differences are shown.
    #[default]
    Failures,
    /// Any difference refuses it, unless the deploy accepts them.
    Strict,
}

/// Whether an invocation gets an instance of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Instances {
    /// A new instance for every invocation: nothing of one is left for the next.
    #[default]
    Fresh,
    /// Instances are kept for the next invocation of the same version, and dropped after a trap.
    Reused,
}

/// What becomes of records without a value, which delete a key from a compacted topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tombstones {
    /// They are done, and counted: an event has a value, so none of them is one.
    #[default]
    Skip,
    /// Each is a dead letter, as any other record that is no event.
    DeadLetter,
}

/// Where instances come from. It changes what they cost, never what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allocation {
    /// Slots that are reserved once: a new instance takes one in microseconds, and address space that is never used.
    #[default]
    Pooling,
    /// Each instance is mapped when it is made and unmapped when it is dropped.
    OnDemand,
}

/// When a failed trigger is tried again. The defaults are those of DreamScape's events: 3 tries, after 1, 2, 4 seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Tries in all, from 1.
    pub attempts: u32,
    /// The wait after the first failure.
    pub first: Duration,
    /// By how much each wait is longer than the one before, from 1.0.
    pub factor: f64,
    /// The longest wait.
    pub max: Duration,
    /// What becomes of a trigger that is given up.
    pub exhausted: Exhausted,
    /// When so many triggers are given up that the handler pauses; `None`: never.
    pub failing: Option<Failing>,
}

/// What becomes of a trigger that is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exhausted {
    /// It becomes a dead letter, and its key goes on.
    #[default]
    DeadLetter,
    /// It becomes a dead letter, and what comes after it for its key waits beside the lane until the key is released.
    HoldKey,
    /// It stays where it is, and the handler takes in nothing until it is resumed.
    PauseHandler,
}

/// When a handler fails as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Failing {
    /// More than this share of the last triggers, 0.0 to 1.0.
    pub share: f64,
    /// So many triggers are looked at.
    pub of: u32,
    /// A version that was deployed as long ago or less is rolled back first; zero: none is.
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
