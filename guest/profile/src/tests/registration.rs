//! `user.created`: begins a profile, fills what a client left open, and never replaces what a client has set.

use super::*;

#[test]
fn a_registration_begins_the_profile_and_publishes_nothing() {
    for (names, name) in [
        (json!({ "firstName": "Ada", "lastName": "Lovelace" }), "Ada Lovelace"),
        (json!({}), ""),
        (json!({ "firstName": null, "lastName": null }), ""),
        (json!({ "firstName": " " }), ""),
        (
            json!({ "firstName": "A".repeat(200_000), "lastName": "Love\u{0}lace" }),
            "",
        ),
    ] {
        let mut user = User::default();
        let done = user.registered(&created(names)).unwrap();
        assert_eq!(done.events, []);
        assert_eq!(user.get(), section(name, "ada@example.com", None));
    }
}

#[test]
fn a_second_registration_changes_nothing() {
    let mut user = User::default();
    user.registered(&created(json!({}))).unwrap();
    user.registered(&created(json!({ "firstName": "Eve", "email": "eve@example.com" })))
        .unwrap()
        .changes_nothing();
}

#[test]
fn a_client_that_was_faster_keeps_what_it_set() {
    let ada = || created(json!({ "firstName": "Ada", "lastName": "Lovelace" }));
    let mut user = User::default();
    user.put(json!({ "name": "Countess", "email": "new@example.com", "photo": "/p.png" }));
    assert_eq!(user.registered(&ada()).unwrap().events, []);
    assert_eq!(user.get(), section("Countess", "new@example.com", Some("/p.png")));

    let mut user = User::default();
    user.post(json!({ "firstName": "Augusta", "lastName": "King" }));
    assert_eq!(user.registered(&ada()).unwrap().events, []);
    assert_eq!(user.get(), section("Augusta King", "ada@example.com", None));
    user.post(json!({ "firstName": "Ada", "lastName": "King" }))
        .is_refused(409, "Profile already exists for this user");
}

#[test]
fn a_payload_that_does_not_fit_or_speaks_of_another_user_is_rejected() {
    let reason = |payload: &Value| match User::default().registered(payload) {
        Err(Failure::Rejected(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert!(reason(&created(json!({ "userId": "key-2" }))).contains("payload.userId"));
    assert!(reason(&created(json!({ "email": 7 }))).contains("payload.email"));
    assert!(reason(&json!({ "userId": "key-1" })).contains("email"));
}

#[test]
fn what_is_registered_fits_the_schema_that_the_host_checks() {
    let contract = describe();
    let schema = serde_json::from_str(contract.consumes[0].schema.as_deref().unwrap()).unwrap();
    let fits = |payload: &Value| jsonschema::is_valid(&schema, payload);
    assert!(fits(&created(json!({}))));
    assert!(fits(&created(
        json!({ "firstName": "Ada", "lastName": null, "locale": "en" })
    )));
    for wrong in [
        json!({ "userId": "" }),
        json!({ "email": null }),
        json!({ "firstName": 1 }),
        json!({ "createdAt": 0 }),
    ] {
        assert!(!fits(&created(wrong.clone())), "{wrong}");
    }
}
