//! Whether what came out is what went in: nothing lost, doubled, torn or out of order, whatever happened in between.
//!
//! Pure: a [`Journal`] of what clients sent and heard, what read-committed readers saw during the faults and at the end,
//! and what the host knows at the end go in; a [`Verdict`] comes out. Of the host's own view there are the states, which
//! must fit what came out, and the failed attempts that it logged.

mod journal;
mod observed;
mod verdict;

pub use journal::{Expected, Fate, Input, Journal};
pub use observed::{Failure, Glimpse, Letter, Observed, Place, Sighting, Witnessed};
pub use verdict::{Anomaly, Kind, Rules, Verdict, judge};
