//! Dead letters are handled after all: in the order of their keys, once, whatever happens meanwhile.

use anyhow::{Context, ensure};
use sandman_tests::{
    Ask, Behaviour, Event, Handler, Host, Result, Settings, World, dlq, echo, guest, handled_once, lenient,
    letter_count, misfit, numbers, reloaded, strict_handler, until_letters,
};
use serde_json::{Value, json};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("dead_letters_are_redriven_in_the_order_of_their_keys", in_order).on_postgres_too(),
    Behaviour::new(
        "a_letter_that_fails_again_stays_and_is_not_redriven_for_ever",
        fails_again,
    )
    .on_postgres_too(),
    Behaviour::new("letters_of_a_handler_that_is_gone_are_not_redriven", gone),
    Behaviour::new("an_order_that_nothing_can_carry_out_is_taken_back", goes_afterwards),
    Behaviour::new("a_host_killed_during_a_redrive_loses_and_doubles_nothing", killed).on_real_kafka(KILLED),
    Behaviour::new("a_redrive_is_whole_although_commits_fail", commits_fail)
        .with_its_own_store("the fault is one of SQLite"),
    Behaviour::new("a_letter_that_stays_after_its_outcome_is_caught", stays),
];

const KILLED: &str = "does not put the group of a killed member right";

fn in_order(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let settings = world.settings()?.handler(strict_handler(world, &input)?);
    let host = world.host(&settings)?;
    let keys = ["ada", "bob", "eve"];
    let events: Vec<_> = (0..10).flat_map(|n| keys.map(|key| misfit(key, n))).collect();
    world.send(&input, &events)?;
    until_letters(world, &host, 30)?;
    ensure!(host.deployed("hostile", &lenient()?)? == 2, "not version 2");

    // Nothing happens but that it is said what would.
    let rehearsed = dlq(world, &host, &["redrive", "--all", "--dry-run"])?;
    ensure!(rehearsed.code() == 0, "{rehearsed:?}");
    ensure!(
        rehearsed.stdout.contains("30 would be handled, 0 would fail"),
        "{}",
        rehearsed.stdout
    );
    let old = dlq(
        world,
        &host,
        &["redrive", "--key", "ada", "--dry-run", "--through", "1"],
    )?;
    ensure!(
        old.code() == 1 && old.stdout.contains("would fail again: schema"),
        "{old:?}"
    );
    let unknown = dlq(world, &host, &["redrive", "--all", "--through", "9"])?;
    unknown.says(1, &["version 9"])?;
    ensure!(letter_count(world, &host)? == 30, "a dry run changed something");
    let through = dlq(world, &host, &["redrive", "1", "--through", "1", "--json"])?;
    let told: Value = serde_json::from_str(&through.stdout)?;
    ensure!(
        through.code() == 1 && told["failed"][0]["code"] == "schema" && told["failed"][0]["version"] == 1,
        "{through:?}"
    );

    let one = dlq(world, &host, &["redrive", "1", "--json"])?;
    ensure!(one.code() == 0, "{one:?}");
    let of_bob = dlq(world, &host, &["redrive", "--key", "bob"])?;
    ensure!(
        of_bob.code() == 0 && of_bob.stdout.contains("handled, 0 failed again"),
        "{of_bob:?}"
    );
    let all = dlq(world, &host, &["redrive", "--all", "--json"])?;
    ensure!(all.code() == 0, "{all:?}");
    ensure!(letter_count(world, &host)? == 0, "letters are left");
    let mut done = world.reader(&world.topic("hostile.done"))?;
    let seen = done.until_count(30)?;
    for key in keys {
        ensure!(
            numbers(seen, key) == (0..10).collect::<Vec<_>>(),
            "{key}: {:?}",
            numbers(seen, key)
        );
    }
    // The same record again is a record of its own; what was redriven counted as any other.
    let ok = host
        .metrics()?
        .sum("sandman_redriven_total", &[("handler", "hostile"), ("outcome", "ok")]);
    ensure!(ok == Some(30.0), "{ok:?} counted");
    world.send(&input, &[Event::told("ada", "nothing", 10)])?;
    done.until_count(31)?;
    ensure!(host.terminate()?.code() == 0, "the host did not stop well");
    Ok(())
}

fn fails_again(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let host = world.host(&world.settings()?.handler(strict_handler(world, &input)?))?;
    world.send(&input, &[misfit("ada", 1), misfit("bob", 1)])?;
    until_letters(world, &host, 2)?;
    for _ in 0..5 {
        let again = dlq(world, &host, &["redrive", "--key", "ada", "--json"])?;
        let told: Value = serde_json::from_str(&again.stdout)?;
        ensure!(again.code() == 1 && told["failed"][0]["code"] == "schema", "{again:?}");
    }
    // What would be left out is told as such.
    let rehearsed = dlq(world, &host, &["redrive", "--key", "ada", "--dry-run"])?;
    ensure!(
        rehearsed.code() == 1
            && rehearsed.stdout.contains("1 would be left out")
            && rehearsed.stdout.contains("--force"),
        "{rehearsed:?}"
    );
    let guarded = dlq(world, &host, &["redrive", "--key", "ada"])?;
    ensure!(guarded.code() == 1 && guarded.stdout.contains("--force"), "{guarded:?}");
    let forced = dlq(world, &host, &["redrive", "--key", "ada", "--force", "--json"])?;
    let told: Value = serde_json::from_str(&forced.stdout)?;
    ensure!(told["failed"][0]["redriven"] == 6, "{told:#}");
    // Published once, when it was given up.
    ensure!(
        world.all_of(&format!("{input}.dlq"))?.len() == 2,
        "a letter was published again"
    );

    let careless = dlq(world, &host, &["drop"])?;
    ensure!(
        careless.code() == 2 && careless.stderr.contains("which letters"),
        "{careless:?}"
    );
    // A typo is no success.
    for wrong in [
        &["redrive", "999"][..],
        &["redrive", "999", "--dry-run"],
        &["drop", "999"],
        &["list", "--handler", "nosuch"],
        &["redrive", "--handler", "nosuch"],
        &["drop", "--handler", "nosuch"],
        &["redrive", "--follow", "99"],
    ] {
        dlq(world, &host, wrong)?.says(1, &["there is no "])?;
    }
    let would = dlq(world, &host, &["drop", "--key", "ada", "--dry-run"])?;
    ensure!(would.stdout.contains("1 letter would be dropped"), "{would:?}");
    ensure!(letter_count(world, &host)? == 2, "a dry run has dropped something");
    let again = dlq(world, &host, &["redrive", "--key", "bob", "--json"])?;
    let told: Value = serde_json::from_str(&again.stdout)?;
    let job = told["job"].to_string();
    let gone = dlq(world, &host, &["drop", "--key", "ada"])?;
    ensure!(gone.code() == 0 && letter_count(world, &host)? == 1, "{gone:?}");
    // What was dropped was not handled.
    dlq(world, &host, &["drop", "--key", "bob"])?;
    let followed = dlq(world, &host, &["redrive", "--follow", &job])?;
    followed.says(1, &[])?;
    for words in ["1 redriven: 0 handled, 1 failed again", "have been dropped"] {
        ensure!(followed.stdout.contains(words), "{followed:?}");
    }
    Ok(())
}

const KEYS: u64 = 10;
const EACH: u64 = 30;

/// Nothing could run them: an order would never end, and others would wait behind it.
fn gone(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let strict = strict_handler(world, &input)?;
    let host = world.host(&world.settings()?.handler(strict.clone()))?;
    world.send(&input, &[misfit("ada", 1), misfit("bob", 1)])?;
    until_letters(world, &host, 2)?;
    ensure!(host.terminate()?.code() == 0, "the host did not stop well");

    let other = world.make_topic("thing.happened")?;
    let echo = Handler::new("echo", &guest("echo")?)
        .consumes(&[&other])
        .emits(&["thing.echoed", "thing.counted"]);
    let without = world.settings()?.handler(echo);
    let host = world.host(&without)?;
    let refused = dlq(world, &host, &["redrive", "--all"])?;
    refused.says(1, &["`hostile`", "does not name", "--handler"])?;
    ensure!(letter_count(world, &host)? == 2, "letters are gone");
    ensure!(host.terminate()?.code() == 0, "the host did not stop well");

    let host = world.host(&without.handler(strict))?;
    ensure!(host.deployed("hostile", &lenient()?)? == 2, "not version 2");
    // The other handler has no version 2, and no letters either.
    let all = dlq(world, &host, &["redrive", "--all", "--through", "2", "--json"])?;
    ensure!(all.code() == 0, "{all:?}");
    ensure!(letter_count(world, &host)? == 0, "letters are left");
    Ok(())
}

/// The order was good when it was given; by now nothing can carry it out.
fn goes_afterwards(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let other = world.make_topic("thing.happened")?;
    let without = world.settings()?.handler(echo(&[&other])?);
    let with = |retry: &str| -> Result<Settings> {
        let left = Handler::new("left", &guest("hostile")?).consumes(&[&input]);
        Ok(without
            .clone()
            .handler(left.emits(&["hostile.done"]).set("retry", retry)))
    };
    let host = world.host(&with("{ attempts = 1 }")?)?;
    let events: Vec<_> = (0..300).map(|n| Event::told(&format!("key-{n}"), "retry", 0)).collect();
    world.send(&input, &events)?;
    until_letters(world, &host, 300)?;

    // Those that wait for an hour fill the way, and the others wait in the store.
    reloaded(world, &host, &with(r#"{ attempts = 2, first = "1h", max = "1h" }"#)?)?;
    let order = json!({ "letters": { "handler": "left" } });
    let ordered = host
        .operator()
        .ask(&Ask::new("POST", "/v1/letters/redrive").json(&order))?;
    ensure!(ordered.has(200)?["ordered"] == 300, "not all are ordered");
    host.says(&["a redriven dead letter failed", "again=true"])?;
    let refused = dlq(world, &host, &["drop", "--handler", "left"])?;
    ensure!(
        refused.code() == 1 && refused.stdout.contains("redrive --cancel"),
        "{refused:?}"
    );
    let cancelled = dlq(world, &host, &["redrive", "--handler", "left", "--cancel", "--json"])?;
    let told: Value = serde_json::from_str(&cancelled.stdout)?;
    ensure!(cancelled.code() == 0 && told["cancelled"] == 300, "{told:#}");
    let followed = |host: &Host, job: &str| -> Result<Value> {
        let told = dlq(world, host, &["redrive", "--follow", job, "--json"])?;
        ensure!(told.code() == 1, "{told:?}");
        Ok(serde_json::from_str(&told.stdout)?)
    };
    let job = ordered.json()["job"].to_string();
    let told = followed(&host, &job)?;
    ensure!(
        told["cancelled"] == 300 && told["handled"] == 0 && told["failedAgain"] == 0,
        "{told:#}"
    );
    // Nothing of it goes on, and what was taken back may go.
    let dropped = dlq(world, &host, &["drop", "--handler", "left", "--code", "retries"])?;
    ensure!(dropped.stdout.contains("300 letters dropped"), "{dropped:?}");

    // A host that has no such handler takes an order back, and then they may go.
    let events: Vec<_> = (0..2).map(|n| Event::told(&format!("late-{n}"), "retry", 0)).collect();
    reloaded(world, &host, &with("{ attempts = 1 }")?)?;
    world.send(&input, &events)?;
    until_letters(world, &host, 2)?;
    reloaded(world, &host, &with(r#"{ attempts = 2, first = "1h", max = "1h" }"#)?)?;
    let ordered = host
        .operator()
        .ask(&Ask::new("POST", "/v1/letters/redrive").json(&order))?;
    let job = ordered.has(200)?["job"].to_string();
    ensure!(host.terminate()?.code() == 0, "the host did not stop well");
    let host = world.host(&without)?;
    host.says(&["the redrive is cancelled", "handler `left` no longer exists"])?;
    let told = followed(&host, &job)?;
    ensure!(told["cancelled"] == 2 && told["remaining"] == 0, "{told:#}");
    let dropped = dlq(world, &host, &["drop", "--handler", "left"])?;
    ensure!(dropped.code() == 0 && letter_count(world, &host)? == 0, "{dropped:?}");
    Ok(())
}

fn key(number: u64) -> String {
    format!("key-{number}")
}

fn killed(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let settings = world
        .settings()?
        .set("host.batch", "5")
        .handler(strict_handler(world, &input)?);
    let mut host = world.host(&settings)?;
    given_up(world, &host, &input)?;
    let order = json!({ "letters": {}, "all": true });
    let ordered = host
        .operator()
        .ask(&Ask::new("POST", "/v1/letters/redrive").json(&order))?;
    let job = ordered.has(200)?["job"].clone();
    let mut done = world.reader(&world.topic("hostile.done"))?;
    for kill in 1..=3_u64 {
        // The host goes on by itself with what was ordered.
        done.until_count(usize::try_from(kill * KEYS * EACH / 5)?)?;
        host.kill()?;
        host = world.host(&settings)?;
    }
    let followed = dlq(world, &host, &["redrive", "--follow", &job.to_string()])?;
    let all = KEYS * EACH;
    let told = format!("{all} redriven: {all} handled, 0 failed again");
    ensure!(followed.code() == 0 && followed.stdout.contains(&told), "{followed:?}");
    ensure!(letter_count(world, &host)? == 0, "letters are left");
    // Told again by a host that came later; one that never was is something else.
    ensure!(host.terminate()?.code() == 0, "the host did not stop well");
    let host = world.host(&settings)?;
    let followed = dlq(world, &host, &["redrive", "--follow", &job.to_string()])?;
    ensure!(followed.code() == 0 && followed.stdout.contains(&told), "{followed:?}");
    let never = (job.as_u64().context("no number")? - 1).to_string();
    dlq(world, &host, &["redrive", "--follow", &never])?.says(1, &["there is no redrive job"])?;
    ensure!(host.terminate()?.code() == 0, "the host did not stop well");
    handled_once(world, (0..KEYS).map(key), EACH)
}

fn commits_fail(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let settings = world
        .settings()?
        .set("host.batch", "5")
        .handler(strict_handler(world, &input)?);
    let host = world.host(&settings)?;
    given_up(world, &host, &input)?;
    ensure!(host.terminate()?.code() == 0, "the host did not stop well");
    let host = world.host(&settings.fault("STORE", "busy:3"))?;
    let redriven = dlq(world, &host, &["redrive", "--all"])?;
    ensure!(redriven.code() == 0, "{redriven:?}");
    let mut done = world.reader(&world.topic("hostile.done"))?;
    done.until_count(usize::try_from(KEYS * EACH)?)?;
    handled_once(world, (0..KEYS).map(key), EACH)
}

/// What the checks above are there to find: a host that keeps a letter whose outcome it has committed.
fn stays(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let settings = world.settings()?.handler(strict_handler(world, &input)?);
    let host = world.host(&settings.fault("FAULT", "keep-redriven:50"))?;
    given_up(world, &host, &input)?;
    let order = json!({ "letters": {}, "all": true });
    let asked = host
        .operator()
        .ask(&Ask::new("POST", "/v1/letters/redrive").json(&order))?;
    asked.has(200)?;
    let mut done = world.reader(&world.topic("hostile.done"))?;
    done.until_count(usize::try_from(KEYS * EACH)? + 1)?;
    ensure!(
        handled_once(world, (0..KEYS).map(key), EACH).is_err(),
        "what was handled twice was not seen"
    );
    Ok(())
}

/// All events of all keys, given up by the first version; the second would handle them.
fn given_up(world: &World, host: &Host, input: &str) -> Result {
    let events: Vec<_> = (0..EACH)
        .flat_map(|n| (0..KEYS).map(move |k| misfit(&key(k), n)))
        .collect();
    world.send(input, &events)?;
    until_letters(world, host, KEYS * EACH)?;
    host.deployed("hostile", &lenient()?)?;
    Ok(())
}
