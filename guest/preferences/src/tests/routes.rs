//! Each route's exact reply.

use super::*;

fn defaults() -> Value {
    json!({ "preferences": {}, "notifications": switches(true, true, true), "privacy": {}, "travel": {} })
}

#[test]
fn a_user_without_settings_reads_the_defaults() {
    let mut user = User::default();
    let done = user.call(Call::request("GET", OWN));
    assert_eq!((done.status, done.reply, done.state), (200, defaults(), Change::Keep));
}

#[test]
fn a_put_answers_all_sections_after_the_change() {
    let mut user = User::default();
    let body = json!({
        "profile": { "name": "not ours" },
        "preferences": { "language": "fr", "currency": "EUR", "timezone": "Europe/Paris" },
        "notifications": { "sms": false, "newsletter": true },
        "privacy": { "profileVisibility": "friends", "dataSharing": false, "marketing": true },
        "travel": { "activities": ["hiking"], "travelPreferences": { "seatPreference": "aisle" } },
    });
    let done = user.put(body);
    let mut notifications = switches(true, false, true);
    notifications["newsletter"] = json!(true);
    let sections = json!({
        "preferences": { "language": "fr", "currency": "EUR", "timezone": "Europe/Paris" },
        "notifications": notifications,
        "privacy": { "profileVisibility": "friends", "dataSharing": false, "marketing": true },
        "travel": { "activities": ["hiking"], "travelPreferences": { "seatPreference": "aisle" } },
    });
    assert_eq!((done.status, &done.reply), (200, &sections));
    assert_eq!(user.call(Call::request("GET", OWN)).reply, sections);
    // A client that sends back what it has read changes nothing.
    let again = user.put(sections.clone());
    assert_eq!((again.reply, again.event, again.state), (sections, None, Change::Keep));
}

#[test]
fn the_profiles_post_may_bring_preferences() {
    let mut user = User::default();
    let body =
        json!({ "firstName": "Ada", "lastName": "King", "preferences": { "language": "en", "currency": "GBP" } });
    let done = user.call(Call::request("POST", OF_USER).body(&body));
    let preferences = json!({ "language": "en", "currency": "GBP" });
    assert_eq!((done.status, done.reply), (201, json!({ "preferences": preferences })));
    assert_eq!(done.event, Some(preferences));

    let done = User::default().call(Call::request("POST", OF_USER).body(&json!({ "firstName": "Ada" })));
    assert_eq!(
        (done.status, done.reply, done.event, done.state),
        (201, json!({}), None, Change::Keep)
    );

    let bad = json!({ "preferences": { "currency": "francs" } });
    let done = User::default().call(Call::request("POST", OF_USER).body(&bad));
    done.is_refused("preferences.currency must be a currency in ISO 4217, for example EUR");
}

#[test]
fn preferences_go_with_the_profile_and_need_not_be_there() {
    let mut user = User::default();
    let done = user.call(Call::request("DELETE", OF_USER));
    assert_eq!((done.status, done.reply, done.state), (200, json!({}), Change::Keep));
    user.put(json!({ "preferences": { "language": "fr" } }));
    let done = user.call(Call::request("DELETE", OF_USER));
    assert_eq!((done.status, done.event, done.state), (200, None, Change::Delete));
    assert_eq!(user.call(Call::request("GET", OWN)).reply, defaults());
}

#[test]
fn a_route_that_is_not_served_is_rejected() {
    let refused = Call::request("PATCH", OWN).run(on_request).unwrap_err();
    assert!(matches!(refused, Failure::Rejected(reason) if reason.contains("PATCH /api/v1/users/profile")));
}

#[test]
fn a_state_of_an_older_or_newer_version_is_read() {
    let older = json!({ "general": { "language": "fr" }, "notifications": { "sms": false }, "someday": 1 });
    let outcome = Call::request("GET", OWN).state(&older).run(on_request).unwrap();
    let reply: Value = serde_json::from_str(outcome.reply.unwrap().body().unwrap()).unwrap();
    assert_eq!(reply["preferences"], json!({ "language": "fr" }));
    assert_eq!(reply["notifications"], switches(true, false, true));
}
