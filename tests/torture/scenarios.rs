//! The torture scenarios: a promise, a load, a fault, and the checker's verdict. `cargo test` runs the short ones, the
//! command `torture` all of them.

mod crowd;
mod gate;
mod hosts;
mod live;
mod load;
mod plot;
mod report;
mod run;
mod scenario;
mod shim;
mod smuggling;
mod tries;
mod vitals;

mod crash;
mod damage;
mod disk;
mod gone;
mod group;
mod guests;
mod http;
mod kafka;
mod keys;
mod proxy;
mod soak;
mod swap;
mod time;

use std::time::Instant;

use crate::World;
use crate::checker::Verdict;
use crate::harness::chain;

pub use load::Load;
pub use report::Report;
pub use run::Run;
pub use scenario::{Length, Scenario};

/// All scenarios, in the order in which they are told.
pub const ALL: &[&[Scenario]] = &[
    crash::SCENARIOS,
    kafka::SCENARIOS,
    proxy::SCENARIOS,
    group::SCENARIOS,
    gone::SCENARIOS,
    keys::SCENARIOS,
    swap::SCENARIOS,
    time::SCENARIOS,
    disk::SCENARIOS,
    damage::SCENARIOS,
    http::SCENARIOS,
    guests::SCENARIOS,
    soak::SCENARIOS,
];

/// Each scenario.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    ALL.iter().flat_map(|group| group.iter())
}

/// A seed that nobody chose, or the one in `SANDMAN_TEST_SEED`.
pub fn any_seed() -> u64 {
    let wish = std::env::var("SANDMAN_TEST_SEED").ok();
    wish.and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..1 << 53))
}

/// Runs one scenario.
pub fn one(world: &World, scenario: &Scenario, seed: u64, full: bool) -> Report {
    let began = Instant::now();
    let (mut faults, mut notes) = (0, Vec::new());
    let mut outcome = || {
        if scenario.own_kafka {
            world.own_broker()?;
        }
        let run = Run::new(world, seed, full)?;
        let verdict = (scenario.run)(&run);
        if verdict.is_err() {
            run.note(run.so_far());
        }
        faults = run.faults();
        notes = run.notes();
        verdict
    };
    let (verdict, error) = match outcome() {
        Ok(verdict) => (verdict, None),
        Err(error) => (Verdict::default(), Some(chain(&error))),
    };
    Report {
        scenario: scenario.name.to_owned(),
        seed,
        seconds: began.elapsed().as_secs_f64(),
        faults,
        notes,
        clean: error.is_none() && verdict.anomalies.is_empty(),
        verdict,
        error,
    }
}
