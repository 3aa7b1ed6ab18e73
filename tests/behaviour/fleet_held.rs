//! What one host of a fleet holds or pauses, all of them hold and pause.

use anyhow::ensure;
use sandman_tests::{
    Behaviour, Event, Host, Result, Settings, World, dlq, eventually, handled_once, hostile, letter_count, misfit,
    numbers, strict, until_letters,
};
use serde_json::json;

use crate::fleet::{REAL, deployment, start};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("what_one_host_holds_all_hosts_hold", held).on_real_kafka(REAL),
    Behaviour::new("keys_are_released_in_order_while_hosts_come_and_go", released).on_real_kafka(REAL),
    Behaviour::new("a_handler_that_pauses_on_one_host_pauses_on_all", paused).on_real_kafka(REAL),
    Behaviour::new("a_version_that_fails_on_one_host_is_rolled_back_on_all", rolled_back).on_real_kafka(REAL),
    Behaviour::new("a_host_on_which_most_triggers_fail_pauses_all_hosts", mostly_failing).on_real_kafka(REAL),
];

/// The second event of a key fails as long as there is one attempt.
fn told(key: &str, n: u64) -> Event {
    let what = if n == 1 { "fail" } else { "nothing" };
    Event::new("hostile.told", key, &json!({ "do": what, "n": n, "text": "" }))
}

fn settings(fleet: &Settings, input: &String, exhausted: &str, attempts: u32) -> Result<Settings> {
    let handler = hostile(&[input])?
        .set("exhausted", &format!("{exhausted:?}"))
        .set("dedupe", "0")
        .set("retry", &format!("{{ attempts = {attempts}, first = \"1ms\" }}"));
    Ok(fleet.clone().handler(handler))
}

/// Two hosts that both have partitions.
fn both(world: &World, settings: &Settings) -> Result<[Host; 2]> {
    let hosts = [start(world, settings, "one")?, start(world, settings, "two")?];
    for host in &hosts {
        host.metrics_when("both hosts have partitions", |metrics| {
            metrics.sum("sandman_assigned_partitions", &[]).unwrap_or_default() > 0.0
        })?;
    }
    Ok(hosts)
}

fn until_all(hosts: &[&Host], metric: &str, wanted: f64) -> Result {
    for host in hosts {
        host.metrics_when(&format!("{metric} is {wanted}"), |metrics| {
            metrics.sum(metric, &[]) == Some(wanted)
        })?;
    }
    Ok(())
}

fn held(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let settings = settings(&deployment(world)?, &input, "hold-key", 1)?;
    let [one, two] = both(world, &settings)?;
    world.send(&input, &(0..5).map(|n| told("ada", n)).collect::<Vec<_>>())?;
    until_letters(world, &two, 4)?;
    until_all(&[&one, &two], "sandman_held_keys", 1.0)?;
    // Whichever has the key's partition now, the other one gets it.
    one.kill()?;
    let others: Vec<_> = (0..20)
        .map(|n| Event::told(&format!("other-{n}"), "nothing", 0))
        .collect();
    world.send(&input, &[vec![told("ada", 5)], others].concat())?;
    until_letters(world, &two, 5)?;
    let one = start(world, &settings, "one")?;
    two.terminate()?;
    world.send(&input, &[told("ada", 6)])?;
    until_letters(world, &one, 6)?;
    let two = start(world, &settings, "two")?;

    // Any host is asked, whichever redrives.
    let again = dlq(world, &two, &["release", "ada"])?;
    ensure!(
        again.code() == 1 && again.stdout.contains("held again for hostile, with 5 letters behind"),
        "{again:?}"
    );
    ensure!(dlq(world, &one, &["drop", "--held", "ada"])?.code() == 0, "not dropped");
    world.send(&input, &[told("ada", 7), told("ada", 8)])?;
    until_letters(world, &two, 0)?;
    world.send(&input, &[told("ada", 9)])?;
    let mut done = world.reader(&world.topic("hostile.done"))?;
    let seen = done.until_count(29)?;
    ensure!(
        numbers(seen, "ada") == [0, 2, 3, 4, 5, 6, 7, 8, 9],
        "{:?}",
        numbers(seen, "ada")
    );
    until_all(&[&one, &two], "sandman_held_keys", 0.0)?;
    dlq(world, &two, &["release", "ada"])?.says(1, &["no handler holds this key"])?;
    one.still_runs()?;
    two.still_runs()
}

const KEYS: u64 = 12;
const ROUNDS: u64 = 40;

fn released(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let fleet = deployment(world)?;
    let strict = settings(&fleet, &input, "hold-key", 1)?;
    let generous = settings(&fleet, &input, "hold-key", 2)?;
    let key = |n: u64| format!("key-{n}");
    let rounds = |from: u64, to: u64| -> Result {
        let events = (from..to).flat_map(|n| (0..KEYS).map(move |of| told(&format!("key-{of}"), n)));
        world.send(&input, &events.collect::<Vec<_>>()).map(drop)
    };
    let [one, two] = both(world, &strict)?;
    rounds(0, 10)?;
    until_letters(world, &two, KEYS * 9)?;
    one.kill()?;
    let one = start(world, &generous, "one")?;
    two.kill()?;
    let two = start(world, &generous, "two")?;
    let release = |host: &Host, n: u64| -> Result {
        let released = dlq(world, host, &["release", &key(n), "--no-wait"])?;
        ensure!(released.code() == 0, "{released:?}");
        Ok(())
    };
    rounds(10, 20)?;
    (0..KEYS / 2).try_for_each(|n| release(if n % 2 == 0 { &one } else { &two }, n))?;
    rounds(20, 25)?;
    two.kill()?;
    rounds(25, 30)?;
    (KEYS / 2..KEYS).try_for_each(|n| release(&one, n))?;
    let two = start(world, &generous, "two")?;
    rounds(30, 35)?;
    one.kill()?;
    rounds(35, ROUNDS)?;
    let one = start(world, &generous, "one")?;
    world
        .reader(&world.topic("hostile.done"))?
        .until_count(usize::try_from(KEYS * ROUNDS)?)?;
    until_letters(world, &one, 0)?;
    one.still_runs()?;
    two.still_runs()?;
    handled_once(world, (0..KEYS).map(key), ROUNDS)
}

fn paused(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let fleet = deployment(world)?;
    let strict = settings(&fleet, &input, "pause-handler", 1)?;
    let generous = settings(&fleet, &input, "pause-handler", 2)?;
    let [one, two] = both(world, &strict)?;
    world.send(&input, &[told("ada", 0), told("ada", 1)])?;
    until_all(&[&one, &two], "sandman_handler_paused", 1.0)?;
    let others = (0..50).map(|n| Event::told(&format!("other-{n}"), "nothing", 0));
    world.send(&input, &[vec![told("ada", 2)], others.collect()].concat())?;
    // Whoever takes the partitions over stands still as well.
    one.kill()?;
    let one = start(world, &generous, "one")?;
    two.kill()?;
    let two = start(world, &generous, "two")?;
    until_all(&[&one, &two], "sandman_handler_paused", 1.0)?;
    ensure!(letter_count(world, &two)? == 0, "there are letters");
    let mut done = world.reader(&world.topic("hostile.done"))?;
    done.until_count(1)?;
    ensure!(world.all_of(&world.topic("hostile.done"))?.len() == 1, "it went on");
    let resumed = world.command(&["resume", "hostile", "--host", two.admin()], &[])?;
    ensure!(resumed.code() == 0 && resumed.stdout.contains("resumed"), "{resumed:?}");
    let seen = done.until_count(53)?;
    ensure!(numbers(seen, "ada") == [0, 1, 2], "{:?}", numbers(seen, "ada"));
    until_all(&[&one, &two], "sandman_handler_paused", 0.0)?;
    one.still_runs()?;
    two.still_runs()
}

fn rolled_back(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    // The recordings would keep the bad version out.
    let handler = hostile(&[&input])?
        .set("retry", "{ attempts = 1 }")
        .set("replay", "\"off\"")
        .set("failing", "{ share = 0.5, of = 20, rollback = \"1h\" }");
    let settings = deployment(world)?.handler(handler);
    let [one, two] = both(world, &settings)?;
    world.send(&input, &[misfit("ada", 0)])?;
    let mut done = world.reader(&world.topic("hostile.done"))?;
    done.until_count(1)?;
    ensure!(one.deployed("hostile", &strict()?)? == 2, "not version 2");
    let events: Vec<_> = (0..200).map(|n| misfit(&format!("key-{n}"), n)).collect();
    world.send(&input, &events)?;
    for host in [&one, &two] {
        eventually("it is rolled back everywhere", || {
            Ok((host.version("hostile")? == 1).then_some(()))
        })?;
    }
    // What it had given up by then are letters; all others are handled by the version before, on both hosts.
    eventually("every event is handled or a letter", || {
        let handled = world.all_of(&world.topic("hostile.done"))?.len() as u64;
        Ok((handled + letter_count(world, &two)? == 201).then_some(()))
    })?;
    until_all(&[&one, &two], "sandman_handler_paused", 0.0)?;
    one.still_runs()?;
    two.still_runs()
}

/// Each host counts its own triggers. All that fail here are one key's, so that one host has them, and the other one none.
fn mostly_failing(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let handler = hostile(&[&input])?
        .set("dedupe", "0")
        .set("retry", "{ attempts = 1 }")
        .set("failing", "{ share = 0.5, of = 20 }");
    let settings = deployment(world)?.handler(handler);
    let [one, two] = both(world, &settings)?;
    let failing: Vec<_> = (0..30).map(|_| told("ada", 1)).collect();
    world.send(&input, &failing)?;
    until_all(&[&one, &two], "sandman_handler_paused", 1.0)?;
    // The twentieth stands where it was: nobody else takes it for a letter while the handler is paused.
    until_letters(world, &two, 19)?;
    let others: Vec<_> = (0..40)
        .map(|n| Event::told(&format!("other-{n}"), "nothing", 0))
        .collect();
    world.send(&input, &others)?;
    // Any host ends the pause of all. The eleven that are left are fewer than are counted.
    let resumed = world.command(&["resume", "hostile", "--host", two.admin()], &[])?;
    ensure!(resumed.code() == 0, "{resumed:?}");
    until_letters(world, &one, 30)?;
    world.reader(&world.topic("hostile.done"))?.until_count(40)?;
    until_all(&[&one, &two], "sandman_handler_paused", 0.0)?;
    ensure!(letter_count(world, &two)? == 30, "not thirty letters");
    one.still_runs()?;
    two.still_runs()
}
