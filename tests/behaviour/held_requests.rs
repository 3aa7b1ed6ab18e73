//! What a client hears while an event of its key waits to be released.

use anyhow::ensure;
use sandman_tests::{Ask, Behaviour, Client, Event, Handler, Result, World, dlq, guest, until_letters};
use serde_json::json;

pub const BEHAVIOURS: &[Behaviour] =
    &[Behaviour::new("requests_of_a_held_key_are_refused_until_it_is_released", refused).on_postgres_too()];

fn refused(world: &World) -> Result {
    let input = world.make_topic("work.asked")?;
    let witness = Handler::new("witness", &guest("witness")?)
        .consumes(&[&input])
        .emits(&["work.begun", "work.ended"])
        .set("exhausted", "\"hold-key\"")
        .set("retry", "{ attempts = 1 }");
    let settings = world.settings()?.handler(witness).route("/work/{key}", &["witness"]);
    let settings = settings.route_for("GET", "/work/{key}", &["witness"]);
    let host = world.host(&settings)?;
    let client = Client::new(host.http()?);
    let asks = |key: &str, seq: u64| {
        let ask = Ask::new("POST", &format!("/work/{key}")).json(&json!({ "id": 10 + seq, "seq": seq }));
        client.ask(&ask)
    };
    world.send(
        &input,
        &[Event::new(
            "work.asked",
            "ada",
            &json!({ "id": 1, "seq": 1, "fails": 1 }),
        )],
    )?;
    until_letters(world, &host, 1)?;
    let answer = asks("ada", 2)?;
    ensure!(
        answer.status == 503 && answer.json()["code"] == "unavailable",
        "{} {}",
        answer.status,
        answer.text()
    );
    // Who only looks changes nothing, and other keys go on.
    let read = client.ask(&Ask::new("GET", "/work/ada"))?;
    ensure!(read.status < 500, "{} {}", read.status, read.text());
    asks("bob", 1)?.has(200)?;

    let dropped = dlq(world, &host, &["drop", "--held", "ada"])?;
    ensure!(dropped.code() == 0, "{dropped:?}");
    until_letters(world, &host, 0)?;
    asks("ada", 1)?.has(200)?;
    Ok(())
}
