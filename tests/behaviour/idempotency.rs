//! A request that is sent again with its `Idempotency-Key` is answered again, and has no second effect.

use anyhow::ensure;
use sandman_tests::{Ask, Behaviour, DreamScape, Form, OWN, Reply, Result, User, World};
use serde_json::{Value, json};

pub const BEHAVIOURS: &[Behaviour] =
    &[
        Behaviour::new("a_repeated_request_is_answered_again_and_counts_once", counts_once)
            .on_postgres_too()
            .on_real_kafka("shows clients the events of aborted transactions"),
    ];

/// Whether `again` repeats `first`, and says so.
fn repeats(again: &Reply, first: &Reply) -> Result {
    again.is(first.status, &first.json())?;
    let said = again.header("idempotency-replayed");
    ensure!(said == "true", "idempotency-replayed is {said:?}");
    Ok(())
}

fn is_new(reply: &Reply, status: u16) -> Result {
    reply.has(status)?;
    let said = reply.header("idempotency-replayed");
    ensure!(said.is_empty(), "idempotency-replayed is {said:?}");
    Ok(())
}

fn put(user: &User, key: &str, form: &Value) -> Result<Reply> {
    user.client().ask(&user.putting(form).header("Idempotency-Key", key))
}

fn counts_once(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let (ada, bob) = (app.user("ada")?, app.user("bob")?);
    let create = Ask::new("POST", &ada.path())
        .json(&json!({ "firstName": "Ada", "lastName": "Lovelace" }))
        .header("Idempotency-Key", "create");
    let created = ada.client().ask(&create)?;
    is_new(&created, 201)?;
    // Without the key it would be a 409.
    repeats(&ada.client().ask(&create)?, &created)?;

    let first = put(&ada, "k-1", &json!({ "profile": { "name": "First" } }))?;
    is_new(&first, 200)?;
    is_new(
        &put(
            &ada,
            "k-2",
            &json!({ "profile": { "name": "Second" }, "preferences": { "language": "fr" } }),
        )?,
        200,
    )?;
    // Repeated late: the answer of that time, and the second name stays.
    repeats(&put(&ada, "k-1", &json!({ "profile": { "name": "First" } }))?, &first)?;
    let another = put(&ada, "k-1", &json!({ "profile": { "name": "Another" } }))?;
    another.refuses(422, &["Idempotency-Key"])?;
    // The key is the user's own: somebody else's is another.
    is_new(&put(&bob, "k-1", &json!({ "profile": { "name": "Bob" } }))?, 200)?;
    // A refusal is no effect, so the key is still free.
    put(&ada, "k-3", &json!({ "profile": { "email": "nowhere" } }))?.refuses(400, &["profile.email"])?;
    is_new(&put(&ada, "k-3", &json!({ "profile": { "name": "Third" } }))?, 200)?;
    // What changes nothing is remembered all the same.
    let nothing = put(&ada, "k-4", &json!({}))?;
    is_new(&nothing, 200)?;

    let picture = ada
        .picturing(&Form::avatar(Form::PNG))
        .header("Idempotency-Key", "picture");
    let pictured = ada.client().ask(&picture)?;
    is_new(&pictured, 200)?;
    repeats(&ada.client().ask(&picture)?, &pictured)?;
    let other = ada
        .picturing(&Form::avatar(Form::GIF))
        .header("Idempotency-Key", "picture");
    ada.client().ask(&other)?.refuses(422, &["Idempotency-Key"])?;
    ensure!(app.uploads()?.len() == 1, "more than one file: {:?}", app.uploads()?);
    at_once(&bob)?;

    let app = app.kill_and_start()?;
    let (ada, bob) = (app.user("ada")?, app.user("bob")?);
    after_a_restart(&ada, &first, &created, &nothing)?;
    ada.client().ask(&create)?.has(201)?;
    ada.client().ask(&picture)?.is(200, &pictured.json())?;
    ensure!(app.uploads()?.len() == 1, "more than one file: {:?}", app.uploads()?);
    told_once(&app, &ada, &bob, &pictured)
}

/// The same request on many connections at once: one of them is it, the others hear of it.
fn at_once(bob: &User) -> Result {
    let ask = bob
        .putting(&json!({ "profile": { "name": "Robert" } }))
        .header("Idempotency-Key", "at-once");
    let replies: Vec<Result<Reply>> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..16).map(|_| scope.spawn(|| bob.client().ask(&ask))).collect();
        let ended = asking.into_iter().map(|asking| asking.join());
        ended
            .map(|reply| reply.unwrap_or_else(|_| Err(anyhow::anyhow!("a client panicked"))))
            .collect()
    });
    let replies = replies.into_iter().collect::<Result<Vec<_>>>()?;
    for reply in &replies {
        ensure!(
            reply.has(200)?["profile"]["name"] == "Robert",
            "answered {}",
            reply.text()
        );
    }
    let new = replies
        .iter()
        .filter(|reply| reply.header("idempotency-replayed").is_empty())
        .count();
    ensure!(new == 1, "{new} of {} requests counted", replies.len());
    Ok(())
}

fn after_a_restart(ada: &User, first: &Reply, created: &Reply, nothing: &Reply) -> Result {
    repeats(&put(ada, "k-1", &json!({ "profile": { "name": "First" } }))?, first)?;
    repeats(&put(ada, "k-4", &json!({}))?, nothing)?;
    put(ada, "k-2", &json!({ "profile": { "name": "Another" } }))?.refuses(422, &["Idempotency-Key"])?;
    let create = Ask::new("POST", &ada.path())
        .json(&json!({ "firstName": "Ada", "lastName": "Lovelace" }))
        .header("Idempotency-Key", "create");
    repeats(&ada.client().ask(&create)?, created)?;
    for bad in ["", "a b", &"x".repeat(256)] {
        let ask = Ask::new("PUT", OWN)
            .token(&ada.token())
            .json(&json!({}))
            .header("Idempotency-Key", bad);
        ada.client().ask(&ask)?.refuses(400, &["Idempotency-Key"])?;
    }
    Ok(())
}

fn told_once(app: &DreamScape<'_>, ada: &User, bob: &User, pictured: &Reply) -> Result {
    let mut events = app.events()?;
    let renamed = |old: &str, new: &str| {
        (
            "user.updated",
            json!({ "changes": { "username": { "old": old, "new": new } } }),
        )
    };
    let names = json!({ "firstName": "Ada", "lastName": "Lovelace" });
    let mut with_picture = names.clone();
    with_picture["avatar"] = pictured.json()["avatar"].clone();
    events.of(ada)?.is(&[
        ("user.profile.updated", json!({ "profile": names })),
        renamed("Ada Lovelace", "First"),
        renamed("First", "Second"),
        (
            "user.preferences.updated",
            json!({ "preferences": { "language": "fr" } }),
        ),
        renamed("Second", "Third"),
        ("user.profile.updated", json!({ "profile": with_picture })),
    ])?;
    let begun = json!({ "changes": { "username": { "old": null, "new": "Bob" } } });
    events.of(bob)?.is(&[("user.updated", begun), renamed("Bob", "Robert")])
}
