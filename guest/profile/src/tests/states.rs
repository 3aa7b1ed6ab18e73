//! The schema of the state: what it keeps out, and the documents of `docs/migrate.md`.

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
    fits_schema(&line["state"]);
    let mut user = User {
        profile: serde_json::from_value(line["state"].clone()).unwrap(),
    };
    let again = created(json!({ "firstName": "Eve", "lastName": "Else" }));
    user.registered(&again).unwrap().changes_nothing();
    user.post(json!({ "firstName": "Eve", "lastName": "Else" }))
        .is_refused(409, "Profile already exists for this user");
    let section = json!({
        "name": line["state"]["name"],
        "email": line["state"]["email"],
        "photo": line["state"]["details"]["avatar"],
    });
    assert_eq!(user.get(), json!({ "profile": section }));
    let done = user.put(json!({ "name": "Countess of Lovelace" }));
    let change = json!({ "username": { "old": line["state"]["name"], "new": "Countess of Lovelace" } });
    assert_eq!(done.events, [updated(change)]);
}

/// The line of a handler that the page on moving in shows.
fn documented(handler: &str) -> Value {
    let page = include_str!("../../../../docs/migrate.md");
    let block = page.split(&format!("<!-- line: {handler} -->")).nth(1).unwrap();
    let line = block.split("```json\n").nth(1).unwrap().split("\n```").next().unwrap();
    assert_eq!(line.lines().count(), 1, "one line of the file");
    serde_json::from_str(line).unwrap()
}
