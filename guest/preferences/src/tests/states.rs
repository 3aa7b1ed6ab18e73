//! The schema of the state: what it keeps out, and the document of `docs/dreamscape/migrate.md`.

use super::*;

fn fits(more: Value) -> bool {
    let schema = serde_json::from_str(describe().state_schema.as_deref().unwrap()).unwrap();
    let mut state = json!({ "updatedAt": NOW });
    state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    jsonschema::is_valid(&schema, &state)
}

#[test]
fn a_document_from_outside_that_no_event_could_carry_is_kept_out() {
    assert!(fits(json!({})));
    assert!(fits(json!({ "travelLists": { "activities": ["hiking"] } })));
    for wrong in [
        json!({ "general": { "language": "fr-FR" } }),
        json!({ "general": { "currency": "euro" } }),
        json!({ "general": { "timezone": "" } }),
        json!({ "notifications": { "email": true } }),
        json!({ "notifications": { "dealAlerts": true, "tripReminders": true, "priceAlerts": true } }),
        json!({ "privacy": { "marketing": "yes" } }),
        json!({ "travelPreferences": { "seatPreference": "roof" } }),
        json!({ "travelLists": { "hotels": [] } }),
        json!({ "general": { "language": "zz" } }),
        json!({ "general": { "currency": "ZZZ" } }),
        json!({ "general": { "timezone": "a\nb" } }),
        json!({ "travelLists": { "dietary": "hotel" } }),
        json!({ "travelLists": { "dietary": ["a\0"] } }),
        json!({ "updatedAt": "2024-13-45T99:99:99.000Z" }),
        json!({ "language": "fr" }),
        json!({ "updatedAt": null }),
    ] {
        assert!(!fits(wrong.clone()), "{wrong}");
    }
}

#[test]
fn the_lists_of_codes_are_those_that_http_takes() {
    let schema: Value = serde_json::from_str(crate::state::SCHEMA).unwrap();
    let general = &schema["properties"]["general"]["properties"];
    let languages: Vec<_> = crate::languages::LANGUAGES
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(general["language"]["enum"], json!(languages));
    let currencies: Vec<_> = crate::codes::CURRENCIES.split(' ').collect();
    assert_eq!(general["currency"]["enum"], json!(currencies));
}

/// What versions before this one have put, each with what is answered of it.
#[test]
fn states_of_earlier_versions_are_read() {
    for (state, answered) in [
        (
            json!({ "general": { "language": "fr" }, "notifications": { "email": true, "sms": false, "push": true },
                    "newsletter": true, "privacy": {}, "travelPreferences": {},
                    "travelLists": { "accommodationType": "hotel", "dietary": ["nuts"], "activities": "" },
                    "updatedAt": NOW }),
            json!({
                "preferences": { "language": "fr", "currency": "USD", "timezone": "UTC" },
                "notifications": { "dealAlerts": true, "tripReminders": false, "priceAlerts": true, "newsletter": true },
                "privacy": defaults()["privacy"],
                "travel": { "preferredDestinations": [], "accommodationType": ["hotel"], "activities": [],
                            "dietary": ["nuts"] },
            }),
        ),
        // Of a version that is not written yet, and of one that was less careful.
        (
            json!({ "notifications": { "sms": false }, "someday": 1, "travelLists": { "hotels": 7 } }),
            {
                let mut answered = defaults();
                answered["notifications"]["tripReminders"] = json!(false);
                answered
            },
        ),
    ] {
        let mut user = User {
            preferences: serde_json::from_value(state.clone()).unwrap(),
        };
        assert_eq!(user.call(Call::request("GET", OWN)).reply, answered, "{state}");
        // What is sent back as it was answered is what was stored.
        assert_eq!(user.put(answered).event, None, "{state}");
    }
}

#[test]
fn the_documented_line_is_read_back_whole() {
    let page = include_str!("../../../../docs/dreamscape/migrate.md");
    let block = page.split("<!-- line: preferences -->").nth(1).unwrap();
    let line = block.split("```json\n").nth(1).unwrap().split("\n```").next().unwrap();
    assert_eq!(line.lines().count(), 1, "one line of the file");
    let line: Value = serde_json::from_str(line).unwrap();
    let mut user = User::default();
    assert_eq!(user.imported(&line["state"]).status, 200);
    assert_eq!(user.section("preferences"), line["state"]["general"]);
    assert_eq!(user.section("privacy"), line["state"]["privacy"]);
    assert_eq!(
        user.section("notifications")["dealAlerts"],
        line["state"]["notifications"]["email"]
    );
}
