//! The torture scenarios: a promise, a load, a fault, and the checker's verdict. `cargo test` runs the short ones, the
//! command `torture` all of them.

mod crowd;
mod evidence;
mod flow;
mod gate;
mod hosts;
mod live;
mod lives;
mod load;
mod pictures;
mod plant;
mod plot;
mod report;
mod run;
mod scenario;
mod shim;
mod smuggling;
mod tries;
mod vitals;

mod brokers;
mod crash;
mod damage;
mod disk;
mod fleet;
mod gone;
mod group;
mod guests;
mod http;
mod kafka;
mod keys;
mod letters;
mod proxy;
mod soak;
mod swap;
mod time;
mod uploads;

use std::time::Instant;

use jiff::Timestamp;

use crate::World;
use crate::checker::Verdict;
use crate::harness::chain;

pub use evidence::evidence;
pub use gate::Gate;
pub use lives::{Activity, Life, Target};
pub use load::Load;
pub use plant::Plant;
pub use report::Report;
pub use run::Run;
pub use scenario::{Kafka, Length, Scenario};
pub(crate) use vitals::peak_memory;

/// All scenarios, in the order in which they are told.
pub const ALL: &[&[Scenario]] = &[
    crash::SCENARIOS,
    kafka::SCENARIOS,
    proxy::SCENARIOS,
    group::SCENARIOS,
    fleet::SCENARIOS,
    brokers::SCENARIOS,
    uploads::SCENARIOS,
    gone::SCENARIOS,
    keys::SCENARIOS,
    letters::SCENARIOS,
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

/// What the choices of tests follow from, unless `SANDMAN_TEST_SEED` says something else: a test that fails must fail again.
const FIXED: u64 = 2026;

/// The seed of a test: the same one each time, or the one in `SANDMAN_TEST_SEED`.
pub fn fixed_seed() -> u64 {
    let wish = std::env::var("SANDMAN_TEST_SEED").ok();
    wish.and_then(|seed| seed.parse().ok()).unwrap_or(FIXED)
}

/// A seed that nobody chose.
pub fn any_seed() -> u64 {
    fastrand::u64(..1 << 53)
}

/// How a scenario is run.
#[derive(Clone, Debug)]
pub struct How {
    /// What its choices follow from.
    pub seed: u64,
    /// All of it, or as much as `cargo test` has time for.
    pub full: bool,
    /// A bug that every host is to have: then the verdict must not be clean.
    pub plant: Option<Plant>,
}

/// Runs one scenario.
pub fn one(world: &World, scenario: &Scenario, how: &How) -> Report {
    let began = Instant::now();
    let (mut faults, mut notes, mut lives) = (0, Vec::new(), Vec::new());
    let mut outcome = || {
        match scenario.kafka {
            Kafka::Shared => {}
            Kafka::Own => world.own_broker().map(drop)?,
            Kafka::ThreeBrokers => world.three_brokers().map(drop)?,
        }
        let mut run = Run::new(world, how.seed, how.full)?;
        run.plant.clone_from(&how.plant);
        let verdict = (scenario.run)(&run);
        if verdict.is_err() {
            run.note(run.so_far());
        }
        faults = run.faults();
        notes = run.notes();
        lives = run.lives();
        verdict
    };
    let (verdict, error) = match outcome() {
        Ok(verdict) => (verdict, None),
        Err(error) => (Verdict::default(), Some(chain(&error))),
    };
    Report {
        scenario: scenario.name.to_owned(),
        seed: how.seed,
        day: Timestamp::now().strftime("%Y-%m-%d").to_string(),
        full: how.full,
        release: !cfg!(debug_assertions),
        plant: how.plant.as_ref().map(ToString::to_string),
        seconds: began.elapsed().as_secs_f64(),
        faults,
        notes,
        lives,
        clean: error.is_none() && verdict.anomalies.is_empty(),
        verdict,
        error,
    }
}
