//! `sandman demo`: what a newcomer sees first, and that its check is one.

use std::fs;

use anyhow::ensure;
use sandman_tests::{Behaviour, Result, World, eventually};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("the_demo_plays_and_finds_the_fault_that_is_planted", plays).without_broker(),
    Behaviour::new("a_demo_that_is_killed_leaves_no_folder", killed).without_broker(),
];

/// What a screen has, and what is shown where no terminal says how much that is.
const LINES: usize = 45;
const COLUMNS: usize = 100;

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
    let lines: Vec<_> = ended.stdout.lines().collect();
    let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    ensure!(
        lines.len() <= LINES && longest <= COLUMNS,
        "{} lines of {longest} characters are no screen:\n{}",
        lines.len(),
        ended.stdout
    );
    Ok(())
}

fn killed(world: &World) -> Result {
    let temporary = world.folder().join("temporary");
    fs::create_dir(&temporary)?;
    let left = || -> Result<usize> { Ok(fs::read_dir(&temporary)?.count()) };
    world.command_killed_at(&["demo"], &temporary, "built", || {
        ensure!(left()? == 1, "no folder while it plays");
        Ok(())
    })?;
    eventually("the demo's folder is gone", || Ok((left()? == 0).then_some(())))
}
