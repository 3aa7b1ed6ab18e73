//! A fleet's deployment belongs to one store. A schema of another store, or one that was restored from an older backup, is
//! refused until a host is started to take the deployment over.

use std::iter;

use anyhow::{Context, ensure};
use postgres::{Client, NoTls};
use sandman_tests::{Behaviour, Host, Ledger, PATIENCE, Result, Settings, World, echo, eventually};

use crate::fleet::{KEYS, REAL, deployment, named, schema, server, start};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_fleet_on_another_schema_is_refused_until_it_takes_over", other_schema).on_real_kafka(REAL),
    Behaviour::new(
        "a_fleet_that_took_a_deployment_over_gives_way_to_the_next_one",
        overtaken,
    )
    .on_real_kafka(REAL),
    Behaviour::new("a_fleet_on_a_restored_backup_is_refused_until_it_is_adopted", restored).on_real_kafka(REAL),
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

/// A connection in the schema of these settings, and the schema's name.
fn connect(settings: &Settings) -> Result<(Client, String)> {
    let text = settings.text();
    let schema = text.lines().find_map(|line| line.strip_prefix("store.schema = "));
    let schema = schema.context("no schema")?.trim_matches('"').to_owned();
    let mut client = Client::connect(&server()?.url(), NoTls)?;
    client.batch_execute(&format!("SET search_path = {schema}"))?;
    Ok((client, schema))
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
    let (mut client, _) = connect(&settings)?;
    client.batch_execute("UPDATE relays SET holder = NULL, epoch = epoch + 1")?;
    first.wait(PATIENCE)?.says(1, &["belongs to store", "--adopt"])?;
    second.still_runs()
}

/// The tables that have rows.
fn tables(client: &mut Client, schema: &str) -> Result<Vec<String>> {
    let sql = "SELECT relname::text FROM pg_class WHERE relnamespace = $1::text::regnamespace AND relkind = 'r'";
    let rows = client.query(sql, &[&schema])?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

fn restored(world: &World) -> Result {
    let (settings, input) = fleet(world)?;
    let mut ledger = Ledger::default();
    let one = start(world, &settings, "one")?;
    handles(world, &input, &mut ledger)?;
    one.terminate()?;
    let (mut client, schema) = connect(&settings)?;
    let tables = tables(&mut client, &schema)?;
    ensure!(tables.len() > 10, "{tables:?}");
    let backup = tables
        .iter()
        .map(|table| format!("CREATE TABLE {schema}_backup.{table} AS TABLE {table}"));
    let backup: Vec<String> = iter::once(format!("CREATE SCHEMA {schema}_backup"))
        .chain(backup)
        .collect();
    client.batch_execute(&backup.join(";"))?;

    let one = start(world, &settings, "one")?;
    handles(world, &input, &mut ledger)?;
    one.terminate()?;
    let restore = tables.iter().map(|table| {
        format!("TRUNCATE {table}; INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE {schema}_backup.{table}")
    });
    client.batch_execute(&restore.collect::<Vec<_>>().join(";"))?;
    world
        .host_that_ends("one", &named(&settings, "one"))?
        .says(1, &["older than what was published", "backup", "--adopt"])?;
    ledger.check(world)?;

    let one = adopting(world, &settings, "one")?;
    // What the backup does not know was done is done again: that is what was accepted.
    let again = 2 * KEYS + ledger.total();
    world.reader(&world.topic("thing.echoed"))?.until_count(again)?;
    eventually("the first host has all shards", || {
        let row = client.query_one("SELECT bool_and(claimed AND holder IS NOT NULL) FROM relays", &[])?;
        Ok(row.get::<_, bool>(0).then_some(()))
    })?;
    let two = start(world, &settings, "two")?;
    one.still_runs()?;
    two.still_runs()
}
