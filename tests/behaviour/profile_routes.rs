//! DreamScape's routes: what each answers, and what it publishes, to the letter.

use anyhow::ensure;
use sandman_tests::{Ask, Behaviour, DreamScape, Events, Form, OWN, Result, User, World, registration, untouched};
use serde_json::{Value, json};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("every_route_of_a_profile_answers_to_the_letter", every_route),
    Behaviour::new("a_registration_begins_a_profile_and_replaces_nothing", registrations).on_postgres_too(),
];

const TIME_FIELDS: [&str; 2] = ["createdAt", "updatedAt"];

fn every_route(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let mut events = app.events()?;
    post_creates(&app.user("post")?, &mut events)?;
    put_changes(&app.user("put")?, &mut events)?;
    put_alone_begins(&app.user("early")?, &mut events)?;
    picture_becomes_photo(&app.user("picture")?, &mut events)?;
    delete_forgets(&app.user("gone")?, &mut events)?;
    nothing_changed_publishes_nothing(&app.user("same")?, &mut events)?;
    what_is_not_served(&app.user("else")?)
}

/// The body without its times, which must be there.
fn timeless(mut body: Value) -> Result<Value> {
    for field in TIME_FIELDS {
        let time = body
            .as_object_mut()
            .and_then(|body| body.remove(field))
            .unwrap_or_default();
        let length = time.as_str().map(str::len);
        ensure!(length == Some(24), "{field} is {time} in {body}");
    }
    Ok(body)
}

fn same(answered: &Value, expected: &Value) -> Result {
    ensure!(answered == expected, "answered {answered}\n  not {expected}");
    Ok(())
}

/// What `GET` and `PUT` answer of a user who never touched their settings.
fn known(name: &str, email: &str, photo: Option<&str>) -> Value {
    untouched(json!({ "name": name, "email": email, "photo": photo }))
}

/// What `POST` answers of a profile of which nothing is set but the names, without its times.
fn created(user: &User) -> Value {
    json!({
        "id": user.id, "userId": user.id, "name": "Ada Lovelace", "email": null, "firstName": "Ada", "lastName": "Lovelace",
        "phone": null, "avatar": null, "dateOfBirth": null, "nationality": null, "preferences": null,
        "user": { "email": null, "firstName": "Ada", "lastName": "Lovelace" },
    })
}

fn post_creates(user: &User, events: &mut Events) -> Result {
    let body = json!({
        "userId": "somebody-else",
        "firstName": "Ada",
        "lastName": "Lovelace",
        "phone": "+44 (20) 7946.00-18",
        "dateOfBirth": "1815-12-10",
        "nationality": "GB",
        "preferences": { "language": "en", "currency": "GBP" },
    });
    let details = json!({
        "firstName": "Ada", "lastName": "Lovelace", "phone": "+442079460018", "dateOfBirth": "1815-12-10",
        "nationality": "GB",
    });
    let answered = user.create(&body)?.has(201)?;
    ensure!(answered["createdAt"] == answered["updatedAt"], "{answered}");
    let mut expected = created(user);
    for (field, value) in details.as_object().into_iter().flatten() {
        expected[field] = value.clone();
    }
    expected["preferences"] = json!({ "language": "en", "currency": "GBP" });
    same(&timeless(answered)?, &expected)?;
    let exists = json!({ "error": "Profile already exists for this user" });
    user.create(&body)?.is(409, &exists)?;
    user.create(&json!({ "firstName": "Ada" }))?
        .refuses(400, &["lastName is required"])?;
    let mut read = known("Ada Lovelace", &user.token_email(), None);
    read["preferences"] = json!({ "language": "en", "currency": "GBP", "timezone": "UTC" });
    user.settings()?.is(200, &read)?;
    events.of(user)?.is(&[
        ("user.profile.updated", json!({ "profile": details })),
        (
            "user.preferences.updated",
            json!({ "preferences": { "language": "en", "currency": "GBP" } }),
        ),
    ])
}

fn put_changes(user: &User, events: &mut Events) -> Result {
    user.create(&json!({ "firstName": "Ada", "lastName": "Lovelace" }))?
        .has(201)?;
    let put = |form: Value, mut expected: Value| -> Result {
        expected["message"] = json!("Profile updated successfully");
        user.put(&form)?.is(200, &expected)
    };
    put(
        json!({ "profile": { "name": "Countess", "email": "ada@analytical.example" } }),
        known("Countess", "ada@analytical.example", None),
    )?;
    put(
        json!({ "profile": { "email": "king@analytical.example", "photo": "https://example.com/ada.png" } }),
        known(
            "Countess",
            "king@analytical.example",
            Some("https://example.com/ada.png"),
        ),
    )?;
    let profile = json!({ "firstName": "Ada", "lastName": "Lovelace" });
    let mut pictured = profile.clone();
    pictured["avatar"] = json!("https://example.com/ada.png");
    events.of(user)?.is(&[
        ("user.profile.updated", json!({ "profile": profile })),
        (
            "user.updated",
            json!({ "changes": {
                "username": { "old": "Ada Lovelace", "new": "Countess" },
                "email": { "old": user.token_email(), "new": "ada@analytical.example" },
            } }),
        ),
        (
            "user.updated",
            json!({ "changes": {
                "email": { "old": "ada@analytical.example", "new": "king@analytical.example" },
            } }),
        ),
        ("user.profile.updated", json!({ "profile": pictured })),
    ])
}

/// Before `user.created`: what is missing is made, and an old value that nobody knew is null.
fn put_alone_begins(user: &User, events: &mut Events) -> Result {
    user.settings()?.is(200, &known("", &user.token_email(), None))?;
    let mut expected = known("Ada", &user.token_email(), Some("/ada.png"));
    expected["message"] = json!("Profile updated successfully");
    user.put(&json!({ "profile": { "name": "Ada", "photo": "/ada.png" } }))?
        .is(200, &expected)?;
    let ada = json!({ "firstName": "Ada", "lastName": "L" });
    user.create(&ada)?.has(201)?;
    user.create(&ada)?.has(409)?;
    let mut taken_away = known("Ada", &user.token_email(), None);
    taken_away["message"] = json!("Profile updated successfully");
    user.put(&json!({ "profile": { "name": "", "photo": "" } }))?
        .is(200, &taken_away)?;
    let mut pictured = ada.clone();
    pictured["avatar"] = json!("/ada.png");
    events.of(user)?.is(&[
        (
            "user.updated",
            json!({ "changes": { "username": { "old": null, "new": "Ada" } } }),
        ),
        ("user.profile.updated", json!({ "profile": { "avatar": "/ada.png" } })),
        ("user.profile.updated", json!({ "profile": pictured })),
        ("user.profile.updated", json!({ "profile": ada })),
    ])
}

fn picture_becomes_photo(user: &User, events: &mut Events) -> Result {
    user.create(&json!({ "firstName": "Ada", "lastName": "Lovelace" }))?
        .has(201)?;
    let mut told = vec![json!({ "firstName": "Ada", "lastName": "Lovelace" })];
    for (content, extension) in [(Form::PNG, "png"), (Form::JPEG, "jpg"), (Form::GIF, "gif")] {
        let body = user.picture(&Form::avatar(content))?.has(200)?;
        let url = body["avatar"].as_str().unwrap_or_default().to_owned();
        let ours = url.starts_with("/uploads/avatars/avatar-") && url.ends_with(&format!(".{extension}"));
        ensure!(ours, "the picture is at {url}");
        let mut expected =
            json!({ "message": "Avatar uploaded successfully", "avatar": url, "profile": created(user) });
        expected["profile"]["avatar"] = json!(url);
        // The route is the profile's alone.
        if let Some(profile) = expected["profile"].as_object_mut() {
            profile.remove("preferences");
        }
        let mut answered = body;
        answered["profile"] = timeless(answered["profile"].take())?;
        same(&answered, &expected)?;
        told.push(json!({ "firstName": "Ada", "lastName": "Lovelace", "avatar": url }));
        user.settings()?
            .is(200, &known("Ada Lovelace", &user.token_email(), Some(&url)))?;
    }
    let told: Vec<_> = told
        .into_iter()
        .map(|profile| ("user.profile.updated", json!({ "profile": profile })))
        .collect();
    events.of(user)?.is(&told)
}

fn delete_forgets(user: &User, events: &mut Events) -> Result {
    let missing = json!({ "error": "Profile not found" });
    user.delete()?.is(404, &missing)?;
    user.put(
        &json!({ "profile": { "name": "Ada" }, "preferences": { "language": "fr" }, "privacy": { "marketing": true } }),
    )?
    .has(200)?;
    user.delete()?
        .is(200, &json!({ "message": "Profile deleted successfully" }))?;
    user.delete()?.is(404, &missing)?;
    user.settings()?.is(200, &known("", &user.token_email(), None))?;
    // What comes afterwards is somebody new.
    user.create(&json!({ "firstName": "Eve", "lastName": "New" }))?
        .has(201)?;
    events.of(user)?.is(&[
        (
            "user.updated",
            json!({ "changes": { "username": { "old": null, "new": "Ada" } } }),
        ),
        (
            "user.preferences.updated",
            json!({ "preferences": { "language": "fr" } }),
        ),
        (
            "user.profile.updated",
            json!({ "profile": { "firstName": "Eve", "lastName": "New" } }),
        ),
    ])
}

fn nothing_changed_publishes_nothing(user: &User, events: &mut Events) -> Result {
    user.create(&json!({ "firstName": "Ada", "lastName": "Lovelace" }))?
        .has(201)?;
    let all = json!({
        "profile": { "name": "Ada Lovelace", "email": user.token_email() },
        "notifications": { "email": true, "sms": true, "push": true },
    });
    for form in [
        json!({}),
        json!({ "profile": null, "preferences": null, "notifications": null, "privacy": null, "travel": null }),
        json!({ "profile": { "name": null }, "preferences": { "language": null } }),
        json!({ "profile": { "nickname": "A" }, "more": [1, 2, 3] }),
        json!({ "profile": { "name": "", "email": "", "photo": "" }, "preferences": { "language": "" } }),
        // What a page has read.
        known("Ada Lovelace", &user.token_email(), None),
        all.clone(),
        all,
    ] {
        user.put(&form)?.has(200)?;
    }
    let created = json!({ "profile": { "firstName": "Ada", "lastName": "Lovelace" } });
    events.of(user)?.is(&[("user.profile.updated", created)])
}

fn what_is_not_served(user: &User) -> Result {
    let ask = |method, path: &str| user.client().ask(&Ask::new(method, path).token(&user.token()));
    ask("PATCH", OWN)?.refuses(405, &["GET, PUT"])?;
    ask("GET", &user.path())?.refuses(405, &["DELETE, POST"])?;
    ask("GET", "/api/v1/users")?.refuses(404, &["nothing"])?;
    // As in the present service, a slash at the end makes no difference.
    ask("GET", &format!("{OWN}/"))?.has(200)?;
    let json = |body: &str| {
        user.client()
            .ask(&user.putting(&json!({})).body("application/json", body.as_bytes()))
    };
    json("{\"profile\":")?.refuses(400, &["not JSON"])?;
    let form = Ask::new("PUT", OWN).token(&user.token()).body("text/plain", b"{}");
    user.client().ask(&form)?.refuses(415, &["application/json"])?;
    let large = format!("{{\"more\":\"{}\"}}", "x".repeat(1 << 20));
    let form = Ask::new("PUT", OWN)
        .token(&user.token())
        .body("application/json", large.as_bytes());
    user.client().ask(&form)?.refuses(413, &["larger than 1048576 bytes"])
}

fn registrations(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let mut events = app.events()?;
    let (first, late) = (app.user("first")?, app.user("late")?);
    late.put(&json!({ "profile": { "name": "Countess", "email": "ada@analytical.example" } }))?
        .has(200)?;
    app.registers(&registration("first"))?;
    app.registers(&registration("late"))?;
    // Again, with other names: the second registration of a user changes nothing.
    let mut again = registration("first");
    again["firstName"] = json!("Somebody");
    app.registers(&again)?;
    let nameless = json!({
        "userId": "nameless", "email": "n@example.com", "firstName": null, "createdAt": "2024-05-01T08:00:00.000Z",
    });
    app.registers(&nameless)?;

    first
        .settings()?
        .is(200, &known("Ada Lovelace", "first@example.com", None))?;
    late.settings()?
        .is(200, &known("Countess", "ada@analytical.example", None))?;
    // With the names of the registration: it is the first that is published of the profile, and published all the same.
    let names = json!({ "firstName": "Ada", "lastName": "Lovelace" });
    let created = first.create(&names)?.has(201)?;
    let account = json!({ "email": "first@example.com", "firstName": "Ada", "lastName": "Lovelace" });
    ensure!(created["user"] == account, "{created}");
    events
        .of(&first)?
        .is(&[("user.profile.updated", json!({ "profile": names }))])?;
    let changes = json!({ "changes": {
        "username": { "old": null, "new": "Countess" },
        "email": { "old": late.token_email(), "new": "ada@analytical.example" },
    } });
    events.of(&late)?.is(&[("user.updated", changes)])?;
    events.of(&app.user("nameless")?)?.is(&[])?;
    let letters = world.all_of(&format!("{}.dlq", world.topic("user.created")))?;
    ensure!(letters.is_empty(), "{letters:?}");
    Ok(())
}
