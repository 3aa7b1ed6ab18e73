//! What every published event says of where it comes from.

use anyhow::ensure;
use sandman_core::digest;
use sandman_tests::{Ask, Behaviour, Client, Event, Handler, Result, Seen, World, guest, hostile};
use serde_json::json;

pub const BEHAVIOURS: &[Behaviour] = &[Behaviour::new(
    "an_event_says_which_invocation_published_it",
    says_where_it_comes_from,
)];

const HEADERS: [&str; 6] = ["handler", "version", "digest", "trigger", "attempt", "revision"];

fn provenance(seen: &Seen) -> [String; 6] {
    HEADERS.map(|name| seen.header(&format!("sandman.{name}")))
}

fn says_where_it_comes_from(world: &World) -> Result {
    let told = world.make_topic("hostile.told")?;
    let settings = world
        .settings()?
        .handler(hostile(&[&told])?.set("retry.first", "\"10ms\""));
    let witness = Handler::new("witness", &guest("witness")?).emits(&["work.begun", "work.ended"]);
    let settings = settings.handler(witness).route("/work/{key}", &["witness"]);
    let settings = settings.route_for("GET", "/work/{key}", &["witness"]);
    let host = world.host(&settings)?;
    // The second attempt of the first succeeds. Those of one key that are committed together have one revision.
    let orders = [
        Event::told("ada", "fail", 1),
        Event::told("ada", "well", 0),
        Event::told("bea", "well", 0),
        Event::told("ada", "well", 0),
    ];
    let landed = world.send(&told, &orders)?;
    let expected = [("2", 1..=1), ("1", 1..=2), ("1", 1..=1), ("1", 1..=3)];
    let digest = digest(&std::fs::read(guest("hostile")?)?);
    let mut done = world.reader(&world.topic("hostile.done"))?;
    let done = done.until_count(orders.len())?;
    for ((order, (partition, offset)), (attempt, revision)) in orders.iter().zip(landed).zip(expected) {
        let seen = done.iter().find(|seen| seen.json()["causationId"] == order.id.as_str());
        let trigger = format!("{told}/{partition}/{offset}");
        let wanted = ["hostile", "1", &digest[..12], &trigger, attempt];
        let found = seen.map(provenance);
        let is_wanted =
            |found: &[String; 6]| found[..5] == wanted && found[5].parse().is_ok_and(|found| revision.contains(&found));
        ensure!(
            found.as_ref().is_some_and(is_wanted),
            "{found:?} is not {wanted:?} and {revision:?}"
        );
    }

    let ask = Ask::new("POST", "/work/cleo").json(&json!({ "id": 5, "seq": 1 }));
    let ask = ask.header("X-Correlation-Id", "journey-7");
    Client::new(host.http()?).ask(&ask)?.has(200)?;
    let mut begun = world.reader(&world.topic("work.begun"))?;
    let found = provenance(&begun.until_count(1)?[0]);
    ensure!(
        (&*found[0], &*found[3], &*found[5]) == ("witness", "http:journey-7", "1"),
        "a request's event says {found:?}"
    );
    Ok(())
}
