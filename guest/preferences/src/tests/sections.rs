//! Which sections an event has, for every combination of them, and the names that fields have had.

use super::*;

#[test]
fn an_event_has_the_sections_that_the_request_named() {
    let sections = [
        ("preferences", json!({ "language": "fr", "currency": "EUR" })),
        ("notifications", json!({ "email": false, "sms": true, "push": true })),
        (
            "travelPreferences",
            json!({ "seatPreference": "window", "mealPreference": "vegan", "classPreference": "first" }),
        ),
        ("privacy", json!({ "marketing": false })),
        ("travel", json!({ "dietary": ["no nuts"] })),
    ];
    for combination in 0u32..1 << sections.len() {
        let mut body = json!({});
        let mut expected = json!({});
        for (at, (name, section)) in sections.iter().enumerate() {
            if combination & (1 << at) != 0 {
                body[name] = section.clone();
                match *name {
                    "preferences" => expected
                        .as_object_mut()
                        .unwrap()
                        .extend(section.as_object().unwrap().clone()),
                    "privacy" | "travel" => {}
                    name => expected[name] = section.clone(),
                }
            }
        }
        let mut user = User::default();
        let done = user.put(body.clone());
        let expected = (expected != json!({})).then_some(expected);
        assert_eq!(done.event, expected, "{body}");
        assert_eq!(user.put(body.clone()).event, None, "{body} again");
    }
}

#[test]
fn a_section_that_is_present_is_complete() {
    let mut user = User::default();
    user.put(json!({ "preferences": { "language": "fr" }, "travelPreferences": { "seatPreference": "aisle" } }));
    let done = user.put(json!({ "preferences": { "currency": "EUR" } }));
    assert_eq!(done.event, Some(json!({ "language": "fr", "currency": "EUR" })));
    let done = user.put(json!({ "notifications": { "push": false } }));
    assert_eq!(
        done.event,
        Some(json!({ "notifications": { "email": true, "sms": true, "push": false } }))
    );
    let done = user.put(json!({ "travelPreferences": { "mealPreference": "halal" } }));
    let travel = json!({ "seatPreference": "aisle", "mealPreference": "halal" });
    assert_eq!(done.event, Some(json!({ "travelPreferences": travel })));
}

#[test]
fn what_appears_in_no_event_publishes_none() {
    let mut user = User::default();
    for body in [
        json!({ "preferences": { "timezone": "UTC" } }),
        json!({ "notifications": { "newsletter": false } }),
        json!({ "notifications": { "email": true } }),
        json!({ "privacy": { "profileVisibility": "private" } }),
        json!({ "travel": { "preferredDestinations": ["Lima"], "accommodationType": "hotel" } }),
    ] {
        assert_eq!(user.put(body.clone()).event, None, "{body}");
    }
    assert_eq!(user.section("preferences"), json!({ "timezone": "UTC" }));
    assert_eq!(user.section("notifications")["newsletter"], json!(false));
    assert_eq!(user.section("privacy"), json!({ "profileVisibility": "private" }));
    let lists = json!({ "preferredDestinations": ["Lima"], "accommodationType": "hotel" });
    assert_eq!(user.section("travel"), lists);
}

#[test]
fn nothing_and_null_and_unknown_fields_change_nothing() {
    let mut user = User::default();
    user.put(json!({ "preferences": { "language": "fr" } }));
    for body in [
        json!({}),
        json!({ "preferences": null, "notifications": null, "privacy": null, "travel": null }),
        json!({ "preferences": { "language": null }, "notifications": { "sms": null }, "travel": { "dietary": null } }),
        json!({ "preferences": { "theme": "dark" }, "profile": { "name": "Ada" } }),
    ] {
        let done = user.put(body.clone());
        assert_eq!((done.event, done.state), (None, Change::Keep), "{body}");
    }
    assert_eq!(user.section("preferences"), json!({ "language": "fr" }));
}

#[test]
fn switches_come_under_either_name() {
    for (name, expected) in [
        ("email", [false, true, true]),
        ("dealAlerts", [false, true, true]),
        ("sms", [true, false, true]),
        ("tripReminders", [true, false, true]),
        ("push", [true, true, false]),
        ("priceAlerts", [true, true, false]),
    ] {
        let [email, sms, push] = expected;
        let mut user = User::default();
        let done = user.put(json!({ "notifications": { name: false } }));
        assert_eq!(
            done.event,
            Some(json!({ "notifications": { "email": email, "sms": sms, "push": push } }))
        );
        assert_eq!(user.section("notifications"), switches(email, sms, push), "{name}");
    }
}

#[test]
fn a_client_that_sends_both_names_back_means_the_one_it_changed() {
    let mut user = User::default();
    for (changed, value) in [
        ("dealAlerts", false),
        ("email", true),
        ("email", false),
        ("dealAlerts", true),
    ] {
        let mut all = user.section("notifications");
        all[changed] = json!(value);
        user.put(json!({ "notifications": all }));
        assert_eq!(user.section("notifications"), switches(value, true, true), "{changed}");
    }
}

#[test]
fn travel_preferences_come_from_every_place_they_have_had() {
    let chosen = json!({ "seatPreference": "aisle", "classPreference": "business" });
    for body in [
        json!({ "travelPreferences": chosen }),
        json!({ "travel": { "travelPreferences": chosen } }),
        json!({ "preferences": { "travelPreferences": chosen } }),
        json!({ "travel": chosen }),
    ] {
        let mut user = User::default();
        assert_eq!(
            user.put(body.clone()).event,
            Some(json!({ "travelPreferences": chosen })),
            "{body}"
        );
        assert_eq!(user.section("travel"), json!({ "travelPreferences": chosen }), "{body}");
    }
    let done = User::default().put(json!({ "preferences": { "notifications": { "sms": false } } }));
    assert_eq!(
        done.event,
        Some(json!({ "notifications": { "email": true, "sms": false, "push": true } }))
    );
}

#[test]
fn places_are_merged_and_all_of_them_checked() {
    let mut user = User::default();
    let done = user.put(json!({
        "travelPreferences": { "seatPreference": "aisle" },
        "travel": { "seatPreference": "window", "travelPreferences": { "mealPreference": "vegan" } },
        "notifications": { "sms": false, "newsletter": true },
        "preferences": { "notifications": { "sms": true, "push": false, "newsletter": false } },
    }));
    let expected = json!({
        "notifications": { "email": true, "sms": false, "push": false },
        "travelPreferences": { "seatPreference": "aisle", "mealPreference": "vegan" },
    });
    assert_eq!(done.event, Some(expected));
    assert_eq!(user.section("notifications")["newsletter"], json!(true));
    user.put(json!({ "travelPreferences": { "seatPreference": "aisle" }, "travel": { "seatPreference": "BAD" } }))
        .is_refused("travel.seatPreference must be window, aisle, middle or no-preference");
}
