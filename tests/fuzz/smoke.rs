//! Every fuzz target over its kept corpus and some thousand mutations of it, on the stable toolchain.

use std::collections::BTreeSet;
use std::fs;

use sandman_tests::fuzz::{TARGETS, smoke};
use sandman_tests::{Result, repository};

/// A test for each target, so that they are run side by side and named.
macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() -> Result {
                let target = TARGETS.iter().find(|target| target.name == stringify!($name)).expect("a target of that name");
                smoke(target)
            }
        )*
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

targets! {
    envelope headers dead_letters progress outbox configuration multipart routes tokens requests component
}

#[test]
fn every_target_is_run_here_and_by_cargo_fuzz() -> Result {
    let known: BTreeSet<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(known, NAMES.iter().map(|name| (*name).to_owned()).collect());
    let folder = repository().join("tests/fuzz");
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(folder.join("fuzz_targets"))? {
        let path = entry?.path();
        let name = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default()
            .to_owned();
        assert!(
            fs::read_to_string(&path)?.contains(&format!("sandman_tests::fuzz::{name}(")),
            "{name} runs another target"
        );
        files.insert(name);
    }
    assert_eq!(files, known);
    let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
    assert!(
        known
            .iter()
            .all(|name| manifest.contains(&format!("name = \"{name}\"")))
    );
    Ok(())
}
