//! Fail points: the steps on the way of an event, where the tests have the process die or wait, or change what is there; and
//! a clock that jumps, and a store that refuses.
//!
//! Compiled in by the feature `faults` alone, which nothing but the binary `sandman-faulty` of the tests asks for. Without
//! it every question here has a constant answer, and nothing is left of it in the code that asks. Which bugs there are to
//! plant, and what they change at which step, is in `host/sandman/faulty`, which installs it by `install`. What is wanted
//! comes by the environment, read once:
//!
//! - `SANDMAN_TEST_FAULT=drop-batch:10`: this bug, at every tenth occasion (every one where no number is given);
//! - `SANDMAN_TEST_CRASH=committed:7`: SIGKILL to the process itself, the seventh time it comes to this step; with
//!   `committed:7:FILE` the times count once the file is there;
//! - `SANDMAN_TEST_HOLD=FILE`: whoever comes to the step that the file names renames it to `FILE.held`, and waits there until
//!   that is gone;
//! - `SANDMAN_TEST_STORE=busy:20`: every twentieth commit is refused as it is when the disk is full;
//! - `SANDMAN_TEST_CLOCK=FILE`: milliseconds in a file that are added to the wall clock, or `still MILLIS`: the time at which
//!   it stands.

/// A step on the way of an event at which the process may be told to die, or to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A record came from Kafka.
    Received,
    /// It lies in its lane.
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
    /// The transaction is durable, and nobody has heard of it.
    Committed,
    /// Lanes, relay and clients have heard of it.
    Settled,
    /// The relay has taken batches.
    Relayed,
    /// Kafka's transaction is open.
    Begun,
    /// The cursor is delivered, the records are not.
    Pointed,
    /// The records are delivered too.
    Delivered,
    /// Kafka's transaction is committed, and nobody has heard of it.
    Visible,
    /// The outbox will forget the batches with the next commit.
    Acknowledged,
}

impl Step {
    /// All of them, in the order of the way.
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

    /// Changes what is at this step, if that is wanted.
    #[inline(always)]
    pub const fn alter<T>(_: Step, _: &mut T) {}

    /// Dies here, or waits, if that is wanted.
    #[inline(always)]
    pub const fn at(_: Step) {}

    /// Whether the store is to refuse this commit.
    #[inline(always)]
    pub const fn store_busy() -> bool {
        false
    }

    /// The wall clock as it is to be seen.
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
pub use present::{Wish, alter, at, install, refused, store_busy, wall_millis};
