//! A trigger that is given up is in the store, found by its code, and on Kafka as Kafka's own contract has it.

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, Ended, Event, Header, Host, Result, Settings, World, hostile};
use serde_json::Value;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_dead_letter_is_kept_with_its_code_and_all_that_it_met", kept)
        .with_its_own_store("it reads the file of a stopped host"),
    Behaviour::new("personal_data_of_a_letter_needs_a_scope_of_its_own", scoped),
    Behaviour::new("what_senders_wrote_makes_no_line_of_a_letter", forging),
    Behaviour::new("a_full_letter_store_lets_the_oldest_published_ones_go", full).on_postgres_too(),
];

fn settings(world: &World, input: &String) -> Result<Settings> {
    let handler = hostile(&[input])?.set("retry", r#"{ attempts = 2, first = "1ms" }"#);
    Ok(world.settings()?.handler(handler))
}

fn asked(world: &World, host: &Host, arguments: &[&str]) -> Result<Ended> {
    world.command(&[&["dlq"], arguments, &["--host", host.admin()]].concat(), &[])
}

fn json(ended: &Ended) -> Result<Value> {
    ensure!(ended.code() == 0, "{}: {}", ended.status, ended.stderr);
    serde_json::from_str(&ended.stdout).context("no JSON")
}

/// What each of these comes to, in the order in which they are sent.
fn failing() -> Vec<(Event, &'static str)> {
    vec![
        (Event::told("ada", "reject", 0), "rejected"),
        (Event::told("bob", "retry", 0), "retries"),
        (Event::told_with("eve", "panic", 0, "at night"), "trap.panic"),
        (Event::told("eve", "trap", 0), "trap.unreachable"),
        (Event::told("eve", "recurse", 0), "trap.stack"),
        (Event::told("eve", "loop", 0), "limit.time"),
        (Event::told("eve", "allocate", 0), "limit.memory"),
        (Event::told("eve", "many-events", 100), "limit.events"),
        (Event::told("eve", "undeclared", 0), "emitted"),
        (Event::bytes("eve", b"{ \xff no event"), "decode"),
    ]
}

fn kept(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let settings = settings(world, &input)?.set("kafka.dead_letter_topic", "\"{topic}.given-up\"");
    let host = world.host(&settings)?;
    let failing = failing();
    let mut events = vec![Event::told("ada", "nothing", 1)];
    events.extend(failing.iter().map(|(event, _)| event.clone()));
    world.send(&input, &events)?;
    let mut reader = world.reader(&format!("{input}.given-up"))?;
    let on_kafka = reader.until_count(failing.len())?;

    let list = json(&asked(world, &host, &["list", "--json"])?)?;
    ensure!(list["count"] == failing.len(), "{list:#}");
    for (_, code) in &failing {
        let of_code = json(&asked(world, &host, &["list", "--json", "--code", code])?)?;
        ensure!(
            of_code["count"] == 1 && of_code["groups"][0]["code"] == *code,
            "{code}: {of_code:#}"
        );
    }
    let traps = json(&asked(
        world,
        &host,
        &["list", "--json", "--code", "trap", "--since", "1h"],
    )?)?;
    ensure!(traps["count"] == 3, "{traps:#}");
    let of_ada = json(&asked(
        world,
        &host,
        &["list", "--json", "--key", "ada", "--handler", "hostile"],
    )?)?;
    ensure!(of_ada["count"] == 1, "{of_ada:#}");

    // The letter has everything that the attempt met, to the byte.
    let id = of_ada["letters"][0]["id"].to_string();
    let letter = json(&asked(world, &host, &["show", &id, "--json"])?)?;
    let sent = String::from_utf8(events[1].value.clone().unwrap_or_default())?;
    ensure!(letter["data"]["value"]["text"] == sent.as_str(), "{letter:#}");
    ensure!(letter["data"]["state"] == r#"{"count":1}"#, "{letter:#}");
    ensure!(
        letter["key"] == "ada" && letter["attempts"] == 1 && letter["version"] == 1,
        "{letter:#}"
    );
    let shown = asked(world, &host, &["show", &id])?;
    ensure!(shown.code() == 0 && shown.stdout.contains("rejected"), "{shown:?}");
    let listed = asked(world, &host, &["list"])?;
    ensure!(listed.code() == 0 && listed.stdout.contains("trap.panic"), "{listed:?}");
    asked(world, &host, &["show", "999999"])?.says(1, &["there is no dead letter 999999"])?;

    // On Kafka it has the headers of Kafka's own contract and the record's own timestamp.
    let found = on_kafka
        .iter()
        .find(|letter| letter.header("sandman.code") == "retries");
    let retried = found.context("no letter of bob")?;
    let place = |name: &str| {
        (
            retried.header(&format!("sandman.{name}")),
            retried.header(&format!("__dlq.errors.{name}")),
        )
    };
    for name in ["topic", "partition", "offset"] {
        let (ours, theirs) = place(name);
        ensure!(!ours.is_empty() && ours == theirs, "{name}: {:?}", retried.headers);
    }
    let contract = ["group", "delivery.count", "message"].map(|name| retried.header(&format!("__dlq.errors.{name}")));
    let group = format!("{}-hostile", world.deployment());
    ensure!(contract[0] == group && contract[1] == "2", "{contract:?}");
    ensure!(contract[2] == retried.header("sandman.reason"), "{contract:?}");
    let produced = retried.header("sandman.timestamp");
    let timestamp = retried.timestamp.context("it has no timestamp")?;
    ensure!(
        sandman_core::event::iso_millis(timestamp) == produced,
        "{timestamp} is not {produced}"
    );

    // The same after a restart, and from a host that is stopped.
    host.terminate()?;
    let offline = world.command(&["dlq", "list", "--offline", "--json"], &[])?;
    let still = json(&offline)?;
    ensure!(still["count"] == failing.len(), "{still:#}");
    let host = world.host(&settings)?;
    let again = json(&asked(world, &host, &["show", &id, "--json"])?)?;
    ensure!(again == letter, "{again:#}");
    Ok(())
}

fn scoped(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let settings = settings(world, &input)?
        .set("admin.read_data", "[\"oncall\"]")
        .variable("SANDMAN_ADMIN_TOKEN", "0123456789012345678901234567890123456789")
        .variable(
            "SANDMAN_ADMIN__TOKENS__ONCALL",
            "9876543210987654321098765432109876543210",
        );
    let host = world.host(&settings)?;
    let mut event = Event::told_with("ada", "reject", 0, "secret");
    event.headers.push(Header::new("who", "ada"));
    world.send(&input, &[event])?;
    world.dead_letters(&input)?.until_count(1)?;
    let with = |token: &str, arguments: &[&str]| {
        let arguments = [&["dlq"], arguments, &["--json", "--host", host.admin()]].concat();
        world.command(&arguments, &[("SANDMAN_ADMIN_TOKEN", token)])
    };
    let (admin, oncall) = (
        "0123456789012345678901234567890123456789",
        "9876543210987654321098765432109876543210",
    );
    let list = json(&with(admin, &["list"])?)?;
    ensure!(list["letters"][0].get("key").is_none(), "{list:#}");
    ensure!(list["letters"][0]["keyHash"].is_string(), "{list:#}");
    let id = list["letters"][0]["id"].to_string();
    let letter = json(&with(admin, &["show", &id])?)?;
    ensure!(
        letter.get("data").is_none() && letter.get("key").is_none(),
        "{letter:#}"
    );
    let letter = json(&with(oncall, &["show", &id])?)?;
    ensure!(letter["key"] == "ada", "{letter:#}");
    ensure!(letter["data"]["headers"].to_string().contains("who"), "{letter:#}");
    ensure!(with("wrong", &["list"])?.code() == 3, "a stranger was answered");
    Ok(())
}

fn forging(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let host = world.host(&settings(world, &input)?)?;
    let forged = "x\nredriven   99 times\nstate      none";
    let mut event = Event::told(forged, "reject", 0);
    event.headers.push(Header::new("who", forged));
    // One that never gets a key: its record's key counts.
    let unreadable = Event::bytes("raw", forged.as_bytes());
    world.send(&input, &[event, unreadable])?;
    world.dead_letters(&input)?.until_count(2)?;
    let all = json(&asked(world, &host, &["list", "--json"])?)?;
    for letter in all["letters"].as_array().context("no letters")? {
        let shown = asked(world, &host, &["show", &letter["id"].to_string()])?;
        let count = |start: &str| shown.stdout.lines().filter(|line| line.starts_with(start)).count();
        ensure!(count("redriven") == 1 && count("state") == 1, "{}", shown.stdout);
    }
    let of_raw = json(&asked(world, &host, &["list", "--json", "--key", "raw"])?)?;
    ensure!(
        of_raw["count"] == 1 && of_raw["letters"][0]["code"] == "decode",
        "{of_raw:#}"
    );
    let forgotten = world.command(&["forget", "raw", "--host", host.admin()], &[])?;
    ensure!(forgotten.stdout.contains("1 dead letter in the store"), "{forgotten:?}");
    Ok(())
}

/// Bytes of letters that are kept.
const KEPT: usize = 64 << 10;

fn full(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let settings = settings(world, &input)?.set("store.dead_letters", "\"64KiB\"");
    let host = world.host(&settings)?;
    let events: Vec<_> = (0..60)
        .map(|n| Event::told_with("ada", "reject", n, &"x".repeat(2_000)))
        .collect();
    // One after the other, so that those before are published by then.
    let mut letters = world.dead_letters(&input)?;
    for (count, event) in events.iter().enumerate() {
        world.send(&input, std::slice::from_ref(event))?;
        letters.until_count(count + 1)?;
    }
    let list = json(&asked(world, &host, &["list", "--json", "--limit", "100"])?)?;
    let ids: Vec<u64> = list["letters"]
        .as_array()
        .context("no letters")?
        .iter()
        .filter_map(|letter| letter["id"].as_u64())
        .collect();
    ensure!(ids.first() == Some(&60), "the newest is not kept: {ids:?}");
    ensure!(ids.len() >= 10 && ids.len() < 35, "{} are kept: {ids:?}", ids.len());
    ensure!(
        ids.windows(2).all(|pair| pair[0] == pair[1] + 1),
        "not the oldest went: {ids:?}"
    );
    let metrics = host.metrics_when("the letters are counted", |metrics| {
        metrics.sum("sandman_dead_letters_kept", &[]) == Some(ids.len() as f64)
    })?;
    let gone = metrics.sum("sandman_dead_letters_gone_total", &[]);
    ensure!(gone == Some((60 - ids.len()) as f64), "{gone:?} went");
    let bytes = metrics.sum("sandman_dead_letter_bytes", &[]).unwrap_or_default();
    // The one before the last may not be known to be published when the last one comes.
    ensure!(bytes > 0.0 && bytes <= (KEPT + 16_000) as f64, "{bytes} bytes");
    Ok(())
}
