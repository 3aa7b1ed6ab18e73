//! `sandman demo`: what a newcomer sees first, and that its check is one.

use anyhow::ensure;
use sandman_tests::{Behaviour, Result, World};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("the_demo_plays_and_its_check_finds_nothing", plays).without_broker(),
    Behaviour::new("the_demo_fails_when_a_fault_is_planted", fails).without_broker(),
];

fn plays(world: &World) -> Result {
    let ended = world.sandman(&["demo"], "", &[])?;
    ensure!(ended.code() == 0, "{}\n{}", ended.stdout, ended.stderr);
    for said in [
        "version 2 serves, before it version 1",
        "refused at `contract`",
        "version 1 serves, before it version 2",
        "0 failed",
        "none lost, none doubled",
    ] {
        ensure!(ended.stdout.contains(said), "no word of {said:?} in:\n{}", ended.stdout);
    }
    ensure!(!ended.stdout.contains('\u{1b}'), "colours in a pipe:\n{}", ended.stdout);
    Ok(())
}

fn fails(world: &World) -> Result {
    let ended = world.sandman(&["demo", "--plant", "doubled"], "", &[])?;
    ensure!(ended.code() == 1, "{}\n{}", ended.stdout, ended.stderr);
    ensure!(ended.stdout.contains("1 doubled"), "{}", ended.stdout);
    Ok(())
}
