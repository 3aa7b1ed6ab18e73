//! `sandman demo`: what a newcomer sees first, and that its check is one.

use std::fs;

use anyhow::ensure;
use sandman_tests::{Behaviour, Result, World, eventually};

use crate::fleet::{REAL, server};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("the_demo_plays_and_finds_the_fault_that_is_planted", plays).without_broker(),
    Behaviour::new("a_demo_that_is_killed_leaves_no_folder", killed).without_broker(),
    Behaviour::new("the_demo_of_a_fleet_plays_with_a_host_that_is_killed", fleet).on_real_kafka(REAL),
    Behaviour::new("the_demo_of_a_fleet_says_what_is_missing", missing).without_broker(),
];

/// What a screen has, and what is shown where no terminal says how much that is.
const LINES: usize = 45;
const COLUMNS: usize = 100;

/// Without the fault it is part of `.ci/run`.
fn plays(world: &World) -> Result {
    let ended = world.sandman(&["demo", "--plant", "doubled"], "", &[])?;
    ensure!(ended.code() == 1, "{}\n{}", ended.stdout, ended.stderr);
    for said in [
        "version 2 serves, replacing version 1",
        "refused at `contract`",
        "version 1 serves, replacing version 2",
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

/// With a Kafka and a PostgreSQL of its own, which it leaves no trace of.
fn fleet(world: &World) -> Result {
    // Fetched where none is installed: the demo finds it there.
    server()?;
    let temporary = world.folder().join("temporary");
    fs::create_dir(&temporary)?;
    let environment = [("TMPDIR", temporary.to_str().unwrap_or_default())];
    let ended = world.sandman(&["demo", "--fleet"], "", &environment)?;
    ensure!(ended.code() == 0, "{}\n{}", ended.stdout, ended.stderr);
    for said in [
        "version 2 serves, replacing version 1",
        "version 2 of profile serves on one and two",
        "host two killed",
        "host two is back",
        "version 1 of profile serves on one and two",
        "profile@2",
        "0 failed",
        "none lost, none doubled",
    ] {
        ensure!(ended.stdout.contains(said), "no word of {said:?} in:\n{}", ended.stdout);
    }
    ensure!(fs::read_dir(&temporary)?.count() == 0, "it leaves something behind");
    // The same on a Kafka that runs, beside whatever is on it; and a fault is found.
    let brokers = world.cluster()?.brokers().to_owned();
    let ended = world.sandman(&["demo", "--fleet", "--brokers", &brokers, "--plant", "lost"], "", &[])?;
    ensure!(ended.code() == 1, "{}\n{}", ended.stdout, ended.stderr);
    ensure!(
        ended.stdout.contains("1 lost") && ended.stdout.contains("0 failed"),
        "{}",
        ended.stdout
    );
    Ok(())
}

fn missing(world: &World) -> Result {
    // Without Java; PostgreSQL may be there, in a place that is not in PATH.
    let ended = world.sandman(&["demo", "--fleet"], "", &[("PATH", "/nowhere"), ("KAFKA_HOME", "")])?;
    ended.says(1, &["the demo of a fleet needs", "install"])?;
    let ended = world.sandman(&["demo", "--fleet", "--brokers", "127.0.0.1:1"], "", &[])?;
    ensure!(ended.code() == 1, "{}\n{}", ended.stdout, ended.stderr);
    Ok(())
}
