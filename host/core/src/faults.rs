//! Fail points: steps on the path of an event at which the tests kill or pause the process, or change a value; also a
//! clock that jumps, and a store that refuses commits.
//!
//! Compiled only with the feature `faults`, which only the tests' binary `sandman-faulty` enables. Without it every
//! function here is a constant, and the compiler removes the calls. The planted bugs are in `host/sandman/faulty`,
//! which registers them with `install`. The environment, read once, says which faults are active:
//!
//! - `SANDMAN_TEST_FAULT=drop-batch:10`: this bug, at every tenth occasion (at every occasion without a number);
//! - `SANDMAN_TEST_CRASH=committed:7`: the process kills itself with SIGKILL when it reaches this step for the seventh
//!   time; with `committed:7:FILE` it begins to count when the file exists;
//! - `SANDMAN_TEST_HOLD=FILE`: the first thread that reaches the step that the file names renames the file to
//!   `FILE.held`, and waits until that is removed;
//! - `SANDMAN_TEST_STORE=busy:20`: every twentieth commit is refused as if the disk were full;
//! - `SANDMAN_TEST_CLOCK=FILE`: a file with the milliseconds that are added to the wall clock, or with `still MILLIS`:
//!   the time at which it stands still.

/// A step on the path of an event at which a test can kill or pause the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A record came from Kafka.
    Received,
    /// It is in its lane.
    Offered,
    /// A worker has it.
    Taken,
    /// The guest has returned, or failed.
    Ran,
    /// Its unit waits for the commit.
    Queued,
    /// A batch of units is folded, and nothing is written.
    Folded,
    /// Everything is written, and the transaction is open.
    Written,
    /// The transaction is durable, but lanes, relay and clients do not know it yet.
    Committed,
    /// Lanes, relay and clients know it.
    Settled,
    /// The relay has taken batches.
    Relayed,
    /// Kafka's transaction is open.
    Begun,
    /// The cursor is delivered, the records are not.
    Pointed,
    /// The records are delivered too.
    Delivered,
    /// Kafka's transaction is committed, but the relay does not know it yet.
    Visible,
    /// The outbox will forget the batches with the next commit.
    Acknowledged,
}

impl Step {
    /// All of them, in the order of the path.
    pub const ALL: [Self; 15] = [
        Self::Received,
        Self::Offered,
        Self::Taken,
        Self::Ran,
        Self::Queued,
        Self::Folded,
        Self::Written,
        Self::Committed,
        Self::Settled,
        Self::Relayed,
        Self::Begun,
        Self::Pointed,
        Self::Delivered,
        Self::Visible,
        Self::Acknowledged,
    ];
}

#[cfg(not(feature = "faults"))]
mod absent {
    use super::Step;

    /// Changes the value at this step if a planted bug does so.
    #[inline(always)]
    pub const fn alter<T>(_: Step, _: &mut T) {}

    /// Kills or pauses the process here if a test asks for it.
    #[inline(always)]
    pub const fn at(_: Step) {}

    /// Whether the store should refuse this commit.
    #[inline(always)]
    pub const fn store_busy() -> bool {
        false
    }

    /// The wall clock, changed as a test asks for it.
    #[inline(always)]
    pub const fn wall_millis(real: i64) -> i64 {
        real
    }
}

#[cfg(feature = "faults")]
mod present;

#[cfg(not(feature = "faults"))]
pub use absent::{alter, at, store_busy, wall_millis};
#[cfg(feature = "faults")]
pub use present::{FaultSetting, alter, at, install, refused, store_busy, wall_millis};
