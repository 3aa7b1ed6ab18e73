//! `sandman demo`: what a newcomer sees first, and that its check is one.

use anyhow::ensure;
use sandman_tests::{Behaviour, Result, World};

pub const BEHAVIOURS: &[Behaviour] =
    &[Behaviour::new("the_demo_plays_and_finds_the_fault_that_is_planted", plays).without_broker()];

/// Without the fault it is part of `.ci/run`.
fn plays(world: &World) -> Result {
    let ended = world.sandman(&["demo", "--plant", "doubled"], "", &[])?;
    ensure!(ended.code() == 1, "{}\n{}", ended.stdout, ended.stderr);
    for said in [
        "version 2 serves, before it version 1",
        "refused at `contract`",
        "version 1 serves, before it version 2",
        "0 failed",
        "1 doubled",
    ] {
        ensure!(ended.stdout.contains(said), "no word of {said:?} in:\n{}", ended.stdout);
    }
    ensure!(!ended.stdout.contains('\u{1b}'), "colours in a pipe:\n{}", ended.stdout);
    for unsaid in ["lost,", "disordered", "\u{1b}"] {
        ensure!(!ended.stdout.contains(unsaid), "{unsaid:?} in:\n{}", ended.stdout);
    }
    Ok(())
}
