//! An embedded store has one host: whoever else would do harm is refused, and told what to do.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, ensure};
use sandman_tests::{
    Ask, Behaviour, Client, Ended, Event, Handler, Host, Ledger, PATIENCE, Result, Settings, World, echo, guest,
};
use serde_json::json;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_second_host_on_the_same_store_is_refused", same_store).with_its_own_store("it is about the file"),
    Behaviour::new("a_second_store_on_the_same_deployment_is_refused", other_store)
        .on_real_kafka(REAL)
        .with_its_own_store("each folder has a store of its own"),
    Behaviour::new("who_took_a_deployment_over_gives_way_to_the_next_who_does", overtaken)
        .on_real_kafka(REAL)
        .with_its_own_store("each folder has a store of its own"),
    Behaviour::new("a_store_of_another_cluster_is_refused", other_cluster),
    Behaviour::new("a_cursor_that_is_behind_is_refused", cursor_behind).on_real_kafka(REAL),
    Behaviour::new("a_restored_backup_is_refused_until_it_is_adopted", restored_backup)
        .with_its_own_store("it is about the file")
        .on_real_kafka(REAL),
    Behaviour::new(
        "what_a_restored_backup_answers_before_kafka_is_reached_comes_out_once_it_is_adopted",
        answered_early,
    )
    .with_its_own_store("it is about the file")
    .on_real_kafka(REAL),
];

const REAL: &str = "proves nothing about fencing";

fn refused(ended: &Ended, words: &[&str]) -> Result {
    ensure!(!ended.stdout.contains("ready"), "it said that it was ready");
    ended.says(1, words)
}

/// A host that has done some work.
fn at_work(world: &World, ledger: &mut Ledger) -> Result<(Host, Settings, String)> {
    let input = world.make_topic("thing.happened")?;
    let settings = world.settings()?.handler(echo(&[&input])?);
    let host = world.host(&settings)?;
    world.send(&input, &ledger.rounds(20, 2, 0))?;
    ledger.settle(world)?;
    Ok((host, settings, input))
}

/// It was neither ended nor fenced: it goes on.
fn undisturbed(world: &World, host: &Host, input: &str, ledger: &mut Ledger) -> Result {
    world.send(input, &ledger.rounds(20, 2, 0))?;
    ledger.settle(world)?;
    host.still_runs()
}

fn same_store(world: &World) -> Result {
    let mut ledger = Ledger::default();
    let (host, settings, input) = at_work(world, &mut ledger)?;
    refused(
        &world.host_that_ends("", &settings)?,
        &["sandman.db", "in use by process"],
    )?;
    undisturbed(world, &host, &input, &mut ledger)
}

fn other_store(world: &World) -> Result {
    let mut ledger = Ledger::default();
    let (host, settings, input) = at_work(world, &mut ledger)?;
    refused(
        &world.host_that_ends("elsewhere", &settings)?,
        &["belongs to store", "deployment", "--adopt"],
    )?;
    undisturbed(world, &host, &input, &mut ledger)?;

    // Once the first is gone for good, the second may take over: it says so, and the first is refused from then on.
    host.terminate()?;
    let second = world.host_in("elsewhere", &settings, &["--adopt"])?;
    refused(&world.host_that_ends("", &settings)?, &["belongs to store", "--adopt"])?;
    second.still_runs()
}

/// `--adopt` takes over once: two hosts that were started with it must not take the deployment from each other in turns.
fn overtaken(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let settings = world.settings()?.handler(echo(&[&input])?);
    let first = world.host_in("", &settings, &["--adopt"])?;
    let mut ledger = Ledger::default();
    world.send(&input, &ledger.rounds(20, 2, 0))?;
    ledger.settle(world)?;
    let second = world.host_in("elsewhere", &settings, &["--adopt"])?;
    second.says(&["this store takes the deployment"])?;
    // The first finds out from its group, or when it publishes; all partitions have something.
    world.send(&input, &ledger.rounds(20, 2, 0))?;
    let ended = first.wait(PATIENCE)?;
    ended.says(1, &["--adopt"])?;
    let told = ["belongs to store", "another process has joined the group"];
    ensure!(
        told.iter().any(|told| ended.stderr.contains(told)),
        "it does not say why: {}",
        ended.stderr
    );
    second.still_runs()
}

/// Nothing was published: the cluster is known by the relay's topic alone. A deployment that this cluster has not seen
/// stands for a cluster that has not seen the deployment.
fn other_cluster(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let settings = world.settings()?.handler(echo(&[&input])?);
    world.host(&settings)?.terminate()?;
    let elsewhere = settings.set("host.deployment", &format!("\"{}-elsewhere\"", world.deployment()));
    refused(&world.host_that_ends("", &elsewhere)?, &["another cluster", "--adopt"])
}

/// What Kafka has confirmed is not there.
fn cursor_behind(world: &World) -> Result {
    let mut ledger = Ledger::default();
    let (host, settings, _) = at_work(world, &mut ledger)?;
    host.terminate()?;
    let topic = format!("{}.relay", world.deployment());
    let records = world.all_of(&topic)?;
    let cursor = records.last().context("no cursor")?.json();
    let older = json!({ "store": cursor["store"], "batch": 0 });
    world.send(&topic, &[Event::bytes("0", older.to_string().as_bytes())])?;
    // It may have been ready to answer requests meanwhile.
    let ended = world.host_that_ends("", &settings)?;
    let last = ended.stderr.lines().last().unwrap_or_default();
    let told = ["stands at batch", "but here it is at batch 0", "--adopt"];
    ensure!(
        ended.code() == 1 && told.iter().all(|word| last.contains(word)),
        "it ended with {}: {last}",
        ended.status
    );
    Ok(())
}

fn restored_backup(world: &World) -> Result {
    let mut ledger = Ledger::default();
    let (host, settings, input) = at_work(world, &mut ledger)?;
    host.terminate()?;
    let (data, backup) = (world.folder().join("data"), world.folder().join("backup"));
    copy(&data, &backup)?;

    let host = world.host(&settings)?;
    undisturbed(world, &host, &input, &mut ledger)?;
    host.terminate()?;
    fs::remove_dir_all(&data)?;
    copy(&backup, &data)?;
    refused(
        &world.host_that_ends("", &settings)?,
        &["older than what was published", "backup", "--adopt"],
    )?;
    ledger.check(world)?;

    let host = world.host_in("", &settings, &["--adopt"])?;
    // What the backup does not know was done is done again: that is what was accepted.
    let again = 40 + ledger.total();
    world.reader(&world.topic("thing.echoed"))?.until_count(again)?;
    host.still_runs()
}

/// More is committed than was published after the backup, over two starts, before the cursor can be read.
fn answered_early(world: &World) -> Result {
    let input = world.make_topic("work.asked")?;
    let witness = Handler::new("witness", &guest("witness")?)
        .consumes(&[&input])
        .emits(&["work.begun", "work.ended"]);
    let settings = world.settings()?.handler(witness).route("/work/{key}", &["witness"]);
    let asked = |host: &Host, ids: Range<u64>| -> Result {
        let client = Client::new(host.http()?);
        for id in ids {
            let ask = Ask::new("POST", &format!("/work/{id}")).json(&json!({ "id": id, "seq": 1 }));
            client.ask(&ask)?.has(200)?;
        }
        Ok(())
    };
    let published = |count| world.reader(&world.topic("work.begun"))?.until_count(count).map(drop);
    let host = world.host(&settings)?;
    asked(&host, 0..3)?;
    published(3)?;
    host.terminate()?;
    let (data, backup) = (world.folder().join("data"), world.folder().join("backup"));
    copy(&data, &backup)?;
    let host = world.host(&settings)?;
    asked(&host, 3..8)?;
    published(8)?;
    host.terminate()?;

    fs::remove_dir_all(&data)?;
    copy(&backup, &data)?;
    let away = settings.clone().set("kafka.brokers", "\"127.0.0.1:1\"");
    for ids in [8..18, 18..28] {
        let host = world.host(&away)?;
        asked(&host, ids)?;
        host.kill()?;
    }
    refused(
        &world.host_that_ends("", &settings)?,
        &["older than what was published", "it ends at batch", "--adopt"],
    )?;
    let host = world.host_in("", &settings, &["--adopt"])?;
    published(28)?;
    host.still_runs()
}

fn copy(from: &Path, to: &Path) -> Result {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
