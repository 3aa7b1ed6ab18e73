//! A fleet whose hosts are frozen and wake up, or do the same thing at once: what was decided elsewhere meanwhile stands.

use anyhow::{Context, anyhow, ensure};
use sandman_tests::{
    Ask, Behaviour, Compression, Host, Ledger, Result, World, dlq, echo, eventually, handled_once, lenient,
    letter_count, misfit, strict_handler, until_letters,
};
use serde_json::{Value, json};

use crate::fleet::{KEYS, REAL, consumed, deployment, pair, start};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_host_that_was_frozen_writes_nothing_when_it_wakes_up", frozen).on_real_kafka(REAL),
    Behaviour::new(
        "a_redrive_of_a_host_that_is_frozen_is_finished_by_another",
        frozen_redrive,
    )
    .on_real_kafka(REAL),
    Behaviour::new(
        "letters_redriven_and_dropped_on_two_hosts_at_once_are_handled_once",
        both,
    )
    .on_real_kafka(REAL),
];

const LETTER_KEYS: u64 = 10;
const EACH: u64 = 40;

/// The host is silent for longer than its session and its leases last; the other one goes on with all that was its.
fn frozen(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let settings = deployment(world)?.handler(echo(&[&input])?);
    let mut ledger = Ledger::default();
    let (one, two) = pair(world, &settings, &input, &mut ledger)?;
    let before = ledger.total();
    let events = ledger.rounds(KEYS, 40, 200);
    std::thread::scope(|scope| -> Result {
        let producing = scope.spawn(|| -> Result {
            let producer = world.producer(Compression::None)?;
            let mut chunks = events.chunks(100);
            chunks.try_for_each(|chunk| producer.send(&input, chunk).map(drop))
        });
        let mut reader = world.reader(&world.topic("thing.echoed"))?;
        reader.until_count(before + events.len() / 8)?;
        two.freeze()?;
        // All of it, without the one that is frozen.
        reader.until_count(before + events.len())?;
        two.thaw()?;
        producing.join().map_err(|_| anyhow!("the producer panicked"))?
    })?;
    // It joins again and does its part.
    let seen = consumed(&two)?;
    eventually("the host that was frozen takes events in again", || {
        world.send(&input, &ledger.rounds(KEYS, 1, 0))?;
        Ok((consumed(&two)? > seen).then_some(()))
    })?;
    ledger.settle(world)?;
    one.still_runs()?;
    two.still_runs()?;
    ledger.check(world)
}

/// Letters of all keys, given up by the first version; the second, which is deployed, would handle them.
fn given_up(world: &World, host: &Host, input: &str) -> Result {
    let each = |n| (0..LETTER_KEYS).map(move |key| misfit(&format!("key-{key}"), n));
    let events: Vec<_> = (0..EACH).flat_map(each).collect();
    world.send(input, &events)?;
    until_letters(world, host, LETTER_KEYS * EACH)?;
    host.deployed("hostile", &lenient()?)?;
    Ok(())
}

fn redrive_all(host: &Host) -> Result<Value> {
    let order = json!({ "letters": {}, "all": true });
    let ordered = host
        .operator()
        .ask(&Ask::new("POST", "/v1/letters/redrive").json(&order))?;
    ordered.has(200)
}

fn keys() -> impl Iterator<Item = String> {
    (0..LETTER_KEYS).map(|key| format!("key-{key}"))
}

/// Both hosts have the same letters under way: the one that wakes up finds them handled, and goes on.
fn frozen_redrive(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let settings = deployment(world)?
        .set("host.batch", "2")
        .handler(strict_handler(world, &input)?);
    // The first of the hosts has the first shard, and redrives.
    let one = start(world, &settings, "one")?;
    let two = start(world, &settings, "two")?;
    given_up(world, &one, &input)?;
    eventually("the other host follows the deploy", || {
        Ok((two.version("hostile")? == 2).then_some(()))
    })?;
    let mut done = world.reader(&world.topic("hostile.done"))?;
    redrive_all(&one)?;
    done.until_count(30)?;
    one.freeze()?;
    eventually("the other host finishes the redrive", || {
        Ok((letter_count(world, &two)? == 0).then_some(()))
    })?;
    one.thaw()?;
    let conflicts = |metrics: &sandman_tests::Metrics| {
        let conflicts = metrics.sum("sandman_commit_conflicts_total", &[]);
        conflicts.unwrap_or_default() > 0.0
    };
    one.metrics_when("its commits are refused", conflicts)?;
    // A new letter is handled, whichever host redrives by now.
    one.still_runs()?;
    two.still_runs()?;
    done.until_count(usize::try_from(LETTER_KEYS * EACH)?)?;
    handled_once(world, keys(), EACH)
}

/// Orders on both hosts at the same time, and drops between them.
fn both(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let settings = deployment(world)?.handler(strict_handler(world, &input)?);
    let one = start(world, &settings, "one")?;
    let two = start(world, &settings, "two")?;
    given_up(world, &one, &input)?;
    world.send(&input, &[misfit("dropped", 0), misfit("dropped", 1)])?;
    let dropped = ["drop", "--key", "dropped"];
    eventually("the other host follows the deploy", || {
        Ok((two.version("hostile")? == 2).then_some(()))
    })?;
    let hosts = [&one, &two];
    let ordered = std::thread::scope(|scope| {
        let asking = hosts.map(|host| {
            scope.spawn(move || -> Result<u64> {
                let ordered = redrive_all(host)?["ordered"].as_u64().context("a count")?;
                let drop = dlq(world, host, &dropped)?;
                ensure!([0, 1].contains(&drop.code()), "{drop:?}");
                Ok(ordered)
            })
        });
        let counts = asking.map(|asked| asked.join().map_err(|_| anyhow!("a client panicked"))?);
        counts.into_iter().sum::<Result<u64>>()
    })?;
    let letters = LETTER_KEYS * EACH;
    ensure!(
        (letters..=letters + 2).contains(&ordered),
        "{ordered} letters were ordered"
    );
    until_letters(world, &one, 0)?;
    one.still_runs()?;
    two.still_runs()?;
    let mut done = world.reader(&world.topic("hostile.done"))?;
    done.until_count(usize::try_from(letters)?)?;
    handled_once(world, keys(), EACH)
}
