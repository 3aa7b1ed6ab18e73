//! Documents of the service before this one.

use super::*;

fn document(more: Value) -> Value {
    let mut document = json!({ "updatedAt": NOW });
    document
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    document
}

#[test]
fn what_the_old_database_holds_is_written_as_requests_would_have_written_it() {
    let mut user = User::default();
    let done = user.imported(&json!({
        "general": { "language": "French", "currency": "EUR", "timezone": "" },
        "notifications": null,
        "newsletter": true,
        "privacy": { "profileVisibility": "friends", "marketing": null },
        "travelPreferences": { "seatPreference": "aisle", "mealPreference": "" },
        "travelLists": { "accommodationType": "hotel", "dietary": [], "activities": ["hiking"] },
        "updatedAt": "2025-11-02 17:05:41.12+00",
    }));
    assert_eq!((done.status, &done.reply, &done.event), (200, &json!({}), &None));
    let stored = json!({
        "general": { "language": "fr", "languageName": "French", "currency": "EUR" },
        "notifications": { "email": true, "sms": true, "push": true },
        "newsletter": true,
        "privacy": { "profileVisibility": "friends" },
        "travelPreferences": { "seatPreference": "aisle" },
        "travelLists": { "accommodationType": ["hotel"], "activities": ["hiking"] },
        "updatedAt": "2025-11-02T17:05:41.120Z",
    });
    assert_eq!(serde_json::to_value(&user.preferences).unwrap(), stored);
    assert_eq!(user.section("preferences")["language"], json!("French"));
    // What was imported once is the same when it is imported again.
    let mut again = User::default();
    again.imported(&stored);
    assert_eq!(again.preferences, user.preferences);
    let done = user.put(json!({ "privacy": { "marketing": false } }));
    assert_eq!(done.event.unwrap()["language"], json!("fr"));
}

#[test]
fn what_a_request_is_refused_an_import_is() {
    let language = "general.language must be a language in ISO 639-1, for example fr, or its English name";
    for (wrong, error) in [
        (json!({ "general": { "language": "fr-FR" } }), language),
        (json!({ "general": { "language": "FR" } }), language),
        (
            json!({ "general": { "language": "fr", "languageName": "German" } }),
            "general.languageName must name the language of general.language",
        ),
        (
            json!({ "general": { "currency": "euro" } }),
            "general.currency must be a currency in ISO 4217, for example EUR",
        ),
        (
            json!({ "general": { "timezone": "a\nb" } }),
            "general.timezone must be a line of 1 to 100 characters",
        ),
        (
            json!({ "notifications": { "email": true } }),
            "notifications.sms is required; notifications.push is required",
        ),
        (
            json!({ "notifications": { "email": true, "sms": true, "push": true, "dealAlerts": true } }),
            "notifications.dealAlerts is not known",
        ),
        (
            json!({ "privacy": { "marketing": "yes" } }),
            "privacy.marketing must be true or false",
        ),
        (
            json!({ "travelPreferences": { "seatPreference": "roof" } }),
            "travelPreferences.seatPreference must be window, aisle, middle or no-preference",
        ),
        (
            json!({ "travelLists": { "hotels": [] } }),
            "travelLists.hotels is not known",
        ),
        (
            json!({ "travelLists": { "dietary": ["a\0"] } }),
            "travelLists.dietary must be a list of up to 50 texts of up to 100 characters",
        ),
        (json!({ "language": "fr" }), "language is not known"),
        (json!({ "updatedAt": "" }), "updatedAt is required"),
        (
            json!({ "updatedAt": "2024-13-45T99:99:99.000Z" }),
            "updatedAt must be an ISO 8601 date and time, for example 2025-12-12T10:30:00.000Z",
        ),
    ] {
        User::default().imported(&document(wrong)).is_refused(error);
    }
}
