//! A second look at behaviours that failed, for a gate that runs on whatever machine is free: with `SANDMAN_TEST_AGAIN=N` up to
//! N behaviours that failed beside others are run once more, each alone. One that passes then is unsteady: it is named at the
//! end, and in a file under `target/` for whoever runs the gate to tell, and it has to be looked into, but it refuses no change.
//! One that fails again has failed.

use std::fs;
use std::io::{Write, stdout};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;

use crate::broker::Means;
use crate::harness::Behaviour;
use crate::{Result, paths};

/// How many may be run again; more failures than these are no matter of luck.
const AGAIN: &str = "SANDMAN_TEST_AGAIN";

static FAILED: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

/// A behaviour has failed.
pub(crate) fn note(name: &'static str) {
    FAILED.lock().unwrap_or_else(PoisonError::into_inner).push(name);
}

/// Runs what failed once more, if that is wanted. Answers whether all of it passes.
pub(crate) fn all(failed: u64, behaviours: &[Behaviour], means: &'static Means) -> Result<bool> {
    let Some(most) = std::env::var_os(AGAIN) else {
        return Ok(false);
    };
    let most: u64 = most
        .to_str()
        .and_then(|most| most.parse().ok())
        .with_context(|| format!("{AGAIN} is no number"))?;
    let names = std::mem::take(&mut *FAILED.lock().unwrap_or_else(PoisonError::into_inner));
    // One that failed before it ran is not among them, such as for tools that are missing.
    if failed > most || names.len() as u64 != failed {
        return Ok(false);
    }
    let mut out = stdout();
    let mut unsteady = String::new();
    for name in names {
        let behaviour = behaviours
            .iter()
            .find(|known| known.is(name))
            .context("a behaviour without a name")?;
        if let Err(why) = behaviour.run(means) {
            let why = why.message().unwrap_or_default();
            writeln!(out, "again, alone: {name} ... FAILED\n{why}")?;
            return Ok(false);
        }
        writeln!(
            out,
            "again, alone: {name} ... ok: it is UNSTEADY; how it failed beside others stands above"
        )?;
        unsteady.push_str(name);
        unsteady.push('\n');
    }
    fs::write(paths::target_dir()?.join("unsteady"), unsteady)?;
    Ok(true)
}
