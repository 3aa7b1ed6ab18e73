//! The schema of the state: what it keeps out, and the documents of `docs/dreamscape/migrate.md`.

use super::*;

fn fits(state: &Value) -> bool {
    let schema = serde_json::from_str(describe().state_schema.as_deref().unwrap()).unwrap();
    jsonschema::is_valid(&schema, state)
}

fn state(more: Value) -> Value {
    let mut state = json!({ "details": {}, "claimed": true, "createdAt": NOW, "updatedAt": NOW });
    state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    state
}

#[test]
fn a_document_from_outside_that_no_event_could_carry_is_kept_out() {
    assert!(fits(&state(json!({}))));
    for wrong in [
        json!({ "details": { "phone": "06 12 34 56 78" } }),
        json!({ "details": { "dateOfBirth": "31/12/1990" } }),
        json!({ "details": { "nationality": "France" } }),
        json!({ "details": { "avatar": "me.png" } }),
        json!({ "details": { "firstName": null } }),
        json!({ "details": { "first_name": "Ada" } }),
        json!({ "details": { "nationality": "ZZ" } }),
        json!({ "details": { "dateOfBirth": "2025-99-99" } }),
        json!({ "details": { "avatar": "//evil" } }),
        json!({ "details": { "avatar": "/a\\b" } }),
        json!({ "details": { "avatar": "https://" } }),
        json!({ "details": { "firstName": "A\u{7f}" } }),
        json!({ "details": { "lastName": " " } }),
        json!({ "details": { "lastName": "A".repeat(101) } }),
        json!({ "name": "A\nB" }),
        json!({ "createdAt": "2024-13-45T99:99:99.000Z" }),
        json!({ "email": "" }),
        json!({ "username": "ada" }),
        json!({ "claimed": 1 }),
        json!({ "createdAt": 1_765_535_400 }),
    ] {
        assert!(!fits(&state(wrong.clone())), "{wrong}");
    }
}

#[test]
fn what_http_takes_fits() {
    for good in [
        json!({ "details": { "avatar": "/a.png", "dateOfBirth": "2024-02-29", "firstName": "伊 藤" } }),
        json!({ "details": { "avatar": "https://x.y/a?b#c" } }),
        json!({ "details": { "avatar": "/" } }),
        json!({ "name": format!("{0} {0}", "é".repeat(100)) }),
        json!({ "createdAt": "2024-12-31T23:59:59.999Z" }),
    ] {
        fits_schema(&state(good));
    }
    let schema: Value = serde_json::from_str(crate::state::SCHEMA).unwrap();
    let listed = &schema["properties"]["details"]["properties"]["nationality"]["enum"];
    assert_eq!(*listed, json!(crate::codes::COUNTRIES.split(' ').collect::<Vec<_>>()));
}

#[test]
fn a_user_who_was_moved_in_is_known_and_their_registration_changes_nothing() {
    let line = documented("profile");
    let mut user = User::default();
    assert_eq!(user.imported(&line["state"]).status, 200);
    let again = created(json!({ "firstName": "Eve", "lastName": "Else" }));
    user.registered(&again).unwrap().changes_nothing();
    user.post(json!({ "firstName": "Eve", "lastName": "Else" }))
        .is_refused(409, "Profile already exists for this user");
    let text = |value: &'static str| line["state"].pointer(value).and_then(Value::as_str);
    let known = section(text("/name").unwrap(), text("/email").unwrap(), text("/details/avatar"));
    assert_eq!(user.get(), known);
    let done = user.put(json!({ "name": "Countess of Lovelace" }));
    let change = json!({ "username": { "old": line["state"]["name"], "new": "Countess of Lovelace" } });
    assert_eq!(done.events, [updated(change)]);
}

/// What versions before this one have put, each with what it answers to `GET` and to a `POST`.
#[test]
fn states_of_earlier_versions_are_read() {
    let exists = (409, vec![]);
    let posted = |profile: Value| (201, vec![profile_updated(profile)]);
    let ada = || json!({ "firstName": "Ada", "lastName": "Lovelace" });
    let mut pictured = ada();
    pictured["avatar"] = json!("/a.png");
    for (state, known, post) in [
        // Registered, and nothing more.
        (
            json!({ "name": "A L", "email": "a@b.c", "details": { "firstName": "A", "lastName": "L" }, "registeredAt": NOW,
                    "claimed": false, "createdAt": NOW, "updatedAt": NOW }),
            section("A L", "a@b.c", None),
            posted(ada()),
        ),
        // Begun by a PUT, which claimed it.
        (
            json!({ "name": "A", "details": { "avatar": "/a.png" }, "claimed": true, "createdAt": NOW, "updatedAt": NOW }),
            section("A", "token@example.com", Some("/a.png")),
            posted(pictured),
        ),
        // Posted.
        (
            json!({ "name": "A L", "details": { "firstName": "A", "lastName": "L" }, "claimed": true, "createdAt": NOW,
                    "updatedAt": NOW }),
            section("A L", "token@example.com", None),
            exists,
        ),
        // Of a version that is not written yet, and of one that was less careful.
        (
            json!({ "name": "Ada", "createdAt": NOW, "someday": { "more": true } }),
            section("Ada", "token@example.com", None),
            posted(ada()),
        ),
    ] {
        let mut user = User {
            profile: serde_json::from_value(state.clone()).unwrap(),
        };
        assert_eq!(user.get(), known, "{state}");
        let done = user.post(ada());
        assert_eq!((done.status, done.events), post, "{state}");
    }
}

#[test]
fn a_put_of_an_earlier_version_does_not_stand_in_the_way_of_a_post_after_the_registration() {
    let state = json!({ "name": "A", "details": {}, "claimed": true, "createdAt": NOW, "updatedAt": NOW });
    let mut user = User {
        profile: serde_json::from_value(state).unwrap(),
    };
    user.registered(&created(json!({ "firstName": "Ada", "lastName": "Lovelace" })))
        .unwrap();
    let done = user.post(json!({ "firstName": "Ada", "lastName": "Lovelace" }));
    assert_eq!(done.status, 201);
}

/// The line of a handler that the page on moving in shows.
fn documented(handler: &str) -> Value {
    let page = include_str!("../../../../docs/dreamscape/migrate.md");
    let block = page.split(&format!("<!-- line: {handler} -->")).nth(1).unwrap();
    let line = block.split("```json\n").nth(1).unwrap().split("\n```").next().unwrap();
    assert_eq!(line.lines().count(), 1, "one line of the file");
    serde_json::from_str(line).unwrap()
}
