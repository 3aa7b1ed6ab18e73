//! The switch from the service before us, as `docs/migrate.md` walks through it.

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, DreamScape, Event, Result, World, registration, repository};
use serde_json::{Value, json};

pub const BEHAVIOURS: &[Behaviour] = &[Behaviour::new(
    "users_who_were_moved_in_are_known_and_registrations_are_read_from_the_beginning",
    moved_in,
)];

/// The line that the page shows for a handler.
fn documented(handler: &str) -> Result<Value> {
    let page = std::fs::read_to_string(repository().join("docs/migrate.md"))?;
    let block = page.split(&format!("<!-- line: {handler} -->\n```json\n")).nth(1);
    let line = block.and_then(|block| block.lines().next()).context("no line")?;
    Ok(serde_json::from_str(line)?)
}

fn moved_in(world: &World) -> Result {
    let topic = world.make_topic("user.created")?;
    let (profile, preferences) = (documented("profile")?, documented("preferences")?);
    let ada = profile["key"].as_str().context("no key")?;
    // The old service has read both registrations. One user is in the export, the other is not.
    let registered = |id: &str| Event::new("user.created", id, &registration(id));
    let records = world.send(&topic, &[registered(ada), registered("gone")])?;
    let group = format!("{}-old", world.deployment());
    world.commit_for_group(&group, &topic, &records)?;

    for (handler, line) in [("profile", &profile), ("preferences", &preferences)] {
        let done = DreamScape::import(world, handler, &line.to_string())?;
        ensure!(done.code() == 0, "{handler}: {}", done.stderr);
    }
    let app = DreamScape::start_with(world, &[("SANDMAN_HANDLERS__PROFILE__GROUP", &group)])?;
    let mut events = app.events()?;
    let begun = events.reader("user.profile.updated")?.until_count(1)?;
    ensure!(begun[0].key_text() == "gone", "published of {}", begun[0].key_text());

    let user = app.user(ada)?;
    let (before, settings) = (&profile["state"], user.settings()?.has(200)?);
    ensure!(
        settings["profile"]["photo"] == before["details"]["avatar"],
        "{settings}"
    );
    ensure!(settings["preferences"] == preferences["state"]["general"], "{settings}");
    let again = user.create(&json!({ "firstName": "Eve", "lastName": "Else" }))?;
    again.refuses(409, &["already exists"])?;
    user.put(&json!({ "profile": { "name": "Countess" } }))?.has(200)?;
    // That their registration came by again was no news to anybody.
    let change = json!({ "username": { "old": before["name"], "new": "Countess" } });
    events
        .of(&user)?
        .is(&[("user.updated", json!({ "changes": change }))])?;
    let ended = app.stop()?;
    ensure!(ended.code() == 0, "not everything was published: {}", ended.stderr);
    Ok(())
}
