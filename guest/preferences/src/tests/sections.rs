//! Which sections an event has, for every combination of them, and the names that fields have had.

use super::*;

#[test]
fn an_event_has_the_sections_that_the_request_named() {
    let switches = || json!({ "email": false, "sms": true, "push": true });
    let travel = || json!({ "seatPreference": "window", "mealPreference": "vegan", "classPreference": "first" });
    let sections = [
        ("preferences", json!({ "language": "fr", "currency": "EUR" })),
        ("notifications", switches()),
        ("travelPreferences", travel()),
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
        if expected == json!({}) {
            // Others act on what is in no payload as well, and are told all that is known.
            expected = json!({ "notifications": { "email": true, "sms": true, "push": true } });
        }
        let mut user = User::default();
        let done = user.put(body.clone());
        let expected = (combination != 0).then_some(expected);
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
fn a_change_of_what_is_in_no_payload_is_published_with_all_that_is_known() {
    let known = json!({
        "language": "fr", "notifications": { "email": true, "sms": false, "push": true },
        "travelPreferences": { "seatPreference": "aisle" },
    });
    for body in [
        json!({ "preferences": { "timezone": "Europe/Paris" } }),
        json!({ "privacy": { "profileVisibility": "private" } }),
        json!({ "privacy": { "dataSharing": true } }),
        json!({ "travel": { "preferredDestinations": ["Lima"] } }),
        json!({ "travel": { "accommodationType": "hotel", "activities": ["hiking"] } }),
    ] {
        let mut user = User::default();
        user.put(json!({
            "preferences": { "language": "French" }, "notifications": { "sms": false },
            "travelPreferences": { "seatPreference": "aisle" },
        }));
        assert_eq!(user.put(body.clone()).event, Some(known.clone()), "{body}");
        assert_eq!(user.put(body.clone()).event, None, "{body} again");
    }
}

#[test]
fn the_newsletter_is_stored_only_and_what_is_in_force_already_is_no_change() {
    let mut user = User::default();
    for body in [
        json!({ "notifications": { "newsletter": true } }),
        json!({ "notifications": { "email": true } }),
        json!({ "preferences": { "timezone": "UTC" } }),
        json!({ "privacy": { "profileVisibility": "public", "dataSharing": false, "marketing": true } }),
        json!({ "travel": { "dietary": [], "activities": [] } }),
    ] {
        assert_eq!(user.put(body.clone()).event, None, "{body}");
    }
    let read = user.call(Call::request("GET", OWN)).reply;
    let mut expected = defaults();
    expected["notifications"]["newsletter"] = json!(true);
    assert_eq!(read, expected);
}

#[test]
fn a_client_that_sends_back_what_it_was_shown_has_chosen_nothing() {
    let mut user = User::default();
    let shown = user.call(Call::request("GET", OWN)).reply;
    assert_eq!(user.put(shown.clone()).event, None);
    // Whoever then changes something else has not chosen language and currency either.
    let mut changed = shown;
    changed["notifications"]["tripReminders"] = json!(false);
    let switches = json!({ "email": true, "sms": false, "push": true });
    assert_eq!(user.put(changed).event, Some(json!({ "notifications": switches })));
    // Who names them has.
    for (chosen, told) in [
        (json!({ "language": "English" }), json!({ "language": "en" })),
        (
            json!({ "language": "English", "currency": "USD" }),
            json!({ "language": "en", "currency": "USD" }),
        ),
        (
            json!({ "language": "English", "currency": "EUR", "timezone": "UTC" }),
            json!({ "language": "en", "currency": "EUR" }),
        ),
    ] {
        let done = User::default().put(json!({ "preferences": chosen }));
        assert_eq!(done.event, Some(told), "{chosen}");
    }
}

#[test]
fn languages_are_answered_as_they_were_sent_and_told_by_their_codes() {
    for (sent, code) in [
        ("French", "fr"),
        ("fr", "fr"),
        ("french", "fr"),
        ("Chinese", "zh"),
        ("English", "en"),
    ] {
        let mut user = User::default();
        let done = user.put(json!({ "preferences": { "language": sent } }));
        assert_eq!(done.event, Some(json!({ "language": code })), "{sent}");
        assert_eq!(
            done.reply["preferences"],
            with("preferences", json!({ "language": sent }))
        );
        assert_eq!(user.section("preferences")["language"], json!(sent));
    }
    // Another way of writing the same language is kept, and no change of it.
    let mut user = User::default();
    user.put(json!({ "preferences": { "language": "fr" } }));
    assert_eq!(user.put(json!({ "preferences": { "language": "French" } })).event, None);
    assert_eq!(user.section("preferences")["language"], json!("French"));
    assert_eq!(user.put(json!({ "preferences": { "language": "fr" } })).event, None);
    assert_eq!(user.section("preferences")["language"], json!("fr"));
}

#[test]
fn nothing_and_null_and_unknown_fields_change_nothing() {
    let mut user = User::default();
    user.put(json!({ "preferences": { "language": "fr" } }));
    for body in [
        json!({}),
        json!({ "preferences": null, "notifications": null, "privacy": null, "travel": null }),
        json!({ "preferences": { "language": null }, "notifications": { "sms": null }, "travel": { "dietary": null } }),
        json!({ "preferences": "", "notifications": { "sms": "" }, "travel": { "dietary": "" } }),
        json!({ "preferences": { "language": "", "currency": "", "timezone": "" }, "privacy": { "profileVisibility": "" } }),
        json!({ "preferences": { "theme": "dark" }, "profile": { "name": "Ada" } }),
    ] {
        let done = user.put(body.clone());
        assert_eq!((done.event, done.state), (None, Change::Keep), "{body}");
    }
    assert_eq!(
        user.section("preferences"),
        with("preferences", json!({ "language": "fr" }))
    );
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
fn a_client_that_sends_both_names_means_the_one_that_differs() {
    let mut user = User::default();
    for (changed, value) in [
        ("dealAlerts", false),
        ("email", true),
        ("email", false),
        ("dealAlerts", true),
    ] {
        let mut all = json!({ "email": !value, "dealAlerts": !value });
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
        let travel = with("travel", json!({ "travelPreferences": chosen }));
        assert_eq!(user.section("travel"), travel, "{body}");
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
