//! A deployment moves from a file to PostgreSQL and back, between two starts, and nothing is lost or handled twice.

use std::fs;
use std::ops::Range;

use anyhow::ensure;
use sandman_tests::{Behaviour, Ended, Ledger, Result, Settings, StoreFile, Tally, World, echo};
use serde_json::json;

use crate::fleet::{REAL, deployment, schema, server, start};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_deployment_moves_to_postgresql_and_back", there_and_back).on_real_kafka(REAL),
    Behaviour::new("a_move_that_is_killed_goes_on_where_it_was", killed).without_broker(),
    Behaviour::new("a_move_is_not_continued_from_a_source_that_has_changed", changed).without_broker(),
];

const KEYS: usize = 30;

/// Runs a host until all is done, and stops it.
fn serve(world: &World, (folder, settings): (&str, &Settings), adopt: bool, ledger: &mut Ledger) -> Result {
    let arguments: &[&str] = if adopt { &["--adopt"] } else { &[] };
    let host = world.host_in(folder, settings, arguments)?;
    world.send(&world.topic("thing.happened"), &ledger.rounds(KEYS, 4, 0))?;
    ledger.settle(world)?;
    let ended = host.terminate()?;
    ensure!(ended.code() == 0, "{ended:?}");
    Ok(())
}

fn moved(world: &World, folder: &str, settings: &Settings, to: &str) -> Result {
    let file = world.configured(folder, settings)?;
    let file = file.display().to_string();
    let arguments = ["move", "--to", to, "--config", &file];
    let schema = settings.text();
    let schema = schema.lines().find_map(|line| line.strip_prefix("store.schema = "));
    let environment = schema.map(|schema| ("SANDMAN_STORE__SCHEMA", schema.trim_matches('"')));
    let moved = world.command(&arguments, environment.as_slice())?;
    ensure!(moved.code() == 0 && moved.stdout.contains("--adopt"), "{moved:?}");
    ensure!(moved.stderr.contains(&format!("states: {KEYS}")), "{moved:?}");
    Ok(())
}

fn there_and_back(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let fleet = deployment(world)?.handler(echo(&[&input])?);
    let text = fleet.text();
    let schema = text.lines().find_map(|line| line.strip_prefix("store.schema = "));
    let alone = world
        .settings()?
        .handler(echo(&[&input])?)
        .set("store.schema", schema.unwrap_or("\"sandman\""));
    let mut ledger = Ledger::default();
    serve(world, ("alone", &alone), false, &mut ledger)?;
    moved(world, "alone", &alone, &server()?.url())?;
    // Without the order to take the deployment over it is refused, as the file is afterwards.
    world
        .host_that_ends("fleet", &fleet)?
        .says(1, &["belongs to store", "--adopt"])?;
    serve(world, ("fleet", &fleet), true, &mut ledger)?;
    world
        .host_that_ends("alone", &alone)?
        .says(1, &["belongs to store", "--adopt"])?;
    // Another host of the fleet needs no order.
    let host = start(world, &fleet, "two")?;
    world.send(&input, &ledger.rounds(KEYS, 4, 0))?;
    ledger.settle(world)?;
    ensure!(host.terminate()?.code() == 0, "it did not stop well");
    let back = alone.clone().set("store.url", "\"sqlite:data/back.db\"");
    let file = world.folder().join("back/data/back.db");
    moved(world, "fleet", &fleet, &format!("sqlite:{}", file.display()))?;
    serve(world, ("back", &back), true, &mut ledger)?;
    ledger.check(world)
}

/// A deployment in a file with a state for each number, and where it is to go.
struct Moving<'a> {
    world: &'a World,
    file: Settings,
    fleet: Settings,
}

impl<'a> Moving<'a> {
    fn new(world: &'a World, states: Range<u64>) -> Result<Self> {
        let schema = format!("{:?}", schema());
        let file = world
            .settings_without_broker()
            .handler(echo(&[&world.topic("thing.happened")])?)
            .set("store.schema", &schema);
        let moving = Self {
            world,
            fleet: file.clone().set("store.url", &format!("{:?}", server()?.url())),
            file,
        };
        moving.import(states)?;
        Ok(moving)
    }

    fn import(&self, states: Range<u64>) -> Result {
        let line = |n: u64| json!({ "key": format!("u-{n}"), "state": Tally::default().after(n) }).to_string() + "\n";
        fs::write(
            self.world.folder().join("states.jsonl"),
            states.map(line).collect::<String>(),
        )?;
        let done = self.world.import(&self.file, &["--handler", "echo", "states.jsonl"])?;
        ensure!(done.code() == 0, "{done:?}");
        Ok(())
    }

    /// Runs a move from those settings, which is killed at that step, or by nobody.
    fn run(&self, from: (&str, &Settings), to: &str, killed_at: &str) -> Result<Ended> {
        let file = self.world.configured(from.0, from.1)?;
        let file = file.display().to_string();
        let environment = [("SANDMAN_TEST_CRASH", killed_at)];
        self.world
            .faulty_command(&["move", "--to", to, "--config", &file], &environment)
    }

    /// It is killed at each of these steps, one run after the other, and then comes to its end. No host starts in between.
    fn killed_at(&self, steps: &[&str], from: (&str, &Settings), to: (&str, &Settings)) -> Result<Ended> {
        for step in steps {
            let ended = self.run(from, to.0, step)?;
            ensure!(ended.code() == -1, "it was not killed at {step}: {ended:?}");
            self.world
                .host_that_ends("half", to.1)?
                .says(1, &["run the same `sandman move` again"])?;
        }
        let ended = self.run(from, to.0, "nowhere")?;
        ensure!(ended.code() == 0 && ended.stdout.contains("--adopt"), "{ended:?}");
        Ok(ended)
    }
}

/// States of the moves that are killed: five batches.
const MANY: u64 = 4_500;

fn killed(world: &World) -> Result {
    let moving = Moving::new(world, 0..MANY)?;
    // The handlers are there; the second batch of states is written, not committed; two more are; so is the last one, while all
    // is compared.
    let steps = ["committed:1", "written:3", "committed:2", "committed:2", "written:2"];
    let url = server()?.url();
    let done = moving.killed_at(&steps, ("", &moving.file), (&url, &moving.fleet))?;
    ensure!(
        done.stderr
            .contains(&format!("continuing after {MANY} rows of the states")),
        "{done:?}"
    );
    let again = moving.run(("", &moving.file), &url, "nowhere")?;
    again.says(1, &["the target already has a deployment"])?;

    let back = world.folder().join("half/back.db");
    let alone = moving
        .file
        .clone()
        .set("store.url", &format!("\"sqlite:{}\"", back.display()));
    let steps = ["committed:1", "written:2", "committed:2", "committed:2", "written:1"];
    let to = format!("sqlite:{}", back.display());
    let done = moving.killed_at(&steps, ("fleet", &moving.fleet), (&to, &alone))?;
    ensure!(
        done.stderr
            .contains(&format!("continuing after {MANY} rows of the states")),
        "{done:?}"
    );
    let (before, after) = (world.store().states("echo")?, StoreFile::new(back).states("echo")?);
    ensure!(before.lines().count() as u64 == MANY, "not all states were imported");
    ensure!(before == after, "the states are not what they were");
    Ok(())
}

fn changed(world: &World) -> Result {
    let moving = Moving::new(world, 0..1_500)?;
    let url = server()?.url();
    let ended = moving.run(("", &moving.file), &url, "committed:2")?;
    ensure!(ended.code() == -1, "it was not killed: {ended:?}");
    moving.import(1_500..1_501)?;
    let refused = moving.run(("", &moving.file), &url, "nowhere")?;
    refused.says(
        1,
        &["the source has changed since the move began (states)", "begin anew"],
    )?;
    let half = world.host_that_ends("half", &moving.fleet)?;
    half.says(1, &["run the same `sandman move` again"])?;
    // Into another schema all of it goes.
    let file = moving.file.clone().set("store.schema", &format!("{:?}", schema()));
    let ended = moving.run(("", &file), &url, "nowhere")?;
    ensure!(
        ended.code() == 0 && ended.stderr.contains("states: 1501 of 1501"),
        "{ended:?}"
    );
    Ok(())
}
