//! A named fault, and what is run to show that it does no harm.

use crate::Result;
use crate::checker::Verdict;

use super::run::Run;

/// Where a scenario is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// In `cargo test`, in its short form, and in `torture`, in its full one.
    Short,
    /// In `torture` alone.
    Long,
}

/// Which Kafka a scenario has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kafka {
    /// The one that all share.
    Shared,
    /// One broker of its own, which it stops.
    Own,
    /// Three brokers of its own, of which it stops one at a time.
    ThreeBrokers,
}

/// A scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name: words with dashes, the group first.
    pub name: &'static str,
    /// What it shows, in one line.
    pub about: &'static str,
    /// Where it is run.
    pub length: Length,
    /// Which Kafka it has.
    pub kafka: Kafka,
    /// What it does. Ends with [`Run::finish`].
    pub run: fn(&Run<'_>) -> Result<Verdict>,
}

impl Scenario {
    /// A scenario for both.
    pub const fn short(name: &'static str, about: &'static str, run: fn(&Run<'_>) -> Result<Verdict>) -> Self {
        Self {
            name,
            about,
            length: Length::Short,
            kafka: Kafka::Shared,
            run,
        }
    }

    /// A scenario for `torture` alone.
    pub const fn long(name: &'static str, about: &'static str, run: fn(&Run<'_>) -> Result<Verdict>) -> Self {
        Self {
            length: Length::Long,
            ..Self::short(name, about, run)
        }
    }

    /// It stops its Kafka.
    #[must_use]
    pub const fn on_its_own_kafka(self) -> Self {
        Self {
            kafka: Kafka::Own,
            ..self
        }
    }

    /// It stops one of three brokers.
    #[must_use]
    pub const fn on_three_brokers(self) -> Self {
        Self {
            kafka: Kafka::ThreeBrokers,
            ..self
        }
    }
}
