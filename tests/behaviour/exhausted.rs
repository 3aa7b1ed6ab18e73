//! What a handler does with a trigger that is given up: it holds its key, or pauses, alone or because most of them fail.

use anyhow::{Context, ensure};
use sandman_tests::{
    Behaviour, Event, Host, Result, Settings, World, dlq, echo, eventually, handled_once, hostile, lenient,
    letter_count, letters, misfit, numbers, reloaded, strict, until_letters,
};
use serde_json::json;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("what_comes_after_a_failed_trigger_is_held_and_released_in_order", held).on_postgres_too(),
    Behaviour::new("what_a_handler_that_is_gone_holds_may_be_dropped", held_by_gone),
    Behaviour::new(
        "a_host_killed_during_a_release_loses_and_doubles_nothing",
        killed_in_release,
    )
    .on_real_kafka(KILLED),
    Behaviour::new("a_full_hold_queue_pauses_the_partition_and_says_so", full).on_postgres_too(),
    Behaviour::new("a_key_that_is_not_held_is_caught", not_held),
    Behaviour::new("a_handler_that_pauses_stays_so_until_it_is_resumed", paused).on_real_kafka(KILLED),
    Behaviour::new("a_version_that_fails_for_most_is_rolled_back", rolled_back).on_postgres_too(),
    Behaviour::new("a_handler_that_fails_for_most_pauses", pauses),
];

const KILLED: &str = "does not put the group of a killed member right";

/// Events of one key, the second of which fails as long as there is one attempt.
fn told(n: u64) -> Event {
    let what = if n == 1 { "fail" } else { "nothing" };
    let payload = json!({ "do": what, "n": n, "text": "" });
    Event::new("hostile.told", "ada", &payload)
}

fn holding(world: &World, input: &String, attempts: u32) -> Result<Settings> {
    let handler = hostile(&[input])?
        .set("exhausted", "\"hold-key\"")
        .set("dedupe", "0")
        .set("retry", &format!("{{ attempts = {attempts}, first = \"1ms\" }}"));
    Ok(world.settings()?.handler(handler))
}

fn held(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let host = world.host(&holding(world, &input, 1)?)?;
    let mut events: Vec<_> = (0..5).map(told).collect();
    events.extend((0..20).map(|n| Event::told(&format!("other-{n}"), "nothing", 0)));
    world.send(&input, &events)?;
    // Progress and all other keys go on.
    let mut done = world.reader(&world.topic("hostile.done"))?;
    done.until_count(21)?;
    until_letters(world, &host, 4)?;
    eventually("all is done as far as Kafka is concerned", || {
        Ok((world.group_offsets("hostile", &input)? == 25).then_some(()))
    })?;
    let all = letters(world, &host)?;
    let codes: Vec<_> = all["letters"]
        .as_array()
        .context("no letters")?
        .iter()
        .map(|l| l["code"].clone())
        .collect();
    ensure!(codes == ["held", "held", "held", "retries"], "{all:#}");
    host.metrics_when("the key is counted", |metrics| {
        metrics.sum("sandman_held_keys", &[]) == Some(1.0)
    })?;

    // It fails again, and the key stays held. A redrive leaves it alone.
    let would = dlq(world, &host, &["release", "ada", "--dry-run"])?;
    would.says(1, &[])?;
    ensure!(
        would
            .stdout
            .contains("0 would be handled, 1 would fail, 3 would be left out"),
        "{would:?}"
    );
    let again = dlq(world, &host, &["release", "ada"])?;
    ensure!(
        again.code() == 1 && again.stdout.contains("held again for hostile, with 3 letters behind"),
        "{again:?}"
    );
    let all = letters(world, &host)?;
    let head = all["letters"].as_array().and_then(|letters| letters.last().cloned());
    ensure!(head.is_some_and(|head| head["redriven"] == 1), "{all:#}");
    let held = dlq(world, &host, &["drop", "--key", "ada"])?;
    ensure!(
        held.code() == 1 && held.stdout.contains("4 left out: their keys are held"),
        "{held:?}"
    );
    let shown = world.command(&["handlers", "--host", host.admin()], &[])?;
    ensure!(shown.stdout.contains("1 key held"), "{shown:?}");
    let redrive = dlq(world, &host, &["redrive", "--all"])?;
    ensure!(
        redrive.code() == 1 && redrive.stdout.contains("dlq release"),
        "{redrive:?}"
    );
    world.send(&input, &[told(5)])?;
    until_letters(world, &host, 5)?;

    // Also after a restart; then it is handled, and what waited, and what comes.
    ensure!(host.terminate()?.code() == 0, "the host did not stop well");
    let host = world.host(&holding(world, &input, 2)?)?;
    world.send(&input, &[told(6)])?;
    until_letters(world, &host, 6)?;
    // A dry run makes all attempts that a redrive makes: the second one passes.
    let would = dlq(world, &host, &["release", "ada", "--dry-run"])?;
    ensure!(
        would.code() == 0 && would.stdout.contains("6 would be handled"),
        "{would:?}"
    );
    let dropping = dlq(world, &host, &["drop", "--held", "ada", "--dry-run"])?;
    ensure!(
        dropping.stdout.contains("would be dropped") && dropping.stdout.contains("5 would be handled"),
        "{dropping:?}"
    );
    ensure!(letter_count(world, &host)? == 6, "a dry run changed something");
    ensure!(dlq(world, &host, &["release", "ada"])?.code() == 0, "not released");
    world.send(&input, &[told(7), told(8)])?;
    until_letters(world, &host, 0)?;
    world.send(&input, &[told(9)])?;
    let seen = done.until_count(30)?;
    ensure!(
        numbers(seen, "ada") == (0..10).collect::<Vec<_>>(),
        "{:?}",
        numbers(seen, "ada")
    );
    dlq(world, &host, &["release", "ada"])?.says(1, &["no handler holds this key"])?;

    // A letter that nobody wants is left out, and the rest goes on.
    world.send(
        &input,
        &[Event::told("bob", "reject", 0), Event::told("bob", "nothing", 1)],
    )?;
    until_letters(world, &host, 2)?;
    ensure!(
        dlq(world, &host, &["drop", "--held", "bob"])?.code() == 0,
        "not dropped"
    );
    let seen = done.until_count(31)?;
    ensure!(numbers(seen, "bob") == [1], "{:?}", numbers(seen, "bob"));
    until_letters(world, &host, 0)
}

/// Nobody can release them: what it held must not stay for ever.
fn held_by_gone(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let other = world.make_topic("thing.happened")?;
    let holding = holding(world, &input, 1)?;
    let host = world.host(&holding.clone().handler(echo(&[&other])?))?;
    world.send(&input, &(0..5).map(told).collect::<Vec<_>>())?;
    until_letters(world, &host, 4)?;
    let without = world.settings()?.handler(echo(&[&other])?);
    reloaded(world, &host, &without)?;
    let refused = |host: &Host| dlq(world, host, &["release", "ada"])?.says(1, &["does not name it", "dlq drop"]);
    refused(&host)?;
    ensure!(host.terminate()?.code() == 0, "the host did not stop well");
    let host = world.host(&without)?;
    refused(&host)?;
    let dropped = dlq(world, &host, &["drop", "--key", "ada"])?;
    ensure!(
        dropped.code() == 0 && dropped.stdout.contains("4 letters dropped"),
        "{dropped:?}"
    );
    until_letters(world, &host, 0)?;
    // Whoever comes back holds nothing.
    reloaded(world, &host, &holding.handler(echo(&[&other])?))?;
    world.send(&input, &[told(7)])?;
    world.reader(&world.topic("hostile.done"))?.until_count(2)?;
    Ok(())
}

fn killed_in_release(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let settings = |attempts| -> Result<Settings> { Ok(holding(world, &input, attempts)?.set("host.batch", "3")) };
    let host = world.host(&settings(1)?)?;
    let events: Vec<_> = (0..100).map(told).collect();
    world.send(&input, &events[..50])?;
    until_letters(world, &host, 49)?;
    host.kill()?;
    // Commits fail as well: what ran ahead of them goes back.
    let shaky = settings(2)?.fault("STORE", "busy:7");
    let mut host = world.host(&shaky)?;
    let released = dlq(world, &host, &["release", "ada", "--no-wait"])?;
    ensure!(released.code() == 0, "{released:?}");
    let mut done = world.reader(&world.topic("hostile.done"))?;
    for kill in 1..=3 {
        world.send(&input, &events[40 + 10 * kill..50 + 10 * kill])?;
        done.until_count(10 * kill)?;
        host.kill()?;
        host = world.host(&shaky)?;
    }
    world.send(&input, &events[80..])?;
    done.until_count(100)?;
    until_letters(world, &host, 0)?;
    ensure!(host.terminate()?.code() == 0, "the host did not stop well");
    handled_once(world, ["ada".to_owned()].into_iter(), 100)
}

fn full(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let settings = |attempts| -> Result<Settings> {
        let settings = holding(world, &input, attempts)?.set("host.parked", "5");
        Ok(settings.set("store.held", "\"64KiB\""))
    };
    let host = world.host(&settings(1)?)?;
    let large = |n: u64| {
        let what = if n == 0 { "fail" } else { "nothing" };
        let n_of = if n == 0 { 1 } else { n };
        Event::told_with("ada", what, n_of, &"x".repeat(4_000))
    };
    let events: Vec<_> = (0..60).map(large).collect();
    world.send(&input, &events)?;
    let others: Vec<_> = (0..50)
        .map(|n| Event::told(&format!("other-{n}"), "nothing", 0))
        .collect();
    world.send(&input, &others)?;
    // Those of other partitions are handled, and the host says why the rest is not.
    eventually("the host says that the hold is full", || {
        let health = host.operator().get("/health")?.json();
        let reason = health["handlers"][0]["reason"].as_str().unwrap_or_default().to_owned();
        Ok(reason.contains("store.held").then_some(()))
    })?;
    let held = letter_count(world, &host)?;
    ensure!((10..30).contains(&held), "{held} are held");
    let mut done = world.reader(&world.topic("hostile.done"))?;
    done.until("keys of other partitions", |seen| seen.len() >= 10)?;
    host.still_runs()?;
    // A release that fails makes no room, and takes nothing in.
    for _ in 0..3 {
        let again = dlq(world, &host, &["release", "ada"])?;
        again.says(1, &[])?;
        let now = letter_count(world, &host)?;
        ensure!(now == held, "{held} were held, and after a release that failed {now}");
    }
    let shown = world.command(&["handlers", "--host", host.admin()], &[])?;
    ensure!(shown.stdout.contains("store.held"), "{shown:?}");
    // On PostgreSQL all hosts look at the bound once a second.
    let most = if world.is_on_postgres() { 126_000.0 } else { 72_000.0 };
    host.metrics_when("what is held is within its bound", |metrics| {
        let held = metrics.sum("sandman_held_bytes", &[]).unwrap_or_default();
        let others = metrics.sum("sandman_dead_letter_bytes", &[]);
        (30_000.0..most).contains(&held) && others == Some(0.0)
    })?;
    reloaded(world, &host, &settings(2)?)?;
    ensure!(dlq(world, &host, &["release", "ada"])?.code() == 0, "not released");
    let seen = done.until_count(110)?;
    let expected: Vec<u64> = (0..60).map(|n: u64| n.max(1)).collect();
    ensure!(numbers(seen, "ada") == expected, "{:?}", numbers(seen, "ada"));
    until_letters(world, &host, 0)
}

fn paused(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let settings = |attempts: u32| -> Result<Settings> {
        let handler = hostile(&[&input])?
            .set("exhausted", "\"pause-handler\"")
            .set("retry", &format!("{{ attempts = {attempts}, first = \"1ms\" }}"));
        Ok(world.settings()?.handler(handler))
    };
    let host = world.host(&settings(1)?)?;
    let paused = |host: &Host| {
        host.metrics_when("it has paused", |metrics| {
            metrics.sum("sandman_handler_paused", &[("handler", "hostile")]) == Some(1.0)
        })
    };
    let landed = world.send(&input, &[told(0), told(1)])?;
    paused(&host)?;
    let health = eventually("the host says so", || {
        let health = host.operator().get("/health")?.json();
        Ok((health["handlers"][0]["stopped"] == true).then_some(health))
    })?;
    ensure!(health["status"] == "degraded", "{health:#}");
    let reason = health["handlers"][0]["reason"].to_string();
    ensure!(reason.contains("sandman resume hostile"), "{reason}");
    let shown = world.command(&["handlers", "--host", host.admin()], &[])?;
    for words in ["PAUSED", "hostile is paused: ", "sandman resume hostile"] {
        ensure!(shown.stdout.contains(words), "{shown:?}");
    }
    let place = format!("{input}/{}/{}", landed[1].0, landed[1].1);
    let story = world.command(&["explain", &place, "--host", host.admin()], &[])?;
    let note = |line: &str| line.starts_with("hostile is paused there: ");
    ensure!(story.stdout.lines().any(note), "{story:?}");
    let others: Vec<_> = (0..50)
        .map(|n| Event::told(&format!("other-{n}"), "nothing", 0))
        .collect();
    world.send(&input, &[vec![told(2)], others].concat())?;
    // Nothing becomes a dead letter, also after a kill, and nothing more is taken in.
    host.kill()?;
    let host = world.host(&settings(2)?)?;
    paused(&host)?;
    ensure!(letter_count(world, &host)? == 0, "there are letters");
    let mut done = world.reader(&world.topic("hostile.done"))?;
    done.until_count(1)?;
    ensure!(world.all_of(&world.topic("hostile.done"))?.len() == 1, "it went on");
    let resumed = world.command(&["resume", "hostile", "--host", host.admin()], &[])?;
    ensure!(resumed.code() == 0 && resumed.stdout.contains("resumed"), "{resumed:?}");
    let seen = done.until_count(53)?;
    ensure!(numbers(seen, "ada") == [0, 1, 2], "{:?}", numbers(seen, "ada"));
    world
        .command(&["resume", "nobody", "--host", host.admin()], &[])?
        .says(1, &["there is no handler"])?;
    ensure!(host.terminate()?.code() == 0, "the host did not stop well");
    Ok(())
}

/// What the checks above are there to find: a host that lets what comes later overtake.
fn not_held(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let settings = holding(world, &input, 1)?.fault("FAULT", "forget-hold");
    let _host = world.host(&settings)?;
    world.send(&input, &(0..5).map(told).collect::<Vec<_>>())?;
    let mut done = world.reader(&world.topic("hostile.done"))?;
    let seen = done.until_count(4)?;
    ensure!(numbers(seen, "ada") == [0, 2, 3, 4], "{:?}", numbers(seen, "ada"));
    ensure!(
        handled_once(world, ["ada".to_owned()].into_iter(), 5).is_err(),
        "what overtook was not seen"
    );
    Ok(())
}

fn failing(world: &World, input: &String, rollback: &str) -> Result<Settings> {
    // The recordings would keep the bad version out.
    let handler = hostile(&[input])?
        .set("retry", "{ attempts = 1 }")
        .set("replay", "\"off\"");
    let handler = handler.set(
        "failing",
        &format!("{{ share = 0.5, of = 20, rollback = \"{rollback}\" }}"),
    );
    Ok(world.settings()?.handler(handler))
}

fn rolled_back(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let host = world.host(&failing(world, &input, "1h")?)?;
    world.send(&input, &[misfit("ada", 0)])?;
    let mut done = world.reader(&world.topic("hostile.done"))?;
    done.until_count(1)?;
    ensure!(host.deployed("hostile", &strict()?)? == 2, "not version 2");
    let events: Vec<_> = (0..100).map(|n| misfit(&format!("key-{n}"), n)).collect();
    world.send(&input, &events)?;
    eventually(
        "it is rolled back",
        || Ok((host.version("hostile")? == 1).then_some(())),
    )?;
    let history = host.operator().get("/v1/handlers/hostile/history")?.has(200)?;
    ensure!(
        history[0]["by"] == "sandman" && history[0]["action"] == "rollback",
        "{history:#}"
    );
    ensure!(
        history[0]["detail"]
            .to_string()
            .contains("of the last 20 triggers failed"),
        "{history:#}"
    );
    // What it had given up by then are letters; all others are handled by the version before.
    let mut letters = 0;
    eventually("all of them are handled or letters", || {
        letters = letter_count(world, &host)?;
        let handled = world.all_of(&world.topic("hostile.done"))?.len() as u64;
        Ok((letters + handled == 101).then_some(()))
    })?;
    ensure!((10..=40).contains(&letters), "{letters} letters");
    let paused = host.metrics()?.sum("sandman_handler_paused", &[("handler", "hostile")]);
    ensure!(paused == Some(0.0), "it is paused");
    Ok(())
}

fn pauses(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    // Nothing is rolled back.
    let host = world.host(&failing(world, &input, "0ms")?)?;
    ensure!(host.deployed("hostile", &strict()?)? == 2, "not version 2");
    let events: Vec<_> = (0..100).map(|n| misfit(&format!("key-{n}"), n)).collect();
    world.send(&input, &events)?;
    host.metrics_when("it has paused", |metrics| {
        metrics.sum("sandman_handler_paused", &[("handler", "hostile")]) == Some(1.0)
    })?;
    ensure!(host.version("hostile")? == 2, "it was rolled back");
    let letters = letter_count(world, &host)?;
    ensure!(letters <= 40, "{letters} letters");
    host.deployed("hostile", &lenient()?)?;
    ensure!(
        world
            .command(&["resume", "hostile", "--host", host.admin()], &[])?
            .code()
            == 0,
        "not resumed"
    );
    let mut done = world.reader(&world.topic("hostile.done"))?;
    done.until_count(usize::try_from(100 - letters)?)?;
    let redriven = dlq(world, &host, &["redrive", "--all"])?;
    ensure!(redriven.code() == 0, "{redriven:?}");
    done.until_count(100)?;
    Ok(())
}
