//! Faults on purpose, so that the tests can show that they would be noticed: bugs to plant, steps at which to die, a clock
//! that jumps, a store that refuses.
//!
//! Compiled in by the feature `faults` alone, which nothing but the binary `sandman-faulty` of the tests asks for. Without
//! it every question here has a constant answer, and nothing is left of it in the code that asks. What is wanted comes by
//! the environment, read once:
//!
//! - `SANDMAN_TEST_FAULT=drop-batch:10`: this bug, at every tenth occasion (every one where no number is given);
//! - `SANDMAN_TEST_CRASH=committed:7`: SIGKILL to the process itself, the seventh time it comes to this step; with
//!   `committed:7:FILE` the times count once the file is there;
//! - `SANDMAN_TEST_HOLD=FILE`: whoever comes to the step that the file names renames it to `FILE.held`, and waits there until
//!   that is gone;
//! - `SANDMAN_TEST_STORE=busy:20`: every twentieth commit is refused as it is when the disk is full;
//! - `SANDMAN_TEST_CLOCK=FILE`: milliseconds in a file that are added to the wall clock, or `still MILLIS`: the time at which
//!   it stands.

/// Whether faults are compiled in.
pub const ON: bool = cfg!(feature = "faults");

/// A bug to plant, named by what it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A record counts as done that nobody has handled.
    SkipOffset,
    /// A batch goes to the relay before its commit.
    PublishBeforeCommit,
    /// The relay leaves out a batch.
    DropBatch,
    /// The relay publishes a batch twice.
    PublishTwice,
    /// The relay takes a batch for published although another producer has fenced it.
    IgnoreFence,
    /// The relay goes on where the store says, not where the cursor does.
    IgnoreCursor,
    /// Two workers drive one lane at the same time.
    TwoWorkers,
    /// Failed attempts are not stored.
    ForgetAttempts,
    /// States and events are committed without the progress that belongs to them.
    ForgetProgress,
    /// A request is answered before its commit.
    ReplyBeforeCommit,
    /// A lane keeps its state after the commit that it stood on has failed.
    KeepPending,
    /// The last event of a unit is not published.
    TearUnit,
    /// A batch is published in the wrong order.
    TurnBatch,
    /// A worker runs the version before the active one.
    OldVersion,
    /// A request is said to be refused, and is committed.
    RefuseDone,
    /// A relay that starts uses another transactional id, and leaves the open transaction of its predecessor alone.
    StrayTransaction,
}

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
    use super::{Bug, Step};

    /// Whether this bug is to show now.
    #[inline(always)]
    pub const fn planted(_: Bug) -> bool {
        false
    }

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
pub use absent::{at, planted, store_busy, wall_millis};
#[cfg(feature = "faults")]
pub use present::{at, planted, store_busy, wall_millis};
