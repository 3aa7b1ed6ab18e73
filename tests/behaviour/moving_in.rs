//! The switch from the service before us, as `docs/dreamscape/migrate.md` walks through it.

use anyhow::{Context, ensure};
use sandman::guest::Language;
use sandman_tests::{Behaviour, DreamScape, Event, Result, World, eventually, registration, repository};
use serde_json::{Value, json};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new(
        "users_who_were_moved_in_are_known_and_registrations_are_read_from_the_beginning",
        moved_in,
    ),
    Behaviour::new("users_who_were_moved_in_are_known_to_typescript", moved_in).in_language(Language::TypeScript),
];

/// The line that the page shows for a handler.
fn documented(handler: &str) -> Result<Value> {
    let page = std::fs::read_to_string(repository().join("docs/dreamscape/migrate.md"))?;
    let block = page.split(&format!("<!-- line: {handler} -->\n```json\n")).nth(1);
    let line = block.and_then(|block| block.lines().next()).context("no line")?;
    Ok(serde_json::from_str(line)?)
}

fn moved_in(world: &World) -> Result {
    let topic = world.make_topic("user.created")?;
    let (profile, preferences) = (documented("profile")?, documented("preferences")?);
    let ada = profile["key"].as_str().context("no key")?;
    // Both registrations are still in the topic. One user is in the export, the other is not.
    let registered = |id: &str| Event::new("user.created", id, &registration(id));
    world.send(&topic, &[registered(ada), registered("gone")])?;

    refused(world, &profile, &preferences)?;
    for (handler, line) in [("profile", &profile), ("preferences", &preferences)] {
        for counts in ["1 added, 0 replaced, 0 there", "0 added, 0 replaced, 1 there"] {
            let done = DreamScape::import(world, handler, &line.to_string())?;
            let as_expected = done.code() == 0 && done.stdout.contains(counts);
            ensure!(as_expected, "{handler}: {}{}", done.stdout, done.stderr);
        }
    }
    let app = DreamScape::start(world)?;
    let mut events = app.events()?;
    // Both registrations are read, and the one who is not known is begun.
    let gone = app.user("gone")?;
    eventually("the registration of the other user is read", || {
        let known = gone.settings()?.has(200)?["profile"]["email"] == "gone@example.com";
        Ok(known.then_some(()))
    })?;
    events.of(&gone)?.is(&[])?;

    let user = app.user(ada)?;
    let (before, settings) = (&profile["state"], user.settings()?.has(200)?);
    ensure!(
        settings["profile"]["photo"] == before["details"]["avatar"],
        "{settings}"
    );
    // The language is a name there, and is shown as one.
    ensure!(settings["preferences"] == preferences["state"]["general"], "{settings}");
    let again = user.create(&json!({ "firstName": "Eve", "lastName": "Else" }))?;
    again.refuses(409, &["already exists"])?;
    let form = json!({
        "profile": { "name": "Countess", "photo": "" }, "preferences": { "timezone": "UTC" },
    });
    user.put(&form)?.has(200)?;
    let state = &preferences["state"];
    // That their registration came by again was no news to anybody; what the database held is told by the rules of events.
    let change = json!({ "username": { "old": before["name"], "new": "Countess" } });
    let details = json!({
        "firstName": "Ada", "lastName": "Lovelace", "phone": "+33612345678", "dateOfBirth": "1990-12-31",
        "nationality": "FR",
    });
    events.of(&user)?.is(&[
        ("user.updated", json!({ "changes": change })),
        ("user.profile.updated", json!({ "profile": details })),
        (
            "user.preferences.updated",
            json!({ "preferences": {
                "language": "fr", "currency": "EUR", "notifications": state["notifications"],
                "travelPreferences": state["travelPreferences"],
            } }),
        ),
    ])?;
    let ended = app.stop()?;
    ensure!(ended.code() == 0, "not everything was published: {}", ended.stderr);
    Ok(())
}

/// What a request would be refused for, an import is: by the same words, and nothing of the file is written.
fn refused(world: &World, profile: &Value, preferences: &Value) -> Result {
    for (handler, line, pointer, wrong, words) in [
        (
            "profile",
            profile,
            "/state/email",
            "nobody",
            "email must be an e-mail address",
        ),
        (
            "profile",
            profile,
            "/state/details/dateOfBirth",
            "2025-02-30",
            "details.dateOfBirth must be an ISO 8601 date",
        ),
        (
            "preferences",
            preferences,
            "/state/general/language",
            "fr-FR",
            "general.language must be a language",
        ),
    ] {
        let mut line = line.clone();
        *line.pointer_mut(pointer).context("no such field")? = json!(wrong);
        let done = DreamScape::import(world, handler, &line.to_string())?;
        let told = done.code() == 1 && done.stderr.contains("line 1") && done.stderr.contains(words);
        ensure!(told, "{wrong}: {}", done.stderr);
    }
    Ok(())
}
