//! The torture scenarios, in their short form, and what makes a test that fails fail again.

use anyhow::ensure;
use sandman_tests::torture::{Length, all};
use sandman_tests::{Behaviour, Result, World};

pub fn behaviours() -> Vec<Behaviour> {
    let short = all().filter(|scenario| scenario.length == Length::Short);
    let seed = Behaviour::new("property_tests_have_a_fixed_seed", fixed_seed).of_the_sources();
    short.map(Behaviour::torture).chain([seed]).collect()
}

/// Cargo sets it, as `.cargo/config.toml` says; scenarios have [`sandman_tests::torture::fixed_seed`].
fn fixed_seed(_: &World) -> Result {
    let seed = std::env::var("PROPTEST_RNG_SEED").unwrap_or_default();
    ensure!(seed.parse::<u64>().is_ok(), "property tests take any seed: {seed:?}");
    Ok(())
}
