//! Each route's exact reply.

use super::*;

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
    let travel = json!({ "activities": ["hiking"], "travelPreferences": { "seatPreference": "aisle" } });
    let sections = json!({
        "preferences": { "language": "fr", "currency": "EUR", "timezone": "Europe/Paris" },
        "notifications": notifications,
        "privacy": { "profileVisibility": "friends", "dataSharing": false, "marketing": true },
        "travel": with("travel", travel),
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
    let done = user.post(json!({ "language": "English", "currency": "GBP" }));
    let sent = json!({ "language": "English", "currency": "GBP" });
    assert_eq!((done.status, done.reply), (201, json!({ "preferences": sent })));
    assert_eq!(done.event, Some(json!({ "language": "en", "currency": "GBP" })));

    for none in [json!({}), Value::Null, json!("")] {
        let done = User::default().post(none);
        assert_eq!(
            (done.status, done.reply, done.event, done.state),
            (201, json!({ "preferences": null }), None, Change::Keep)
        );
    }
}

#[test]
fn the_preferences_of_a_post_may_be_any_object() {
    let mut user = User::default();
    let done = user.post(json!({
        "theme": "dark", "budget": { "max": 1000 }, "language": "Klingon", "currency": "EUR", "timezone": 7,
        "notifications": "all", "travelPreferences": { "seatPreference": "aisle", "mealPreference": "anything" },
    }));
    assert_eq!(
        (done.status, done.reply),
        (201, json!({ "preferences": { "currency": "EUR" } }))
    );
    let known = json!({ "currency": "EUR", "travelPreferences": { "seatPreference": "aisle" } });
    assert_eq!(done.event, Some(known));
    for wrong in [json!([]), json!("fr"), json!(7), json!(true)] {
        User::default().post(wrong).is_refused("preferences must be an object");
    }
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
