//! A fleet's deployment belongs to one store: another schema is refused until a host is started to take the deployment over.

use anyhow::Context;
use postgres::{Client, NoTls};
use sandman_tests::{Behaviour, Host, Ledger, PATIENCE, Result, Settings, World, echo};

use crate::fleet::{KEYS, REAL, deployment, named, schema, server, start};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_fleet_on_another_schema_is_refused_until_it_takes_over", other_schema).on_real_kafka(REAL),
    Behaviour::new(
        "a_fleet_that_took_a_deployment_over_gives_way_to_the_next_one",
        overtaken,
    )
    .on_real_kafka(REAL),
];

/// A deployment, and the topic that it consumes.
fn fleet(world: &World) -> Result<(Settings, String)> {
    let input = world.make_topic("thing.happened")?;
    let settings = deployment(world)?.handler(echo(&[&input])?);
    Ok((settings, input))
}

fn on_another_schema(settings: &Settings) -> Settings {
    settings.clone().set("store.schema", &format!("{:?}", schema()))
}

fn adopting(world: &World, settings: &Settings, name: &str) -> Result<Host> {
    world.host_in(name, &named(settings, name), &["--adopt"])
}

fn handles(world: &World, input: &str, ledger: &mut Ledger) -> Result {
    world.send(input, &ledger.rounds(KEYS, 2, 0))?;
    ledger.settle(world)
}

/// A connection in the schema of these settings.
fn connect(settings: &Settings) -> Result<Client> {
    let text = settings.text();
    let schema = text.lines().find_map(|line| line.strip_prefix("store.schema = "));
    let schema = schema.context("no schema")?.trim_matches('"');
    let mut client = Client::connect(&server()?.url(), NoTls)?;
    client.batch_execute(&format!("SET search_path = {schema}"))?;
    Ok(client)
}

fn other_schema(world: &World) -> Result {
    let (settings, input) = fleet(world)?;
    let mut ledger = Ledger::default();
    let one = start(world, &settings, "one")?;
    handles(world, &input, &mut ledger)?;
    let elsewhere = on_another_schema(&settings);
    world
        .host_that_ends("elsewhere", &named(&elsewhere, "elsewhere"))?
        .says(1, &["belongs to store", "deployment", "--adopt"])?;
    // It was neither ended nor fenced.
    handles(world, &input, &mut ledger)?;
    one.still_runs()?;

    one.terminate()?;
    let second = adopting(world, &elsewhere, "elsewhere")?;
    world
        .host_that_ends("one", &named(&settings, "one"))?
        .says(1, &["belongs to store", "--adopt"])?;
    second.still_runs()
}

/// `--adopt` takes over once, also if the host loses its shards and gets them back.
fn overtaken(world: &World) -> Result {
    let (settings, input) = fleet(world)?;
    let mut ledger = Ledger::default();
    let first = adopting(world, &settings, "one")?;
    handles(world, &input, &mut ledger)?;
    let second = adopting(world, &on_another_schema(&settings), "elsewhere")?;
    second.says(&["this store takes the deployment"])?;
    // The first publishes nothing now, and finds out when its shards come back to it.
    let mut client = connect(&settings)?;
    client.batch_execute("UPDATE relays SET holder = NULL, epoch = epoch + 1")?;
    first.wait(PATIENCE)?.says(1, &["belongs to store", "--adopt"])?;
    second.still_runs()
}
