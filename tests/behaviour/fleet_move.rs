//! A deployment moves from a file to PostgreSQL and back, between two starts, and nothing is lost or handled twice.

use anyhow::ensure;
use sandman_tests::{Behaviour, Ledger, Result, Settings, World, echo};

use crate::fleet::{REAL, deployment, server, start};

pub const BEHAVIOURS: &[Behaviour] =
    &[Behaviour::new("a_deployment_moves_to_postgresql_and_back", there_and_back).on_real_kafka(REAL)];

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
