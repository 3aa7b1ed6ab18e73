//! A target over its kept corpus and mutations of it, on any toolchain.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use super::Target;
use super::mutate::{Chance, mutated};
use crate::{Result, repository};

/// Set, it is the seed of the mutations; else every run is the same.
const SEED: &str = "SANDMAN_TEST_SEED";
/// Set, so many times the usual number of mutations are run.
const TIMES: &str = "SANDMAN_TEST_FUZZ";

/// Runs the target over its corpus, then over mutations of it.
///
/// # Errors
/// If the corpus cannot be read, or a property does not hold: then with the seed, and the input in a file.
pub fn smoke(target: &Target) -> Result {
    let kept = corpus(target.name)?;
    for (path, bytes) in &kept {
        holds(target, bytes).with_context(|| path.display().to_string())?;
    }
    let (seed, times) = (number(SEED, 1)?, number(TIMES, 1)?);
    let kept: Vec<_> = kept.into_iter().map(|(_, bytes)| bytes).collect();
    let mut chance = Chance(seed);
    for case in 0..u64::from(target.mutations) * times {
        let bytes = mutated(&kept, &mut chance);
        if let Err(error) = holds(target, &bytes) {
            let file = std::env::temp_dir().join(format!("sandman-fuzz-{}-{seed}-{case}", target.name));
            fs::write(&file, &bytes)?;
            let how = format!("{SEED}={seed}, mutation {case}; the input is in {}", file.display());
            return Err(error.context(how));
        }
    }
    Ok(())
}

fn holds(target: &Target, bytes: &[u8]) -> Result {
    let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))) else {
        return Ok(());
    };
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
    bail!("{}: {text}", target.name)
}

/// The kept inputs, in the order of their names.
fn corpus(target: &str) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let folder = repository().join("tests/fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths?;
    paths.sort();
    ensure!(!paths.is_empty(), "{} is empty", folder.display());
    let read = |path: PathBuf| Ok((path.clone(), read(&path)?));
    paths.into_iter().map(read).collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

fn number(variable: &str, default: u64) -> Result<u64> {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{variable} must be a number, not {text:?}")),
        Err(_) => Ok(default),
    }
}
