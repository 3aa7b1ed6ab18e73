//! What the host stands on is taken away under it: its progress, or records that it has not read. It stops loudly, and
//! changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};
use sandman_core::progress::Progress;
use sandman_store::fuzzing;
use witness::Asked;

use crate::checker::{Fate, Rules, Verdict};
use crate::wait::PATIENCE;
use crate::{Handler, Host, ProgressRows, Result, Settings, eventually, guest};

use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::short(
        "group-progress-deleted",
        "progress is deleted from the store: a loud stop and nothing done twice, until it is restored",
        progress_deleted,
    ),
    Scenario::short(
        "group-input-truncated",
        "records that are not done are deleted while the host is stopped: the handler stops loudly, and the way out",
        truncated,
    ),
    Scenario::long(
        "group-input-truncated-live",
        "records that are not done are deleted while the host runs: the handler stops loudly, and the way out",
        truncated_live,
    ),
];

/// What can be compared before and after a start that must change nothing.
#[derive(Debug, PartialEq)]
struct Standing {
    progress: ProgressRows,
    group: i64,
    events: i64,
}

impl Standing {
    fn of(run: &Run<'_>) -> Result<Self> {
        let cluster = run.world.cluster()?;
        let events = run.output_topics().iter().map(|topic| cluster.end(topic));
        Ok(Self {
            progress: run.world.store().progress()?,
            group: run.world.group_offsets("witness", run.input_topic())?,
            events: events.sum::<Result<_>>()?,
        })
    }
}

/// Lets a host do some work and stop.
fn some_work(run: &Run<'_>, settings: &Settings) -> Result {
    let host = run.host(settings)?;
    run.send(&Load::default(), run.size(500, 5_000))?;
    run.settle(&host)?;
    let ended = host.terminate()?;
    ensure!(ended.code() == 0, "the host ended with {}", ended.status);
    Ok(())
}

/// Waits for a host that must end by itself; all of `words` are in one line of its log.
fn stops(host: Host, words: &[&str]) -> Result {
    let ended = host.wait(PATIENCE)?;
    ensure!(ended.code() == 1, "the host ended with {}", ended.status);
    let mut lines = ended.stderr.lines();
    ensure!(
        lines.any(|line| words.iter().all(|word| line.contains(word))),
        "no line says {words:?}:\n{}",
        ended.stderr
    );
    Ok(())
}

/// Waits for a handler that must stop by itself while the host goes on; all of `words` are in one line of its log.
fn handler_stops(host: Host, words: &[&str]) -> Result {
    host.says(words)?;
    eventually("the handler is said to be stopped", || {
        let health = host.operator().get("/health")?.json();
        let is_said = health["status"] == "degraded" && health["handlers"][0]["stopped"] == true;
        Ok(is_said.then_some(()))
    })?;
    let ended = host.terminate()?;
    ensure!(ended.code() == 0, "the host ended with {}", ended.status);
    Ok(())
}

fn progress_deleted(run: &Run<'_>) -> Result<Verdict> {
    let settings = run.settings()?;
    some_work(run, &settings)?;
    let folder = run.world.folder().join("data");
    let backup = std::fs::read(folder.join("sandman.db"))?;
    let partition = i32::try_from(run.below(3))?;
    run.world.store().forget_progress(run.input_topic(), partition)?;
    let before = Standing::of(run)?;
    run.fault();

    let place = format!("{}[{partition}]", run.input_topic());
    for _ in 0..2 {
        stops(run.world.host(&settings)?, &[&place, "progress", "store"])?;
        let after = Standing::of(run)?;
        ensure!(after == before, "it was {before:?} and is {after:?}");
    }

    // Clients go on; what was deleted is put back from the backup, which is as old as the stop.
    run.send(&Load::default(), run.size(200, 2_000))?;
    for side in ["sandman.db-wal", "sandman.db-shm"] {
        let file = folder.join(side);
        if file.exists() {
            std::fs::remove_file(file)?;
        }
    }
    std::fs::write(folder.join("sandman.db"), backup)?;
    run.finish(run.host(&settings)?)
}

/// Inputs of random keys, a few at a time, so that they are fetched so; and where each landed.
fn sent(run: &Run<'_>, count: usize, asked: &Asked) -> Result<Vec<(u64, (i32, i64))>> {
    let mut sent = Vec::with_capacity(count);
    while sent.len() < count {
        let inputs: Vec<(Arc<str>, Asked)> = (0..30)
            .map(|_| run.enter(&format!("user-{}", run.below(60)), asked.clone()))
            .collect();
        let places = run.send_all(&inputs)?;
        sent.extend(inputs.iter().map(|(_, asked)| asked.id).zip(places));
    }
    Ok(sent)
}

/// Deletes what lies before a record in the middle of each partition, and notes what is lost by that.
fn truncate(run: &Run<'_>, sent: &[(u64, (i32, i64))]) -> Result<BTreeMap<i32, i64>> {
    let mut offsets: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for (_, (partition, offset)) in sent {
        offsets.entry(*partition).or_default().push(*offset);
    }
    let middle = |(partition, offsets): (&i32, &Vec<i64>)| Some((*partition, *offsets.get(offsets.len() / 2)?));
    let before: BTreeMap<i32, i64> = offsets.iter().filter_map(middle).collect();
    ensure!(before.len() == 3, "only these partitions have records: {before:?}");
    run.world.cluster()?.delete_records(run.input_topic(), &before)?;
    run.fault();
    Ok(before)
}

/// What is done in each partition, as the store of a stopped host has it.
fn progress(run: &Run<'_>) -> Result<BTreeMap<i32, Progress>> {
    let rows = run.world.store().progress()?;
    let read = |(_, partition, bytes): (String, i32, Vec<u8>)| {
        let progress = fuzzing::progress(&bytes).map_err(|why| anyhow!("the progress in {partition}: {why}"))?;
        Ok((partition, progress))
    };
    let done: BTreeMap<_, _> = rows.into_iter().map(read).collect::<Result<_>>()?;
    ensure!(done.len() == 3, "{done:?}");
    Ok(done)
}

/// What is documented for a loss that is accepted: another name for the handler, and the states taken along.
fn start_over(run: &Run<'_>, states: &str) -> Result<Host> {
    let handler = Handler::new("anew", &guest("witness")?)
        .set("dedupe", "0")
        .consumes(&[&run.input_topic().to_owned()])
        .emits(&witness::TYPES);
    let settings = run
        .world
        .settings()?
        .handler(handler)
        .route("/work/{key}", &["anew"])
        .route_for("GET", "/work/{key}", &["anew"]);
    let file = run.world.file("states.jsonl", states.as_bytes())?;
    let done = run.world.import(&settings, &["--handler", "anew", &file])?;
    ensure!(done.code() == 0, "no import: {}", done.stderr);
    run.host(&settings)
}

fn truncated(run: &Run<'_>) -> Result<Verdict> {
    let settings = run.settings()?;
    some_work(run, &settings)?;
    let sent = sent(run, run.size(300, 3_000), &Asked::default())?;
    let states = run.world.store().states("witness")?;
    let before = Standing::of(run)?;
    let cut = truncate(run, &sent)?;
    for (id, (partition, offset)) in &sent {
        if cut.get(partition).is_some_and(|cut| offset < cut) {
            // Gone before anybody read them: nothing of them may show.
            run.journal.hear(*id, Fate::Failed);
        }
    }

    for _ in 0..2 {
        let host = run.world.host(&settings)?;
        handler_stops(host, &["the next record to read is gone", run.input_topic(), "offset"])?;
        let after = Standing::of(run)?;
        ensure!(after == before, "it was {before:?} and is {after:?}");
    }
    let host = start_over(run, &states)?;
    run.finish_of("anew", host, Rules::default())
}

fn truncated_live(run: &Run<'_>) -> Result<Verdict> {
    // Slow, and with little of what is to come in memory.
    let settings = run
        .settings_with(run.handler()?.set("limits", r#"{ time = "10s" }"#))?
        .set("host.in_flight", "20")
        .set("host.parked", "10")
        .set("kafka.options.\"queued.min.messages\"", "1")
        .set("kafka.options.\"fetch.message.max.bytes\"", "2000");
    some_work(run, &settings)?;
    let host = run.host(&settings)?;
    let slow = Asked {
        burn: 60_000,
        ..Asked::default()
    };
    let mut all = sent(run, 300, &slow)?;
    run.until_seen(20, PATIENCE);
    // What comes while it stands still it cannot have read, however fast it is.
    host.freeze()?;
    let late = sent(run, 300, &slow)?;
    let cut = truncate(run, &late)?;
    host.thaw()?;
    all.extend(late);
    handler_stops(host, &["the next record to read is gone", run.input_topic(), "offset"])?;

    // What was done until then is known to the store alone, and has its events; what was deleted and not done must not show.
    let done = progress(run)?;
    let states = run.world.store().states("witness")?;
    for (id, (partition, offset)) in &all {
        let is_gone = cut.get(partition).context("a partition")? > offset;
        if is_gone && !done.get(partition).context("a partition")?.contains(*offset) {
            run.journal.hear(*id, Fate::Failed);
        }
    }
    let host = start_over(run, &states)?;
    run.finish_of("anew", host, Rules::default())
}
