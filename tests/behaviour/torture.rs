//! The torture scenarios, in their short form, and what makes a test that fails fail again.

use anyhow::ensure;
use sandman_tests::torture::{Length, all, evidence};
use sandman_tests::{Behaviour, Result, World, repository};

pub fn behaviours() -> Vec<Behaviour> {
    let short = all().filter(|scenario| scenario.length == Length::Short);
    let seed = Behaviour::new("property_tests_have_a_fixed_seed", fixed_seed).of_the_sources();
    let page = Behaviour::new("the_evidence_is_what_the_saved_reports_say", evidence_page).of_the_sources();
    short.map(Behaviour::torture).chain([seed, page]).collect()
}

fn evidence_page(_: &World) -> Result {
    let folder = repository().join("tests/torture/reports");
    let files = std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.path()));
    let mut files = files.collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let written = std::fs::read_to_string(repository().join("docs/evidence.md"))?;
    ensure!(
        written.trim_end() == evidence(&files)?.trim_end(),
        "docs/evidence.md is not what the reports say: its first lines tell how to write it"
    );
    Ok(())
}

/// Cargo sets it, as `.cargo/config.toml` says; scenarios have [`sandman_tests::torture::fixed_seed`].
fn fixed_seed(_: &World) -> Result {
    let seed = std::env::var("PROPTEST_RNG_SEED").unwrap_or_default();
    ensure!(seed.parse::<u64>().is_ok(), "property tests take any seed: {seed:?}");
    Ok(())
}
